package strategytest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// view keeps every rule unless it is told otherwise: a broker is down for ten seconds after
// five failures in a row.
type view struct {
	key     func(b core.Broker) core.Broker // what tells brokers apart; nil for address and network
	counts  func(r *core.AttemptReport) verdict
	grade   func(failures int, since time.Duration, b core.Broker) core.Health
	routes  func(v *view, r *core.RouteReport)
	before  func()
	attempt func(r *core.AttemptReport)

	mu     sync.Mutex
	known  map[core.Broker]record
	topics map[string][]core.Broker
}

type record struct {
	failures int
	last     time.Time
}

// verdict is what an attempt says to a view.
type verdict int

const (
	nothing verdict = iota
	success
	failure
)

func (v *view) of(b core.Broker) core.Broker {
	if v.key != nil {
		return v.key(b)
	}
	return core.Broker{Addr: b.Addr, Network: b.Network}
}

func (v *view) Health(b core.Broker) core.Health {
	if v.before != nil {
		v.before()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	rec := v.known[v.of(b)]
	if v.grade != nil {
		return v.grade(rec.failures, time.Since(rec.last), b)
	}
	return down(rec.failures, time.Since(rec.last), b)
}

func down(failures int, since time.Duration, _ core.Broker) core.Health {
	if failures >= 5 && since < 10*time.Second {
		return core.HealthDown
	}
	return core.HealthGood
}

// sensible is what an attempt says of its broker.
func sensible(r *core.AttemptReport) verdict {
	var be *core.BrokerError
	switch {
	case r.Abandoned || r.Class == core.ClassCanceled || r.Class == core.ClassPlugin:
		return nothing
	case r.Err == nil && !r.Result.Acked():
		return nothing
	case r.Err == nil:
		return success
	case r.Class == core.ClassTimeout && r.Latency < 500*time.Millisecond:
		return nothing
	case errors.As(r.Err, &be) && be.Class != core.ClassBusy && be.Class != core.ClassUnavailable:
		return nothing
	default:
		return failure
	}
}

func (v *view) AttemptDone(_ context.Context, r *core.AttemptReport) {
	if v.attempt != nil {
		v.attempt(r)
	}
	count := v.counts
	if count == nil {
		count = sensible
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	b := v.of(r.Attempt.Broker())
	switch count(r) {
	case success:
		delete(v.known, b)
	case failure:
		v.known[b] = record{v.known[b].failures + 1, time.Now()}
	}
}

func (v *view) RouteChanged(r *core.RouteReport) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.routes != nil {
		v.routes(v, r)
		return
	}
	delete(v.topics, r.Topic)
	if r.New != nil {
		v.topics[r.Topic] = r.New.Brokers()
	}
	v.forget(func(b core.Broker) bool {
		for _, brokers := range v.topics {
			if slices.ContainsFunc(brokers, func(o core.Broker) bool { return v.of(o) == b }) {
				return false
			}
		}
		return true
	})
}

// forget forgets brokers that are gone.
func (v *view) forget(gone func(b core.Broker) bool) {
	for b := range v.known {
		if gone(b) {
			delete(v.known, b)
		}
	}
}

// unheard hears nothing of routes.
type unheard struct {
	core.HealthView
	core.AttemptListener
}

// also counts something besides what is sensible.
func also(what func(r *core.AttemptReport) bool, as verdict) func() core.HealthView {
	return func() core.HealthView {
		return &view{counts: func(r *core.AttemptReport) verdict {
			if what(r) {
				return as
			}
			return sensible(r)
		}}
	}
}

func graded(grade func(failures int, since time.Duration, b core.Broker) core.Health) func() core.HealthView {
	return func() core.HealthView { return &view{grade: grade} }
}

func routed(routes func(v *view, r *core.RouteReport)) func() core.HealthView {
	return func() core.HealthView { return &view{routes: routes} }
}

func watching(attempt func(r *core.AttemptReport)) func() core.HealthView {
	return func() core.HealthView { return &view{attempt: attempt} }
}

func asking(before func()) func() core.HealthView {
	return func() core.HealthView { return &view{before: before} }
}

func TestBrokenHealthViews(t *testing.T) {
	jam := newJammed()
	var kept atomic.Int64
	covered := ""
	ofClass := func(c core.Class) func(r *core.AttemptReport) bool {
		return func(r *core.AttemptReport) bool { return r.Class == c && !r.Abandoned }
	}
	for i, tt := range []struct {
		name  string
		make  func() core.HealthView
		rules string
		says  string
		opts  HealthOptions
	}{
		{"good", func() core.HealthView { return &view{} }, "", "", HealthOptions{}},
		{"as many failures as it may need", func() core.HealthView { return &view{} }, "", "", HealthOptions{Failures: 5}},
		{"hears no silence, and says so", also(ofClass(core.ClassTimeout), nothing), "", "", HealthOptions{IgnoresSilence: true}},
		{"as long as it may take", func() core.HealthView { return &view{} }, "", "", HealthOptions{Recovery: 10 * time.Second}},

		{"suspicious", graded(func(n int, since time.Duration, b core.Broker) core.Health {
			if b.Name == "never-seen" {
				return core.HealthSuspect
			}
			return down(n, since, b)
		}), "H1", "the broker is suspect and was never seen", HealthOptions{}},
		{"a grade of its own", graded(func(n int, since time.Duration, b core.Broker) core.Health {
			if h := down(n, since, b); h != core.HealthDown {
				return h
			}
			return core.HealthDown + 1
		}), "H1", "*strategytest.view.Health gave the grade 3", HealthOptions{}},
		{"learns nothing", func() core.HealthView { return &view{counts: func(*core.AttemptReport) verdict { return nothing }} }, "H2", "the broker is good after 20 attempts that were not connected", HealthOptions{}},
		{"needs one more failure", func() core.HealthView { return &view{} }, "H2", "after 4 attempts", HealthOptions{Failures: 4}},
		{"hears no silence", also(ofClass(core.ClassTimeout), nothing), "H2", "attempts that were hung", HealthOptions{}},
		{"takes all for one", func() core.HealthView { return &view{key: func(core.Broker) core.Broker { return core.Broker{} }} }, "H2 H5 H7", "the other broker is down", HealthOptions{}},
		{"counts successes as failures", also(func(r *core.AttemptReport) bool { return r.Err == nil && r.Result.Acked() }, failure), "H3 H8 H12", "after successes", HealthOptions{}},
		{"counts vetoes", also(func(r *core.AttemptReport) bool { return r.Abandoned }, failure), "H4", "after attempts that were vetoed", HealthOptions{}},
		{"counts vetoes that look like failures", also(func(r *core.AttemptReport) bool { return r.Abandoned && r.Class == core.ClassNetwork }, failure), "H4", "vetoed with an error of the network", HealthOptions{}},
		{"takes vetoes for successes", also(func(r *core.AttemptReport) bool { return r.Abandoned }, success), "H4", "good after failures, and then attempts that were vetoed", HealthOptions{}},
		{"counts a hook's panics", also(func(r *core.AttemptReport) bool { return r.Abandoned && r.Class == core.ClassPlugin }, failure), "H4", "ended by a hook's panic", HealthOptions{}},
		{"counts cancellations", also(ofClass(core.ClassCanceled), failure), "H4", "after attempts that were cancelled", HealthOptions{}},
		{"forgets nothing", routed(func(*view, *core.RouteReport) {}), "H5", "after it left the route", HealthOptions{}},
		{"hears nothing of routes", func() core.HealthView {
			v := &view{known: map[core.Broker]record{}}
			return unheard{v, v}
		}, "H5", "after it left the route", HealthOptions{}},
		{"loses what comes at the same time", func() core.HealthView {
			var inside atomic.Int64
			return &view{counts: func(r *core.AttemptReport) verdict {
				if inside.Load() > 0 {
					return nothing
				}
				return sensible(r)
			}, attempt: func(*core.AttemptReport) {
				inside.Add(1)
				for range 3000 { // until another one comes, on a busy machine too
					if inside.Load() > 1 {
						break
					}
					runtime.Gosched()
				}
				if inside.Load() == 1 {
					inside.Store(0)
				}
			}}
		}, "H6", "several goroutines at once", HealthOptions{}},
		{"goes by names", func() core.HealthView {
			return &view{key: func(b core.Broker) core.Broker { return core.Broker{Name: b.Name} }}
		}, "H7", `at "other-cluster-a:10911"`, HealthOptions{}},
		{"knows no networks", func() core.HealthView {
			return &view{key: func(b core.Broker) core.Broker { return core.Broker{Addr: b.Addr} }}
		}, "H7", `network "tunnel"`, HealthOptions{}},
		{"never recovers without a success", graded(func(n int, _ time.Duration, b core.Broker) core.Health { return down(n, 0, b) }), "H8", "the broker is down 1h0m0s after its last failure", HealthOptions{}},
		{"stays suspect", graded(func(n int, since time.Duration, b core.Broker) core.Health {
			if h := down(n, since, b); n < 5 || h == core.HealthDown {
				return h
			}
			return core.HealthSuspect
		}), "H8", "the broker is suspect", HealthOptions{}},
		{"takes longer than it may", func() core.HealthView { return &view{} }, "H8", "9.999s after", HealthOptions{Recovery: 9999 * time.Millisecond}},
		{"takes one-way for a success", also(func(r *core.AttemptReport) bool { return r.Err == nil && !r.Result.Acked() }, success), "H9", "then one-way attempts", HealthOptions{}},
		{"forgives a failure for each one-way attempt", func() core.HealthView {
			v := &view{}
			v.counts = func(r *core.AttemptReport) verdict {
				if b := v.of(r.Attempt.Broker()); r.Err == nil && !r.Result.Acked() && v.known[b].failures < 5 {
					return success
				}
				return sensible(r)
			}
			return v
		}, "H9", "with one-way attempts between them", HealthOptions{}},
		{"counts one-way attempts in a rate", func() core.HealthView {
			failed, written := 0, 0
			return &view{counts: func(r *core.AttemptReport) verdict {
				v := sensible(r)
				if r.Err == nil && !r.Result.Acked() {
					written++
				}
				if v == failure {
					if failed++; failed < written { // less than half
						return nothing
					}
				}
				return v
			}}
		}, "H9", "with one-way attempts between them", HealthOptions{}},
		{"blames for messages", also(ofClass(core.ClassRejected), failure), "H10", "after attempts that were rejected", HealthOptions{}},
		{"blames for credentials", also(ofClass(core.ClassAuth), failure), "H10", "not authorized", HealthOptions{}},
		{"blames for topics", also(ofClass(core.ClassNoTopic), failure), "H10", "without topic", HealthOptions{}},
		{"blames for permissions", also(func(r *core.AttemptReport) bool { return r.Class == core.ClassForbidden && !r.Abandoned }, failure), "H10", "read-only", HealthOptions{}},
		{"forgets all with each route", routed(func(v *view, _ *core.RouteReport) { clear(v.known) }), "H11", "when another broker joined", HealthOptions{}},
		{"goes by the last route", routed(func(v *view, r *core.RouteReport) {
			if r.New == nil {
				return
			}
			v.forget(func(b core.Broker) bool {
				return !slices.ContainsFunc(r.New.Brokers(), func(o core.Broker) bool { return v.of(o) == b })
			})
		}), "H11", "and is in another's", HealthOptions{}},
		{"knows the brokers of the first route only", func() core.HealthView {
			v := &view{}
			v.counts = func(r *core.AttemptReport) verdict {
				if r.Attempt.Broker().Name > "b" {
					return nothing
				}
				return sensible(r)
			}
			return v
		}, "H11", "came with a later route", HealthOptions{}},
		{"impatient", also(ofClass(core.ClassTimeout), failure), "H12", "after time-outs of 10ms", HealthOptions{}},

		{"takes every route for one", routed(func(v *view, r *core.RouteReport) { r.New.Brokers() }), "H5 H13", "panic in *strategytest.view.RouteChanged", HealthOptions{}},
		{"takes every attempt for a success", watching(func(r *core.AttemptReport) { _ = r.Result.Status }), "H13", "panic in *strategytest.view.AttemptDone", HealthOptions{}},
		{"ends the goroutine", asking(runtime.Goexit), "H13", "*strategytest.view.Health ended its goroutine", HealthOptions{}},
		{"panics", asking(func() { panic("boo") }), "H13", "panic in *strategytest.view.Health: boo", HealthOptions{}},
		{"sleeps", asking(func() { time.Sleep(time.Microsecond) }), "H14", "*strategytest.view.Health waited for 1µs", HealthOptions{}},
		{"looks at the broker", watching(func(r *core.AttemptReport) {
			if r.Class == core.ClassNetwork {
				time.Sleep(time.Second)
			}
		}), "H14", "*strategytest.view.AttemptDone waited for 1s", HealthOptions{}},
		{"never returns", asking(func() { jam.wait() }), "H14", "*strategytest.view.Health has not returned", HealthOptions{Limit: quick}},
		{"none", func() core.HealthView { return nil }, "H15", "the view is nil", HealthOptions{}},
		{"a nil pointer", func() core.HealthView { return (*unheard)(nil) }, "H15", "the view is nil", HealthOptions{}},
		{"keeps attempts", func() core.HealthView {
			var last atomic.Pointer[core.Attempt]
			return &view{attempt: func(r *core.AttemptReport) { last.Store(r.Attempt) }}
		}, "H16", "keeps a call", HealthOptions{}},
		{"remembers every attempt", func() core.HealthView {
			var mu sync.Mutex
			all := map[core.MessageID]core.Class{}
			return &view{attempt: func(r *core.AttemptReport) {
				mu.Lock()
				defer mu.Unlock()
				all[r.Attempt.Call().MessageID()] = r.Class
			}}
		}, "H16", "memory grows", HealthOptions{}},
		{"starts a goroutine for each attempt", watching(func(*core.AttemptReport) { go kept.Add(1) }), "H17", "started 50 goroutines", HealthOptions{}},
		{"leaves a goroutine", func() core.HealthView { go leftBehind(); return &view{} }, "H17", "goroutines left", HealthOptions{}},
	} {
		covered += " " + tt.rules
		t.Run(tt.name, func(t *testing.T) {
			sample(t, i)
			jam = newJammed()
			expect(t, tt.rules, tt.says, func() { jam.free() }, func(r *recorder) {
				TestHealth(r, func() (core.HealthView, []core.Step) {
					h := tt.make()
					if v, ok := h.(*view); ok {
						v.known, v.topics = map[core.Broker]record{}, map[string][]core.Broker{}
					}
					return h, nil
				}, tt.opts)
			})
		})
	}
	allBroken(t, healthContract, covered)
}
