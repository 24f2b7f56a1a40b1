package selector_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

func weighted(tb testing.TB, others int, weights map[string]int) core.SelectorFactory {
	return made(tb)(selector.NewWeighted(selector.WeightedConfig{Weights: weights, Others: others}))
}

// shares counts the brokers of n picks.
func shares(tb testing.TB, f core.SelectorFactory, s situation, n int) map[string]int {
	tb.Helper()
	out := map[string]int{}
	in(tb, s, func(ctx context.Context, sel *core.Selection) {
		qs := f.ForTopic("T")
		for range n {
			out[sel.Queue(pick(tb, ctx, qs, sel)).Broker]++
		}
	})
	return out
}

func TestWeightedShares(t *testing.T) {
	const n = 20000
	uneven, err := core.NewRoute(
		[]core.Queue{{Broker: "a"}, {Broker: "b", ID: 0}, {Broker: "b", ID: 1}, {Broker: "b", ID: 2}, {Broker: "c"}},
		[]core.Broker{{Name: "a", Addr: "a:1"}, {Name: "b", Addr: "b:1"}, {Name: "c", Addr: "c:1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		weights map[string]int
		others  int
		health  map[string]core.Health
		tried   int
		want    map[string]float64
	}{
		{name: "others 1 by default", weights: map[string]int{"a": 2}, want: map[string]float64{"a": 0.5, "b": 0.25, "c": 0.25}},
		{name: "others", weights: map[string]int{"a": 1}, others: 7, want: map[string]float64{"a": 1. / 15, "b": 7. / 15, "c": 7. / 15}},
		{name: "no others", weights: map[string]int{"a": 1, "b": 3}, others: -1, want: map[string]float64{"a": 0.25, "b": 0.75}},
		{name: "emptied", weights: map[string]int{"a": 0}, want: map[string]float64{"b": 0.5, "c": 0.5}},
		{name: "not in the route", weights: map[string]int{"a": 1, "x": 1000}, want: map[string]float64{"a": 1. / 3, "b": 1. / 3, "c": 1. / 3}},
		{name: "large", weights: map[string]int{"a": 1_000_000, "b": 999_999}, want: map[string]float64{"a": 1_000_000. / 2e6, "b": 999_999. / 2e6, "c": 1 / 2e6}},
		{
			name: "one down: its part by the weights of the others", weights: map[string]int{"a": 1, "b": 3, "c": 6},
			health: map[string]core.Health{"c": down}, want: map[string]float64{"a": 0.25, "b": 0.75},
		},
		{
			name: "one tried", weights: map[string]int{"a": 6, "b": 3, "c": 1},
			tried: 1, want: map[string]float64{"b": 0.75, "c": 0.25},
		},
		{
			name: "a suspect one is better than one of weight 0", weights: map[string]int{"a": 1, "b": 0, "c": 0},
			health: map[string]core.Health{"a": suspect}, want: map[string]float64{"a": 1},
		},
		{
			name: "and those of weight 0, alike, are better than one that is down", weights: map[string]int{"a": 1, "b": 0, "c": 0},
			health: map[string]core.Health{"a": down, "c": suspect}, want: map[string]float64{"b": 0.5, "c": 0.5},
		},
		{
			name: "or tried", weights: map[string]int{"a": 1, "b": 0, "c": 0},
			tried: 1, want: map[string]float64{"b": 0.5, "c": 0.5},
		},
		{
			name: "one that is down is better than one of weight 0 that is down", weights: map[string]int{"a": 1, "b": 0, "c": 2},
			health: map[string]core.Health{"a": down, "b": down, "c": down}, want: map[string]float64{"a": 1. / 3, "c": 2. / 3},
		},
		{name: "nobody named is there", weights: map[string]int{"x": 1}, others: -1, want: map[string]float64{"a": 1. / 3, "b": 1. / 3, "c": 1. / 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			routes := coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return uneven, nil })
			got := shares(t, weighted(t, tt.others, tt.weights), situation{routes: routes, health: tt.health, tried: tt.tried}, n)
			for _, b := range []string{"a", "b", "c"} {
				checkShare(t, b, got[b], n, tt.want[b])
			}
		})
	}
}

// Of any weights each broker gets its share, and each of its queues the same.
func TestWeightedDistribution(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := brokers(rapid.IntRange(1, 8).Draw(rt, "brokers"))
		queues := rapid.IntRange(1, 4).Draw(rt, "queues")
		weights, sum := map[string]int{}, 0
		for _, b := range names {
			weights[b] = rapid.IntRange(0, 20).Draw(rt, b)
			sum += weights[b]
		}
		if sum == 0 {
			weights[names[0]], sum = 1, 1
		}
		const n = 2000
		counts := map[core.Queue]int{}
		in(t, situation{routes: interleaved(queues, names...)}, func(ctx context.Context, sel *core.Selection) {
			s := weighted(t, 0, weights).ForTopic("T")
			for range n {
				counts[sel.Queue(pick(t, ctx, s, sel))]++
			}
		})
		for _, b := range names {
			for id := range queues {
				p := float64(weights[b]) / float64(sum*queues)
				got := counts[core.Queue{Broker: b, ID: id}]
				if off := math.Abs(float64(got) - n*p); off > 7*math.Sqrt(n*p*(1-p))+1 {
					rt.Errorf("%s/%d got %d of %d, want about %.0f", b, id, got, n, n*p)
				}
			}
		}
	})
}

func TestWeightedConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  selector.WeightedConfig
		want []string // in the error
	}{
		"one":      {cfg: selector.WeightedConfig{Weights: map[string]int{"a": 1_000_000}, Others: -1}},
		"emptied":  {cfg: selector.WeightedConfig{Weights: map[string]int{"a": 0}}},
		"zero":     {want: []string{"Weights is empty: name a broker, or use Random"}},
		"all zero": {selector.WeightedConfig{Weights: map[string]int{"a": 0, "b": 0}, Others: -1}, []string{"all weights are 0"}},
		"all wrong": {
			selector.WeightedConfig{Weights: map[string]int{"": 1, "a": -1, "b": 1_000_001}, Others: 2_000_000},
			[]string{
				"Weights has a broker without a name", `Weights["a"] is negative: -1`, `Weights["b"] is 1000001, at most 1000000 is allowed`,
				"Others is 2000000",
			},
		},
	} {
		f, err := selector.NewWeighted(tt.cfg)
		if (err == nil) != (tt.want == nil) || (f == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v", name, f, err)
		}
		for _, w := range append(tt.want, "selector weighted: ") {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", name, w, err)
			}
		}
	}
	var cfg selector.WeightedConfig
	if err := json.Unmarshal([]byte(`{"weights": {"a": 3}, "others": -1}`), &cfg); err != nil || cfg.Weights["a"] != 3 || cfg.Others != -1 {
		t.Errorf("%+v, %v", cfg, err)
	}
	if text, err := json.Marshal(cfg); err != nil || string(text) != `{"others":-1,"weights":{"a":3}}` && string(text) != `{"weights":{"a":3},"others":-1}` {
		t.Errorf("%s, %v", text, err)
	}
	f := made(t)(selector.NewWeighted(cfg))
	cfg.Weights["a"], cfg.Weights["b"] = 0, 5 // too late
	if got := shares(t, f, situation{}, 100); got["a"] != 100 {
		t.Errorf("the weights were changed from outside: %v", got)
	}
}
