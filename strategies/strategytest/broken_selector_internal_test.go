package strategytest

import (
	"context"
	"errors"
	"hash/fnv"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

type (
	ctxt       = context.Context
	selectFunc = core.QueueSelectorFunc
)

// turns keeps every rule. The broken ones differ from it by little.
type turns struct{ n atomic.Uint32 }

// best goes on from the last queue to the first that is ok.
func (r *turns) best(sel *core.Selection, ok ...func(i int) bool) int {
	start := int(r.n.Add(1)) % sel.Len()
	for _, good := range ok {
		for k := range sel.Len() {
			if i := (start + k) % sel.Len(); good(i) {
				return i
			}
		}
	}
	return start
}

func fresh(sel *core.Selection) func(int) bool { return func(i int) bool { return !sel.Tried(i) } }
func up(sel *core.Selection) func(int) bool {
	return func(i int) bool { return sel.Health(i) != core.HealthDown }
}
func both(a, b func(int) bool) func(int) bool { return func(i int) bool { return a(i) && b(i) } }

func (r *turns) Select(_ ctxt, sel *core.Selection) (int, error) {
	return r.best(sel, both(fresh(sel), up(sel)), fresh(sel), up(sel)), nil
}

// about is a selector that does something and then selects as turns does.
func about(do func(sel *core.Selection)) core.QueueSelector {
	r := new(turns)
	return selectFunc(func(ctx ctxt, sel *core.Selection) (int, error) {
		do(sel)
		return r.Select(ctx, sel)
	})
}

// among is a selector that takes the first kind of queue of which there is one.
func among(kinds func(sel *core.Selection) []func(int) bool) core.QueueSelector {
	r := new(turns)
	return selectFunc(func(_ ctxt, sel *core.Selection) (int, error) { return r.best(sel, kinds(sel)...), nil })
}

// hearing is a factory whose selectors do as they should, and which hears something.
type hearing struct {
	attempt func(r *core.AttemptReport)
	route   func(r *core.RouteReport)
}

func (h *hearing) ForTopic(string) core.QueueSelector { return new(turns) }

func (h *hearing) AttemptDone(_ ctxt, r *core.AttemptReport) {
	if h.attempt != nil {
		h.attempt(r)
	}
}

func (h *hearing) RouteChanged(r *core.RouteReport) {
	if h.route != nil {
		h.route(r)
	}
}

// keyed is consistent for messages with a sharding key.
type keyed struct {
	core.QueueSelector
	queue func(sel *core.Selection) int
}

func (s keyed) RequiresConsistency(m *core.Message) bool { return m.ShardingKey != "" }

func (s keyed) Select(ctx ctxt, sel *core.Selection) (int, error) {
	if sel.Message().ShardingKey == "" {
		return s.QueueSelector.Select(ctx, sel)
	}
	return s.queue(sel) % sel.Len(), nil
}

func hashed(key string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() & 0xffff)
}

// alike is a factory whose selectors are made alike.
func alike(one func() core.QueueSelector) core.SelectorFactory {
	return core.SelectorFactoryFunc(func(string) core.QueueSelector { return one() })
}

// inFlight goes to the queues of the brokers with the fewest attempts under way. It is right
// if skip and blind are unset.
type inFlight struct {
	turns
	skip  func(r *core.AttemptReport) bool // attempts whose end it does not count
	blind bool                             // it does not look whether it counted the begin

	mu    sync.Mutex
	under map[string]int
	slot  core.Slot[string]
}

func newInFlight(skip func(r *core.AttemptReport) bool, blind bool) *inFlight {
	return &inFlight{under: map[string]int{}, slot: core.NewSlot[string]("in flight"), skip: skip, blind: blind}
}

func (s *inFlight) ForTopic(string) core.QueueSelector { return s }

func (s *inFlight) Select(_ ctxt, sel *core.Selection) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	least := func(ok func(i int) bool) func(i int) bool {
		fewest := 1 << 30
		for i := range sel.Len() {
			if ok(i) {
				fewest = min(fewest, s.under[sel.Queue(i).Broker])
			}
		}
		return func(i int) bool { return ok(i) && s.under[sel.Queue(i).Broker] == fewest }
	}
	i := s.best(sel, least(both(fresh(sel), up(sel))), fresh(sel), up(sel))
	b := sel.Queue(i).Broker
	s.under[b]++
	s.slot.Set(sel.Call(), b)
	return i, nil
}

func (s *inFlight) AttemptDone(_ ctxt, r *core.AttemptReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, _ := s.slot.Get(r.Attempt.Call())
	if s.blind {
		b = r.Attempt.Queue().Broker
	}
	if b == "" || s.skip != nil && s.skip(r) {
		return
	}
	s.slot.Set(r.Attempt.Call(), "")
	s.under[b]--
}

// selfish is the health view itself, and holds its lock while it asks for health.
type selfish struct {
	turns
	lock func() (unlock func())
}

func (s *selfish) ForTopic(string) core.QueueSelector { return s }

func (s *selfish) Select(ctx ctxt, sel *core.Selection) (int, error) {
	defer s.lock()()
	return s.turns.Select(ctx, sel)
}

func (s *selfish) Health(core.Broker) core.Health {
	defer s.lock()()
	return core.HealthGood
}

// jammed is a lock that ends when the test is over, so that nothing is left of it.
type jammed struct {
	place chan struct{}
	over  chan struct{}
}

func newJammed() *jammed { return &jammed{make(chan struct{}, 1), make(chan struct{})} }

func (j *jammed) lock() (unlock func()) {
	select {
	case j.place <- struct{}{}:
		return j.unlock
	case <-j.over:
		return func() {}
	}
}

func (j *jammed) unlock() {
	select {
	case <-j.place:
	default:
	}
}

func (j *jammed) wait() { <-j.over }
func (j *jammed) free() { close(j.over) }

func TestBrokenSelectors(t *testing.T) {
	withKey := message("T")
	withKey.ShardingKey = "k"
	var over atomic.Bool
	jam := newJammed()
	var kept sync.Map
	covered := ""
	for i, tt := range []struct {
		name  string
		make  func() core.SelectorFactory
		rules string
		says  string
		opts  SelectorOptions
	}{
		{"good", func() core.SelectorFactory { return alike(func() core.QueueSelector { return new(turns) }) }, "", "", SelectorOptions{}},
		{"good and hears", func() core.SelectorFactory { return &hearing{} }, "", "", SelectorOptions{}},
		{"good and counts", func() core.SelectorFactory { return newInFlight(nil, false) }, "", "", SelectorOptions{}},
		{"good and bears a grudge for a while", grudges(30 * time.Minute), "", "", SelectorOptions{}},
		{"bears it as long as it may", grudges(30 * time.Minute), "", "", SelectorOptions{Rest: 30 * time.Minute}},
		{"bears it longer than it may", grudges(2 * time.Hour), "S13", "did not use a", SelectorOptions{}},
		{"good and keyed", func() core.SelectorFactory {
			return alike(func() core.QueueSelector {
				return keyed{new(turns), func(sel *core.Selection) int { return hashed(sel.Message().ShardingKey) }}
			})
		}, "", "", SelectorOptions{Keyed: withKey}},

		{"no factory", func() core.SelectorFactory { return nil }, "S1", "the factory is nil", SelectorOptions{}},
		{"a nil pointer", func() core.SelectorFactory { return (*hearing)(nil) }, "S1", "the factory is nil", SelectorOptions{}},
		{"no selector", func() core.SelectorFactory { return alike(func() core.QueueSelector { return nil }) }, "S1", "core.SelectorFactoryFunc.ForTopic gave no selector for the topic", SelectorOptions{}},
		{"no selector for a retry topic", func() core.SelectorFactory {
			return core.SelectorFactoryFunc(func(topic string) core.QueueSelector {
				if topic[0] == '%' {
					return (*turns)(nil)
				}
				return new(turns)
			})
		}, "S1", `topic "%RETRY%g"`, SelectorOptions{}},

		{"off by one", selects(func() core.QueueSelector {
			r := new(turns)
			return selectFunc(func(ctx ctxt, sel *core.Selection) (int, error) {
				i, err := r.Select(ctx, sel)
				if sel.Len() > 20 && i == sel.Len()-1 {
					i++
				}
				return i, err
			})
		}), "S2", "core.QueueSelectorFunc.Select chose queue 24 of 24", SelectorOptions{}},
		{"keeps the size of the largest route", selects(func() core.QueueSelector {
			r, largest := new(turns), atomic.Int64{}
			return selectFunc(func(ctx ctxt, sel *core.Selection) (int, error) {
				if n := int64(sel.Len()); n > largest.Load() {
					largest.Store(n)
				} else if n < largest.Load() {
					return int(largest.Load()) - 1, nil
				}
				return r.Select(ctx, sel)
			})
		}), "S2", "chose queue", SelectorOptions{}},
		{"counts down", selects(func() core.QueueSelector {
			n := atomic.Int64{}
			return selectFunc(func(_ ctxt, sel *core.Selection) (int, error) { return int(n.Add(-1)) % sel.Len(), nil })
		}), "S2", "chose queue -", SelectorOptions{IgnoresTried: true, IgnoresHealth: true}},

		{"never the last queue", selects(func() core.QueueSelector {
			return among(func(sel *core.Selection) []func(int) bool {
				not := func(i int) bool { return i != sel.Len()-1 || sel.Len() <= 6 }
				return []func(int) bool{both(not, both(fresh(sel), up(sel))), both(fresh(sel), up(sel)), fresh(sel), up(sel)}
			})
		}), "S3 S12", "300 messages used 11 of 12 queues, and not c/3", SelectorOptions{Routes: []*core.Route{queues(4, "a", "b", "c")}}},
		{"narrow, and does not say so", selects(func() core.QueueSelector {
			return selectFunc(func(_ ctxt, sel *core.Selection) (int, error) {
				for i := range sel.Len() {
					if !sel.Tried(i) && sel.Health(i) != core.HealthDown {
						return i, nil
					}
				}
				return new(turns).best(sel, fresh(sel), up(sel)), nil
			})
		}), "S3 S12 S13", "300 messages used 1 of 12", SelectorOptions{}},
		{"forgets what was tried", selects(func() core.QueueSelector {
			return among(func(sel *core.Selection) []func(int) bool { return []func(int) bool{up(sel)} })
		}), "S4", "whose broker the call had tried", SelectorOptions{}},
		{"does not mind health", selects(func() core.QueueSelector {
			return among(func(sel *core.Selection) []func(int) bool { return []func(int) bool{fresh(sel)} })
		}), "S5", "whose broker is down", SelectorOptions{}},

		{"gives up when all are tried", selects(func() core.QueueSelector {
			r := new(turns)
			return selectFunc(func(ctx ctxt, sel *core.Selection) (int, error) {
				i, err := r.Select(ctx, sel)
				if sel.Tried(i) {
					return 0, errors.New("all are tried")
				}
				return i, err
			})
		}), "S6", "Select gave the error: all are tried", SelectorOptions{}},
		{"gives up when all are down", selects(func() core.QueueSelector {
			r := new(turns)
			return selectFunc(func(ctx ctxt, sel *core.Selection) (int, error) {
				i, err := r.Select(ctx, sel)
				if sel.Health(i) == core.HealthDown {
					return 0, errors.New("all are down")
				}
				return i, err
			})
		}), "S6", "all are down", SelectorOptions{}},
		{"wants two queues", selects(func() core.QueueSelector {
			r := new(turns)
			return selectFunc(func(ctx ctxt, sel *core.Selection) (int, error) {
				if sel.Len() < 2 {
					return 0, errors.New("there are no two queues")
				}
				return r.Select(ctx, sel)
			})
		}), "S6", "there are no two queues", SelectorOptions{}},
		{"looks for a second queue for ever", selects(func() core.QueueSelector {
			return about(func(sel *core.Selection) {
				for first, second := 0, 0; second == first && !over.Load(); {
					second = (second + 1) % sel.Len()
				}
			})
		}), "S11", "core.QueueSelectorFunc.Select has not returned", SelectorOptions{Limit: quick}},

		{"key moves on a retry", keys(func(sel *core.Selection) int {
			if sel.Attempt() > 1 {
				return 1
			}
			return 0
		}), "S7", "when attempts were lost, to", SelectorOptions{Keyed: withKey}},
		{"key flees from a sick broker", keys(func(sel *core.Selection) int {
			if i := hashed("k") % sel.Len(); sel.Health(i) == core.HealthGood {
				return i
			}
			return hashed("k") + 1
		}), "S7", "when its broker was suspect, to", SelectorOptions{Keyed: withKey}},
		{"key goes by the hour", keys(func(*core.Selection) int { return time.Now().Hour() }), "S7", "later, to", SelectorOptions{Keyed: withKey}},
		{"key goes by the day", keys(func(*core.Selection) int { return time.Now().Day() }), "S7", "later, to", SelectorOptions{Keyed: withKey}},
		{"key is not declared", keys(func(*core.Selection) int { return 0 }), "S7", "does not require consistency for the Keyed message", SelectorOptions{Keyed: message("T")}},
		{"no example of a key", keys(func(*core.Selection) int { return 0 }), "S7", "the options have no Keyed message", SelectorOptions{}},

		{"fails when two select at once", selects(func() core.QueueSelector {
			r, inside := new(turns), atomic.Int32{}
			return selectFunc(func(ctx ctxt, sel *core.Selection) (int, error) {
				defer inside.Add(-1)
				if inside.Add(1) > 1 {
					return 0, errors.New("one at a time")
				}
				for range 100 {
					runtime.Gosched()
				}
				return r.Select(ctx, sel)
			})
		}), "S8", "one at a time", SelectorOptions{}},
		{"changes the message", selects(func() core.QueueSelector {
			return about(func(sel *core.Selection) {
				if sel.Len() == 12 && sel.Attempt() == 1 && sel.Call().Mode() == core.Sync {
					sel.Message().Keys[0] = "seen"
				}
			})
		}), "S9", "became", SelectorOptions{}},

		{"panics for a static topic", selects(func() core.QueueSelector {
			return about(func(sel *core.Selection) {
				if sel.Len() == 9 {
					panic("boo")
				}
			})
		}), "S10", "panic in core.QueueSelectorFunc.Select: boo", SelectorOptions{}},
		{"panics when it is asked for consistency", keysThat(func(*core.Message) bool { panic("boo") }), "S10", "RequiresConsistency: boo", SelectorOptions{Keyed: withKey}},
		{"panics for a topic", func() core.SelectorFactory {
			return core.SelectorFactoryFunc(func(string) core.QueueSelector { panic("boo") })
		}, "S10", "panic in core.SelectorFactoryFunc.ForTopic: boo", SelectorOptions{}},
		{"ends the goroutine", selects(func() core.QueueSelector { return about(func(*core.Selection) { runtime.Goexit() }) }), "S10", "core.QueueSelectorFunc.Select ended its goroutine", SelectorOptions{}},
		{"always panics as a listener", tells(func(*core.AttemptReport) { panic("boo") }), "S10", "panic in *strategytest.hearing.AttemptDone: boo", SelectorOptions{}},
		{"takes every attempt for a success", tells(func(r *core.AttemptReport) { _ = r.Result.Status }), "S10", "AttemptDone", SelectorOptions{}},
		{"takes every failure for a broker's answer", tells(func(r *core.AttemptReport) {
			if r.Class == core.ClassAuth {
				_ = r.Err.(*core.BrokerError).Code.String()
			}
		}), "S10", "AttemptDone", SelectorOptions{}},
		{"ends the goroutine as a listener", tells(func(r *core.AttemptReport) {
			if r.Abandoned {
				runtime.Goexit()
			}
		}), "S10", "*strategytest.hearing.AttemptDone ended its goroutine", SelectorOptions{}},
		{"takes every route for one", func() core.SelectorFactory {
			return &hearing{route: func(r *core.RouteReport) { r.New.Brokers() }}
		}, "S10", "panic in *strategytest.hearing.RouteChanged", SelectorOptions{}},

		{"sleeps", selects(func() core.QueueSelector { return about(func(*core.Selection) { time.Sleep(time.Microsecond) }) }), "S11", "Select waited for 1µs", SelectorOptions{}},
		{"sleeps as a listener after failures", tells(func(r *core.AttemptReport) {
			if r.Class == core.ClassBusy {
				time.Sleep(time.Millisecond)
			}
		}), "S11", "*strategytest.hearing.AttemptDone waited for 1ms", SelectorOptions{}},
		{"never returns", selects(func() core.QueueSelector { return about(func(*core.Selection) { time.Sleep(2 * patience) }) }), "S11", "Select has not returned", SelectorOptions{}},
		{"never returns as a listener", tells(func(*core.AttemptReport) { jam.lock(); jam.lock() }), "S11", "*strategytest.hearing.AttemptDone has not returned", SelectorOptions{Limit: quick}},
		{"is the view and locks itself", func() core.SelectorFactory { return &selfish{lock: jam.lock} }, "S11", "*strategytest.selfish.Health, *strategytest.selfish.Select has not returned", SelectorOptions{Limit: quick}},
		{"holds a lock during the attempt", func() core.SelectorFactory { return holding{new(turns), jam} }, "S11", "strategytest.holding.Select has not returned", SelectorOptions{Limit: quick}},

		{"knows the queues of the first route only", selects(func() core.QueueSelector {
			r := new(turns)
			var once sync.Once
			var first *core.Queue
			return selectFunc(func(ctx ctxt, sel *core.Selection) (int, error) {
				i, err := r.Select(ctx, sel)
				once.Do(func() { q := sel.Queue(0); first = &q })
				if sel.Queue(i).Broker != first.Broker && sel.Queue(0).Broker != first.Broker && sel.Health(0) != core.HealthDown && !sel.Tried(0) {
					return 0, nil // none that it knows
				}
				return i, err
			})
		}), "S12", "messages used", SelectorOptions{}},
		{"knows the size of the first route only", selects(func() core.QueueSelector {
			r := new(turns)
			var size atomic.Int64
			return selectFunc(func(_ ctxt, sel *core.Selection) (int, error) {
				size.CompareAndSwap(0, int64(sel.Len()))
				known := func(i int) bool { return i < int(size.Load()) }
				return r.best(sel, both(known, both(fresh(sel), up(sel))), both(fresh(sel), up(sel)), fresh(sel), up(sel)), nil
			})
		}), "S12", "messages used", SelectorOptions{}},

		{"does not count the end of failures", counts(func(r *core.AttemptReport) bool { return r.Err != nil }), "S13", "after attempts at a that were not connected", SelectorOptions{}},
		{"does not count the end of what was not connected", counts(func(r *core.AttemptReport) bool { return r.Class == core.ClassNetwork }), "S13", "that were not connected", SelectorOptions{}},
		{"does not count the end of vetoes", counts(func(r *core.AttemptReport) bool { return r.Abandoned }), "S13", "that were vetoed", SelectorOptions{}},
		{"does not count the end of panics", counts(func(r *core.AttemptReport) bool {
			return errors.As(r.Err, new(*core.PanicError))
		}), "S13", "that were ended by a hook's panic", SelectorOptions{}},
		{"does not count the end of cancelled attempts", counts(func(r *core.AttemptReport) bool { return r.Class == core.ClassCanceled }), "S13", "that were cancelled", SelectorOptions{}},
		{"does not count the end of one-way attempts", counts(func(r *core.AttemptReport) bool { return r.Attempt.Call().Mode() == core.Oneway }), "S13", "did not use", SelectorOptions{}},
		{"does not count the end of batches", counts(func(r *core.AttemptReport) bool { return r.Attempt.Call().Batch() }), "S13", "did not use", SelectorOptions{}},
		{"counts the end of what it did not choose", func() core.SelectorFactory { return newInFlight(nil, true) }, "S13", "did not use", SelectorOptions{}},
		{"never forgives", func() core.SelectorFactory {
			return newInFlight(func(r *core.AttemptReport) bool { return r.Class == core.ClassTimeout }, false)
		}, "S13", "that were hung", SelectorOptions{}},

		{"keeps selections", selects(func() core.QueueSelector {
			return keeping(func(all *[]any, sel *core.Selection) { *all = append(*all, sel) })
		}), "S14", "keeps a call, or an attempt, a selection", SelectorOptions{}},
		{"keeps attempts", func() core.SelectorFactory {
			var last atomic.Pointer[core.Attempt]
			return &hearing{attempt: func(r *core.AttemptReport) { last.Store(r.Attempt) }}
		}, "S14", "keeps a call", SelectorOptions{}},
		{"keeps messages", selects(func() core.QueueSelector {
			return keeping(func(all *[]any, sel *core.Selection) {
				if len(*all) < 100 {
					*all = append(*all, sel.Message())
				}
			})
		}), "S14", "keeps the message", SelectorOptions{}},
		{"remembers every message id", selects(func() core.QueueSelector {
			var mu sync.Mutex
			ids := map[core.MessageID]bool{}
			return about(func(sel *core.Selection) {
				mu.Lock()
				defer mu.Unlock()
				ids[sel.Call().MessageID()] = true
			})
		}), "S14", "memory grows with the number of calls", SelectorOptions{}},

		{"starts a goroutine for each choice", selects(func() core.QueueSelector {
			return about(func(sel *core.Selection) {
				go kept.Store(sel.Queue(0).Broker, true)
			})
		}), "S15", "50 calls started 50 goroutines or more", SelectorOptions{}},
		{"leaves a goroutine that sleeps", func() core.SelectorFactory {
			go leftBehind()
			return &hearing{}
		}, "S15", "when all was over, it had goroutines left", SelectorOptions{}},
		{"leaves a goroutine that waits for the world", func() core.SelectorFactory {
			go jam.wait()
			return &hearing{}
		}, "S15", "when all was over, it had goroutines left", SelectorOptions{Limit: quick}},
	} {
		covered += " " + tt.rules
		t.Run(tt.name, func(t *testing.T) {
			sample(t, i)
			over.Store(false)
			jam = newJammed()
			expect(t, tt.rules, tt.says, func() { over.Store(true); jam.free() }, func(r *recorder) { TestSelector(r, tt.make, tt.opts) })
		})
	}
	allBroken(t, selectorContract, covered)
}

// selects is a factory of selectors that are made alike.
func selects(one func() core.QueueSelector) func() core.SelectorFactory {
	return func() core.SelectorFactory { return alike(one) }
}

func keys(queue func(sel *core.Selection) int) func() core.SelectorFactory {
	return selects(func() core.QueueSelector { return keyed{new(turns), queue} })
}

func tells(attempt func(r *core.AttemptReport)) func() core.SelectorFactory {
	return func() core.SelectorFactory { return &hearing{attempt: attempt} }
}

func counts(skip func(r *core.AttemptReport) bool) func() core.SelectorFactory {
	return func() core.SelectorFactory { return newInFlight(skip, false) }
}

// grudge keeps away from brokers that failed, for a time after the last failure.
type grudge struct {
	turns
	d      time.Duration
	mu     sync.Mutex
	failed map[string]time.Time
}

func grudges(d time.Duration) func() core.SelectorFactory {
	return func() core.SelectorFactory { return &grudge{d: d, failed: map[string]time.Time{}} }
}

func (g *grudge) ForTopic(string) core.QueueSelector { return g }

func (g *grudge) AttemptDone(_ ctxt, r *core.AttemptReport) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Err != nil {
		g.failed[r.Attempt.Broker().Name] = time.Now()
	}
}

func (g *grudge) Select(_ ctxt, sel *core.Selection) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	forgiven := func(i int) bool {
		at, failed := g.failed[sel.Queue(i).Broker]
		return !failed || time.Since(at) >= g.d
	}
	well := both(fresh(sel), up(sel))
	return g.best(sel, both(well, forgiven), well, fresh(sel), up(sel)), nil
}

// choosy is consistent for messages that it is told.
type choosy struct {
	*turns
	requires func(m *core.Message) bool
}

func (s choosy) RequiresConsistency(m *core.Message) bool { return s.requires(m) }

func keysThat(requires func(m *core.Message) bool) func() core.SelectorFactory {
	return selects(func() core.QueueSelector { return choosy{new(turns), requires} })
}

// keeping is a selector that keeps something.
func keeping(keep func(all *[]any, sel *core.Selection)) core.QueueSelector {
	var mu sync.Mutex
	var all []any
	return about(func(sel *core.Selection) {
		mu.Lock()
		defer mu.Unlock()
		keep(&all, sel)
	})
}

// holding locks in Select and unlocks in AttemptDone.
type holding struct {
	*turns
	jam *jammed
}

func (s holding) ForTopic(string) core.QueueSelector { return s }

func (s holding) Select(ctx ctxt, sel *core.Selection) (int, error) {
	s.jam.lock()
	return s.turns.Select(ctx, sel)
}

func (s holding) AttemptDone(ctxt, *core.AttemptReport) { s.jam.unlock() }
