package selector_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// The selectors that follow the ranking, Hash for a message without a key.
var ranked = map[string]func() core.SelectorFactory{
	"round-robin": selector.RoundRobin,
	"random":      selector.Random,
	"hash":        selector.Hash,
	"healthy": func() core.SelectorFactory {
		n := 0
		return selector.Healthy(factory(func(_ context.Context, sel *core.Selection) (int, error) {
			n++
			return n % sel.Len(), nil
		}))
	},
	"weighted": func() core.SelectorFactory {
		return must(selector.NewWeighted(selector.WeightedConfig{Weights: map[string]int{"a": 1}}))
	},
	"sticky":          func() core.SelectorFactory { return must(selector.NewSticky(selector.StickyConfig{Messages: 1})) },
	"least in flight": selector.LeastInFlight,
	"power of two":    func() core.SelectorFactory { return must(selector.NewPowerOfTwo(selector.PowerOfTwoConfig{})) },
	"filter": func() core.SelectorFactory {
		return selector.Filter(selector.Random(), func(core.Queue) bool { return true })
	},
	"fallback": func() core.SelectorFactory {
		return selector.Fallback(selector.Filter(selector.Random(), func(core.Queue) bool { return false }), selector.RoundRobin())
	},
	"avoid tried": func() core.SelectorFactory { return selector.AvoidTried(selector.RoundRobin()) },
	"zone of all": func() core.SelectorFactory {
		return must(selector.NewZone(selector.ZoneConfig{Brokers: []string{"a", "b", "c", "broker-*"}, Inner: selector.LeastInFlight()}))
	},
	"a rest of keys": func() core.SelectorFactory {
		return must(selector.NewHash(selector.HashConfig{Function: selector.HashRendezvous, Rest: must(selector.NewPowerOfTwo(selector.PowerOfTwoConfig{}))}))
	},
}

func must(f core.SelectorFactory, err error) core.SelectorFactory {
	if err != nil {
		panic(err)
	}
	return f
}

const (
	good    = core.HealthGood
	suspect = core.HealthSuspect
	down    = core.HealthDown
)

func TestRanking(t *testing.T) {
	tests := []struct {
		name    string
		health  map[string]core.Health
		tried   int // of a, b, c
		allowed string
	}{
		{"all good", nil, 0, "abc"},
		{"one down", map[string]core.Health{"b": down}, 0, "ac"},
		{"one suspect", map[string]core.Health{"b": suspect}, 0, "ac"},
		{"one tried", nil, 1, "bc"},
		{"suspect before tried", map[string]core.Health{"b": suspect, "c": suspect}, 1, "bc"},
		{"suspect before down", map[string]core.Health{"a": suspect, "b": down, "c": down}, 0, "a"},
		{"good before suspect", map[string]core.Health{"a": suspect, "b": good, "c": down}, 0, "b"},
		{"untried down before tried good", map[string]core.Health{"b": down, "c": down}, 1, "bc"},
		{"all tried, one not down", map[string]core.Health{"a": down, "b": down}, 3, "c"},
		{"all tried, suspect is as good as good", map[string]core.Health{"a": down, "b": suspect}, 3, "bc"},
		{"all down", map[string]core.Health{"a": down, "b": down, "c": down}, 0, "abc"},
		{"all tried and down", map[string]core.Health{"a": down, "b": down, "c": down}, 3, "abc"},
	}
	for name, newFactory := range ranked {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				for _, routes := range []core.RouteSource{coretest.Routes(4, "a", "b", "c"), interleaved(4, "a", "b", "c")} {
					seen := map[string]int{}
					in(t, situation{routes: routes, health: tt.health, tried: tt.tried}, func(ctx context.Context, sel *core.Selection) {
						s := newFactory().ForTopic("T")
						for range 300 {
							seen[sel.Queue(pick(t, ctx, s, sel)).Broker]++
						}
					})
					for b := range seen {
						if !contains(tt.allowed, b) {
							t.Errorf("broker %s chosen %d times, want only %s", b, seen[b], tt.allowed)
						}
					}
					for _, b := range tt.allowed {
						if seen[string(b)] == 0 {
							t.Errorf("broker %c never chosen in 300 picks", b)
						}
					}
				}
			})
		}
	}
}

func contains(list, b string) bool {
	for _, c := range list {
		if string(c) == b {
			return true
		}
	}
	return false
}

// Of any route and any set of down brokers each allowed queue gets its share,
// however the brokers' queues lie.
func TestRoundRobinDistribution(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := brokers(rapid.IntRange(1, 5).Draw(rt, "brokers"))
		queues := rapid.IntRange(1, 8).Draw(rt, "queues")
		health := map[string]core.Health{}
		allowed := 0
		for _, b := range names {
			if rapid.Bool().Draw(rt, "down "+b) {
				health[b] = down
			} else {
				allowed += queues
			}
		}
		if allowed == 0 {
			allowed = queues * len(names)
		}
		routes := coretest.Routes(queues, names...)
		if rapid.Bool().Draw(rt, "interleaved") {
			routes = interleaved(queues, names...)
		}
		const laps = 10
		var counts map[core.Queue]int
		in(t, situation{routes: routes, health: health}, func(ctx context.Context, sel *core.Selection) {
			counts = map[core.Queue]int{}
			s := selector.RoundRobin().ForTopic("T")
			for range laps * allowed {
				counts[sel.Queue(pick(t, ctx, s, sel))]++
			}
		})
		if len(counts) != allowed {
			rt.Fatalf("%d queues used, want %d", len(counts), allowed)
		}
		for q, n := range counts {
			// The first lap may begin among queues that are skipped.
			if n < laps-1 || n > laps+1 {
				rt.Errorf("queue %v got %d of %d messages, want %d", q, n, laps*allowed, laps)
			}
		}
	})
}

// Where all brokers are down, the queue whose turn it is is as good as any: the turn goes on.
func TestRoundRobinKeepsItsTurn(t *testing.T) {
	s := selector.RoundRobin().ForTopic("T")
	lap := func(health map[string]core.Health) (picks []int) {
		in(t, situation{health: health}, func(ctx context.Context, sel *core.Selection) {
			for range sel.Len() {
				picks = append(picks, pick(t, ctx, s, sel))
			}
		})
		return picks
	}
	healthy, ailing := lap(nil), lap(map[string]core.Health{"a": down, "b": down, "c": down})
	if !slices.Equal(ailing, healthy) {
		t.Errorf("with all brokers down the turn is %v, want %v", ailing, healthy)
	}
}

// Many goroutines at once: no queue is starved and nothing races.
func TestRoundRobinConcurrently(t *testing.T) {
	const workers, each = 8, 600
	var mu sync.Mutex
	counts := map[string]int{}
	in(t, situation{health: map[string]core.Health{"b": down}}, func(ctx context.Context, sel *core.Selection) {
		s := selector.RoundRobin().ForTopic("T")
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				mine := map[string]int{}
				for range each {
					i, err := s.Select(ctx, sel)
					if err != nil {
						t.Error(err)
						return
					}
					mine[sel.Queue(i).String()]++
				}
				mu.Lock()
				defer mu.Unlock()
				for q, n := range mine {
					counts[q] += n
				}
			})
		}
		wg.Wait()
	})
	if len(counts) != 8 {
		t.Errorf("%d queues used, want the 8 of a and c: %v", len(counts), counts)
	}
	// c/0 follows b's queues and may get one message extra from each goroutine a lap.
	for q, n := range counts {
		if n < workers*each/8/4 {
			t.Errorf("queue %s got %d of %d messages", q, n, workers*each)
		}
	}
}

func TestRandomDistribution(t *testing.T) {
	const picks = 16000
	counts := map[core.Queue]int{}
	in(t, situation{health: map[string]core.Health{"b": down}}, func(ctx context.Context, sel *core.Selection) {
		s := selector.Random().ForTopic("T")
		for range picks {
			counts[sel.Queue(pick(t, ctx, s, sel))]++
		}
	})
	if len(counts) != 8 {
		t.Fatalf("%d queues used, want 8", len(counts))
	}
	for q, n := range counts {
		if n < picks/8*3/4 || n > picks/8*5/4 { // more than ten standard deviations
			t.Errorf("queue %v got %d of %d messages, want about %d", q, n, picks, picks/8)
		}
	}
}

// The number of queues may differ from pick to pick.
func TestIndexInRangeWhileTheRouteChanges(t *testing.T) {
	for name, newFactory := range ranked {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				s := newFactory().ForTopic("T")
				key := rapid.SampledFrom([]string{"", "k"}).Draw(rt, "key")
				for range rapid.IntRange(1, 4).Draw(rt, "routes") {
					routes := coretest.Routes(rapid.IntRange(1, 9).Draw(rt, "queues"), brokers(rapid.IntRange(1, 4).Draw(rt, "brokers"))...)
					msg := coretest.Message("x")
					msg.ShardingKey = key
					in(t, situation{routes: routes, msg: msg}, func(ctx context.Context, sel *core.Selection) {
						for range 20 {
							pick(t, ctx, s, sel)
						}
					})
				}
			})
		})
	}
}

// What a pick costs, counted in questions to the health view: one in the good
// case whatever the size, and a few per broker, not per queue, in the worst.
func TestCostOfAPick(t *testing.T) {
	const perBroker, n = 100, 100
	names := brokers(n)
	tests := []struct {
		name      string
		isDown    func(string) bool
		tried     int
		picks     int
		questions int64
	}{
		{name: "all good", picks: 1000, questions: 1000},
		{
			name: "all but the last down", isDown: func(b string) bool { return b != names[n-1] }, picks: 1000,
			// each pick walks past all the others
			questions: 1000 * n,
		},
		{name: "all down", isDown: func(string) bool { return true }, picks: 10, questions: 10 * (3*n + 11)},
		{name: "one tried", tried: 1, picks: 1000, questions: 1000 + 11*2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &countingHealth{isDown: tt.isDown}
			tr := &coretest.Transport{}
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if at.Number() <= tt.tried {
					return nil, core.ErrConnectionLost
				}
				return tr.Ack(at), nil
			}
			cfg := coretest.Config(tr)
			cfg.Routes, cfg.Health, cfg.Retry = coretest.Routes(perBroker, names...), h, coretest.Retry(tt.tried+1)
			cfg.Selector = factory(func(ctx context.Context, sel *core.Selection) (int, error) {
				if sel.Attempt() <= tt.tried {
					return 0, nil
				}
				s := selector.RoundRobin().ForTopic("T")
				before := h.asked.Load()
				for range tt.picks {
					pick(t, ctx, s, sel)
				}
				if got := h.asked.Load() - before; got > tt.questions {
					t.Errorf("%d picks asked for the health %d times, want at most %d", tt.picks, got, tt.questions)
				}
				return 0, nil
			})
			if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestSelectAllocatesNothing(t *testing.T) {
	msg := coretest.Message("x")
	msg.ShardingKey = "order-42"
	situations := map[string]situation{
		"good":  {},
		"down":  {health: map[string]core.Health{"a": down, "b": suspect}},
		"tried": {tried: 2},
		"key":   {msg: msg},
	}
	if race.Enabled {
		t.Skip("the race detector makes pools forget")
	}
	all := maps.Clone(ranked)
	for f := selector.HashJava; f <= selector.HashRendezvous; f++ {
		all["hash "+f.String()] = func() core.SelectorFactory { return must(selector.NewHash(selector.HashConfig{Function: f})) }
	}
	for _, zone := range []string{"a", "b"} {
		all["zone "+zone] = func() core.SelectorFactory {
			return must(selector.NewZone(selector.ZoneConfig{Brokers: []string{zone}, Inner: selector.LeastInFlight()}))
		}
	}
	all["sticky for a time"] = func() core.SelectorFactory {
		return must(selector.NewSticky(selector.StickyConfig{For: time.Millisecond}))
	}
	for name, newFactory := range all {
		for what, s := range situations {
			t.Run(name+"/"+what, func(t *testing.T) {
				in(t, s, func(ctx context.Context, sel *core.Selection) {
					qs := newFactory().ForTopic("T")
					if n := testing.AllocsPerRun(200, func() { pick(t, ctx, qs, sel) }); n != 0 {
						t.Errorf("%v allocations a pick, want 0", n)
					}
				})
			})
		}
	}
}

// A few messages reach every broker: a hung one is met at once and not when its
// turn of queues comes.
func TestRoundRobinAlternatesBrokers(t *testing.T) {
	tr := &coretest.Transport{}
	cfg := coretest.Config(tr)
	cfg.Selector = selector.RoundRobin()
	cfg.Routes = coretest.Routes(8, "broker-a", "broker-b", "broker-c")
	p := coretest.Start(t, cfg)
	for range 24 {
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	queues := map[core.Queue]bool{}
	sent := tr.Attempts()
	for i, a := range sent {
		queues[a.Queue] = true
		if i >= 3 && a.Queue.Broker != sent[i-3].Queue.Broker {
			t.Errorf("send %d went to %v, the third before it to %v", i, a.Queue, sent[i-3].Queue)
		}
		if i > 0 && a.Queue.Broker == sent[i-1].Queue.Broker {
			t.Errorf("sends %d and %d went to one broker, %v", i-1, i, a.Queue)
		}
	}
	if len(queues) != 24 {
		t.Errorf("24 sends went to %d queues of 24", len(queues))
	}
}
