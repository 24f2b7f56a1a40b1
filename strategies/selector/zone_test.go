package selector_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

func zone(tb testing.TB, cfg selector.ZoneConfig) core.SelectorFactory {
	return made(tb)(selector.NewZone(cfg))
}

func TestZoneFirst(t *testing.T) {
	tests := []struct {
		name    string
		zone    []string
		health  map[string]core.Health
		tried   int // of eu-1, eu-2, us-1, us-2
		allowed []string
	}{
		{name: "in the zone", zone: []string{"eu-*"}, allowed: []string{"eu-1", "eu-2"}},
		{name: "the other zone", zone: []string{"us-*"}, allowed: []string{"us-1", "us-2"}},
		{name: "by names", zone: []string{"eu-2", "us-1", "x"}, allowed: []string{"eu-2", "us-1"}},
		{name: "a name is no beginning", zone: []string{"eu-", "us-2"}, allowed: []string{"us-2"}},
		{name: "nobody is of it", zone: []string{"x-*"}, allowed: []string{"eu-1", "eu-2", "us-1", "us-2"}},
		{name: "all are of it", zone: []string{"eu-*", "us-*"}, allowed: []string{"eu-1", "eu-2", "us-1", "us-2"}},
		{name: "one is down", zone: []string{"eu-*"}, health: map[string]core.Health{"eu-1": down}, allowed: []string{"eu-2"}},
		{name: "one was tried", zone: []string{"eu-*"}, tried: 1, allowed: []string{"eu-2"}},
		{name: "down and tried", zone: []string{"eu-*"}, tried: 1, health: map[string]core.Health{"eu-2": down}, allowed: []string{"us-1", "us-2"}},
		{name: "spilled over past one that is down", zone: []string{"eu-*"}, tried: 2, health: map[string]core.Health{"us-1": down}, allowed: []string{"us-2"}},
		{name: "in doubt", zone: []string{"eu-*"}, health: map[string]core.Health{"eu-1": suspect, "eu-2": suspect}, allowed: []string{"us-1", "us-2"}},
		{
			name: "all in doubt", zone: []string{"eu-*"},
			health:  map[string]core.Health{"eu-1": suspect, "eu-2": suspect, "us-1": suspect, "us-2": suspect},
			allowed: []string{"eu-1", "eu-2"},
		},
		{
			name: "all down", zone: []string{"eu-*"},
			health:  map[string]core.Health{"eu-1": down, "eu-2": down, "us-1": down, "us-2": down},
			allowed: []string{"eu-1", "eu-2"},
		},
		{name: "all tried", zone: []string{"eu-*"}, tried: 4, allowed: []string{"eu-1", "eu-2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			names := []string{"eu-1", "eu-2", "us-1", "us-2"}
			for _, routes := range []core.RouteSource{coretest.Routes(3, names...), interleaved(3, names...)} {
				const n = 120
				got := map[core.Queue]int{}
				in(t, situation{routes: routes, health: tt.health, tried: tt.tried}, func(ctx context.Context, sel *core.Selection) {
					s := zone(t, selector.ZoneConfig{Brokers: tt.zone}).ForTopic("T")
					for range n {
						got[sel.Queue(pick(t, ctx, s, sel))]++
					}
				})
				for q, k := range got {
					if strings.Contains(strings.Join(tt.allowed, " "), q.Broker) {
						// RoundRobin is inside, and its turn among the zone's queues is even.
						if want := n / (3 * len(tt.allowed)); k < want-1 || k > want+1 {
							t.Errorf("%v got %d, want about %d", q, k, want)
						}
					} else {
						t.Errorf("%v chosen %d times, want only %v", q, k, tt.allowed)
					}
				}
				if len(got) != 3*len(tt.allowed) {
					t.Errorf("%d queues used, want %d", len(got), 3*len(tt.allowed))
				}
			}
		})
	}
}

// Inside another zone a zone is its second choice.
func TestZoneInsideAZone(t *testing.T) {
	f := zone(t, selector.ZoneConfig{Brokers: []string{"a"}, Inner: zone(t, selector.ZoneConfig{Brokers: []string{"b"}})})
	for _, tt := range []struct {
		health map[string]core.Health
		want   string
	}{{nil, "a"}, {map[string]core.Health{"a": down}, "b"}, {map[string]core.Health{"a": down, "b": down}, "c"}} {
		if got := shares(t, f, situation{health: tt.health}, 20); got[tt.want] != 20 {
			t.Errorf("with %v: %v, want %s", tt.health, got, tt.want)
		}
	}
}

// A key does not move with the zone's health, nor because there is a zone.
func TestZoneKeepsConsistency(t *testing.T) {
	keyed := coretest.Message("x")
	keyed.ShardingKey = "hello" // 99162322 % 12 is 10, on c
	s := zone(t, selector.ZoneConfig{Brokers: []string{"a"}, Inner: selector.Hash()}).ForTopic("T")
	if cs, ok := s.(core.ConsistentSelector); !ok || !cs.RequiresConsistency(keyed) || cs.RequiresConsistency(coretest.Message("x")) {
		t.Fatal("inner's consistency was lost")
	}
	for _, h := range []map[string]core.Health{nil, {"a": down}, {"c": down}} {
		in(t, situation{msg: keyed, health: h}, func(ctx context.Context, sel *core.Selection) {
			if got := pick(t, ctx, s, sel); got != 10 {
				t.Errorf("with %v: chose %d, want 10", h, got)
			}
		})
	}
}

func TestZoneConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  selector.ZoneConfig
		want []string // in the error
	}{
		"one":  {cfg: selector.ZoneConfig{Brokers: []string{"a", "b-*"}}},
		"zero": {want: []string{"Brokers is empty"}},
		"all wrong": {
			selector.ZoneConfig{Brokers: []string{"", "*", "a*b", "**"}, Inner: core.SelectorFactoryFunc(nil)},
			[]string{"Brokers[0] is empty", "Brokers[1] is *, every broker", `Brokers[2] is "a*b": a * stands at the end only`, `Brokers[3] is "**"`, "Inner is a nil"},
		},
	} {
		f, err := selector.NewZone(tt.cfg)
		if (err == nil) != (tt.want == nil) || (f == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v", name, f, err)
		}
		for _, w := range append(tt.want, "selector zone: ") {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", name, w, err)
			}
		}
	}
	var cfg selector.ZoneConfig
	if err := json.Unmarshal([]byte(`{"brokers": ["a", "b-*"]}`), &cfg); err != nil || len(cfg.Brokers) != 2 {
		t.Errorf("%+v, %v", cfg, err)
	}
	if text, err := json.Marshal(cfg); err != nil || string(text) != `{"brokers":["a","b-*"]}` {
		t.Errorf("%s, %v", text, err)
	}
	f := zone(t, selector.ZoneConfig{Brokers: cfg.Brokers})
	cfg.Brokers[0] = "c" // too late
	if got := shares(t, f, situation{}, 10); got["a"] != 10 {
		t.Errorf("the zone was changed from outside: %v", got)
	}
}

// As long as the first broker of the zone is well, a pick asks for no other's health: one question
// here, and one of RoundRobin.
func TestCostOfAPickInAZone(t *testing.T) {
	h := &countingHealth{}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Routes, cfg.Health = coretest.Routes(4, brokers(20)...), h
	const n = 100
	cfg.Selector = factory(func(ctx context.Context, sel *core.Selection) (int, error) {
		s := zone(t, selector.ZoneConfig{Brokers: []string{"broker-00*"}}).ForTopic("T")
		before := h.asked.Load()
		for range n {
			pick(t, ctx, s, sel)
		}
		if got := h.asked.Load() - before; got != 2*n {
			t.Errorf("%d picks asked for the health %d times, want %d", n, got, 2*n)
		}
		return 0, nil
	})
	if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
}
