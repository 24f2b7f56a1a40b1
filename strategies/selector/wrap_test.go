package selector_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// fixed chooses an index, or fails.
func fixed(index int, err error) core.SelectorFactory {
	return factory(func(context.Context, *core.Selection) (int, error) { return index, err })
}

func TestAvoidTried(t *testing.T) {
	for _, tt := range []struct {
		name   string
		inner  int // of 12, four each on a, b, c
		health map[string]core.Health
		tried  int
		want   string
	}{
		{"a first attempt", 5, map[string]core.Health{"b": down}, 0, "b"},
		{"not tried", 5, map[string]core.Health{"b": down}, 1, "b"},
		{"tried", 1, nil, 1, "bc"},
		{"tried, the better of the others", 1, map[string]core.Health{"b": suspect}, 1, "c"},
		{"tried, and the others are down", 1, map[string]core.Health{"b": down, "c": down}, 1, "bc"},
		{"all tried", 5, nil, 3, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := shares(t, selector.AvoidTried(fixed(tt.inner, nil)), situation{health: tt.health, tried: tt.tried}, 100)
			for b := range got {
				if !contains(tt.want, b) {
					t.Errorf("%v, want %s", got, tt.want)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
	// Where inner's choice stays it is the very queue.
	in(t, situation{tried: 1}, func(ctx context.Context, sel *core.Selection) {
		if got := pick(t, ctx, selector.AvoidTried(fixed(7, nil)).ForTopic("T"), sel); got != 7 {
			t.Errorf("chose %d, want inner's 7", got)
		}
	})
}

func TestFallback(t *testing.T) {
	errFirst, errSecond := errors.New("first"), errors.New("second")
	type answer struct {
		index int
		err   error
	}
	for _, tt := range []struct {
		name          string
		first, second answer
		health        map[string]core.Health
		tried         int
		want          answer
	}{
		{"the first", answer{0, nil}, answer{4, nil}, nil, 0, answer{0, nil}},
		{"the first fails", answer{0, errFirst}, answer{4, nil}, nil, 0, answer{4, nil}},
		{"the first is down", answer{0, nil}, answer{4, nil}, map[string]core.Health{"a": down}, 0, answer{4, nil}},
		{"the first was tried", answer{0, nil}, answer{4, nil}, nil, 1, answer{4, nil}},
		{"the first is in doubt", answer{0, nil}, answer{4, nil}, map[string]core.Health{"a": suspect}, 0, answer{0, nil}},
		{"both are down", answer{0, nil}, answer{4, nil}, map[string]core.Health{"a": down, "b": down}, 0, answer{0, nil}},
		{"both were tried", answer{0, nil}, answer{4, nil}, nil, 2, answer{0, nil}},
		{"down is better than tried", answer{0, nil}, answer{4, nil}, map[string]core.Health{"b": down}, 1, answer{4, nil}},
		{"the second fails", answer{0, nil}, answer{4, errSecond}, nil, 1, answer{0, nil}},
		{"both fail", answer{0, errFirst}, answer{4, errSecond}, nil, 0, answer{0, errSecond}},
		{"the first is out of range", answer{-1, nil}, answer{4, nil}, nil, 0, answer{-1, nil}},
		{"the second is out of range", answer{0, nil}, answer{12, nil}, nil, 1, answer{12, nil}},
		{"the second, where the first fails, whatever it is", answer{0, errFirst}, answer{4, nil}, map[string]core.Health{"b": down}, 0, answer{4, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in(t, situation{health: tt.health, tried: tt.tried}, func(ctx context.Context, sel *core.Selection) {
				s := selector.Fallback(fixed(tt.first.index, tt.first.err), fixed(tt.second.index, tt.second.err)).ForTopic("T")
				if i, err := s.Select(ctx, sel); i != tt.want.index || err != tt.want.err {
					t.Errorf("got %d, %v, want %d, %v", i, err, tt.want.index, tt.want.err)
				}
			})
		})
	}
}

// failing is a consistent selector that fails.
type failing struct{ core.QueueSelector }

func (failing) RequiresConsistency(m *core.Message) bool { return m.ShardingKey != "" }

// A key does not move to the second, whatever becomes of the first, and the second's keys are none.
func TestFallbackKeepsConsistency(t *testing.T) {
	keyed, plain := coretest.Message("x"), coretest.Message("x")
	keyed.ShardingKey = "hello" // 99162322 % 12 is 10, on c
	s := selector.Fallback(selector.Hash(), fixed(0, nil)).ForTopic("T")
	if cs, ok := s.(core.ConsistentSelector); !ok || !cs.RequiresConsistency(keyed) || cs.RequiresConsistency(plain) {
		t.Fatal("the first's consistency was lost")
	}
	in(t, situation{msg: keyed, health: map[string]core.Health{"c": down}}, func(ctx context.Context, sel *core.Selection) {
		if got := pick(t, ctx, s, sel); got != 10 {
			t.Errorf("chose %d, want 10", got)
		}
	})
	errFirst := errors.New("first")
	s = selector.Fallback(core.SelectorFactoryFunc(func(string) core.QueueSelector {
		return failing{fixed(0, errFirst).ForTopic("T")}
	}), fixed(0, nil)).ForTopic("T")
	in(t, situation{msg: keyed}, func(ctx context.Context, sel *core.Selection) {
		if _, err := s.Select(ctx, sel); err != errFirst {
			t.Errorf("got %v, want the first's error", err)
		}
	})
	if _, ok := selector.Fallback(selector.Random(), selector.Hash()).ForTopic("T").(core.ConsistentSelector); ok {
		t.Error("the second's consistency counts")
	}
}

// Inner sees the queues that are kept and no others, and divides the messages among them.
func TestFilter(t *testing.T) {
	asked := 0
	odd := func(q core.Queue) bool { asked++; return q.Broker != "b" && q.ID%2 == 1 }
	s := selector.Filter(selector.RoundRobin(), odd).ForTopic("T")
	in(t, situation{health: map[string]core.Health{"a": suspect}}, func(ctx context.Context, sel *core.Selection) {
		got := map[core.Queue]int{}
		for range 100 {
			got[sel.Queue(pick(t, ctx, s, sel))]++
		}
		if len(got) != 2 || got[core.Queue{Broker: "c", ID: 1}] != 50 || got[core.Queue{Broker: "c", ID: 3}] != 50 {
			t.Errorf("%v, want 50 each of c/1 and c/3", got)
		}
	})
	if asked != 12 {
		t.Errorf("asked %d times for 100 picks of one route of 12 queues", asked)
	}
	in(t, situation{routes: coretest.Routes(4, "b", "c"), health: map[string]core.Health{"c": down}}, func(ctx context.Context, sel *core.Selection) {
		if got := sel.Queue(pick(t, ctx, s, sel)); got.Broker != "c" {
			t.Errorf("another route: %v, and b is not kept", got)
		}
	})
	in(t, situation{routes: coretest.Routes(4, "b")}, func(ctx context.Context, sel *core.Selection) {
		if _, err := s.Select(ctx, sel); !errors.Is(err, core.ErrNoRoute) {
			t.Errorf("got %v, want no route", err)
		}
	})
}

func TestFilterPassesFaultsThrough(t *testing.T) {
	errInner := errors.New("inner")
	for _, tt := range []struct {
		index int
		err   error
	}{{0, errInner}, {-1, nil}, {4, nil}} {
		s := selector.Filter(fixed(tt.index, tt.err), func(q core.Queue) bool { return q.Broker == "b" }).ForTopic("T")
		in(t, situation{}, func(ctx context.Context, sel *core.Selection) {
			if i, err := s.Select(ctx, sel); err != tt.err || err == nil && i >= 0 && i < sel.Len() {
				t.Errorf("%d, %v of 4 has become %d, %v of 12", tt.index, tt.err, i, err)
			}
		})
	}
}

// A send for which no queue is kept fails and says why; with a fallback it goes there.
func TestFilterWithoutQueues(t *testing.T) {
	noneKept := selector.Filter(selector.Random(), func(core.Queue) bool { return false })
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Selector = noneKept
	_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if core.ClassOf(err) != core.ClassNoRoute || core.CertaintyOf(err) != core.NotSent || !strings.Contains(err.Error(), "the filter keeps none of its 4 queues") {
		t.Errorf("%v, %v", err, core.CertaintyOf(err))
	}
	cfg.Selector = selector.Fallback(noneKept, selector.RoundRobin())
	if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil {
		t.Error(err)
	}
}

// A key is consistent among the queues that are kept.
func TestFilterKeepsConsistency(t *testing.T) {
	keyed := coretest.Message("x")
	keyed.ShardingKey = "hello" // 99162322 % 8 is 2: of b and c the queue b/2
	s := selector.Filter(selector.Hash(), func(q core.Queue) bool { return q.Broker != "a" }).ForTopic("T")
	if cs, ok := s.(core.ConsistentSelector); !ok || !cs.RequiresConsistency(keyed) {
		t.Fatal("inner's consistency was lost")
	}
	in(t, situation{msg: keyed, health: map[string]core.Health{"b": down}}, func(ctx context.Context, sel *core.Selection) {
		if got := sel.Queue(pick(t, ctx, s, sel)); got.String() != "b/2" {
			t.Errorf("chose %v, want b/2", got)
		}
	})
}

// around are the selectors around others.
func around(tb testing.TB) map[string]func(core.SelectorFactory) core.SelectorFactory {
	return map[string]func(core.SelectorFactory) core.SelectorFactory{
		"Healthy":         selector.Healthy,
		"AvoidTried":      selector.AvoidTried,
		"Fallback first":  func(f core.SelectorFactory) core.SelectorFactory { return selector.Fallback(f, selector.Random()) },
		"Fallback second": func(f core.SelectorFactory) core.SelectorFactory { return selector.Fallback(selector.Random(), f) },
		"Fallback twice":  func(f core.SelectorFactory) core.SelectorFactory { return selector.Fallback(f, f) },
		"Filter": func(f core.SelectorFactory) core.SelectorFactory {
			return selector.Filter(f, func(core.Queue) bool { return true })
		},
		"zone": func(f core.SelectorFactory) core.SelectorFactory {
			return zone(tb, selector.ZoneConfig{Brokers: []string{"broker-a"}, Inner: f})
		},
		"sticky": func(f core.SelectorFactory) core.SelectorFactory {
			return sticky(tb, selector.StickyConfig{Messages: 2, Inner: f})
		},
		"hash": func(f core.SelectorFactory) core.SelectorFactory {
			return made(tb)(selector.NewHash(selector.HashConfig{Rest: f}))
		},
		"two deep": func(f core.SelectorFactory) core.SelectorFactory {
			return selector.Healthy(selector.Fallback(f, selector.AvoidTried(f)))
		},
	}
}

// Who is wrapped hears each attempt and each route once, also a panicking neighbour's.
func TestWrappedListenersHear(t *testing.T) {
	for name, wrap := range around(t) {
		t.Run(name, func(t *testing.T) {
			inFactory, inSelector, itself := &listening{}, &listening{}, selfish{&listening{}}
			for _, f := range []core.SelectorFactory{wrap(listeningFactory{inFactory, inSelector}), wrap(itself)} {
				cfg := coretest.Config(&coretest.Transport{})
				cfg.Selector = f
				p := coretest.Start(t, cfg)
				for range 3 {
					if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.Shutdown(t.Context()); err != nil { // joins the reports of routes
					t.Fatal(err)
				}
			}
			if inFactory.attempts != 3 || inFactory.routes != 1 || inSelector.attempts != 3 || itself.attempts != 3 || itself.routes != 1 {
				t.Errorf("the factory heard %d attempts and %d routes, its selector %d attempts, a factory that is its own selector %d attempts and %d routes; want 3, 1, 3, 3, 1",
					inFactory.attempts, inFactory.routes, inSelector.attempts, itself.attempts, itself.routes)
			}
		})
	}
}

// loud panics whenever it hears something.
type loud struct{ attempts, routes atomic.Int64 }

func (l *loud) AttemptDone(context.Context, *core.AttemptReport) { l.attempts.Add(1); panic("attempt") }
func (l *loud) RouteChanged(*core.RouteReport)                   { l.routes.Add(1); panic("route") }
func (l *loud) ForTopic(string) core.QueueSelector               { return fixed(0, nil).ForTopic("T") }

func TestAPanickingListenerKeepsNothingFromOthers(t *testing.T) {
	first, second := &loud{}, &loud{}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Selector = selector.Fallback(first, second)
	p := coretest.Start(t, cfg)
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*loud{first, second} {
		if l.attempts.Load() != 1 || l.routes.Load() != 1 {
			t.Errorf("heard %d attempts and %d routes, want 1 and 1", l.attempts.Load(), l.routes.Load())
		}
	}
}

// A factory without a selector for a topic, and no factory at all, are mistakes whose result is nil.
func TestWrappedNothing(t *testing.T) {
	for name, wrap := range around(t) {
		if s := wrap(core.SelectorFactoryFunc(func(string) core.QueueSelector { return nil })).ForTopic("T"); s != nil {
			t.Errorf("%s: a selector made of nothing: %v", name, s)
		}
	}
	var none core.SelectorFactory
	for name, f := range map[string]core.SelectorFactory{
		"AvoidTried": selector.AvoidTried(none), "Fallback": selector.Fallback(selector.Random(), none), "Fallback first": selector.Fallback(none, selector.Random()),
		"Filter": selector.Filter(none, func(core.Queue) bool { return true }), "Filter without a function": selector.Filter(selector.Random(), nil),
	} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Selector = f
		if _, err := core.NewProducer(cfg); err == nil {
			t.Errorf("%s: a producer was made without a selector", name)
		}
	}
}
