package strategytest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// recorder takes a check's failures instead of failing the test.
type recorder struct {
	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// broken runs the rules on a subject and returns the numbers of those it breaks.
func broken[S any](rules []rule[S], subject S) (ids []string) {
	for _, r := range rules {
		rec := &recorder{}
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				for _, f := range slices.Backward(rec.cleanups) {
					f()
				}
			}()
			r.on(ruleTB{rec, r.id}, subject)
		})
		wg.Wait()
		if len(rec.failures) > 0 {
			ids = append(ids, r.id)
			if !strings.HasPrefix(rec.failures[0], r.id+": ") {
				ids = append(ids, "unnamed: "+rec.failures[0])
			}
		}
	}
	return ids
}

func expectBroken(t *testing.T, got []string, want string) {
	t.Helper()
	if g := strings.Join(got, " "); g != want {
		t.Errorf("it breaks %q, want %q", g, want)
	}
}

type selectFunc = core.QueueSelectorFunc

// roundRobin keeps every rule; the broken ones differ from it by little.
type roundRobin struct {
	mu sync.Mutex
	n  int
}

func (r *roundRobin) turn(sel *core.Selection) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	return r.n % sel.Len()
}

func (r *roundRobin) best(sel *core.Selection, ok ...func(i int) bool) int {
	start := r.turn(sel)
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

// keyed wants consistency for messages with the key "k".
type keyed struct{ selectFunc }

func (keyed) RequiresConsistency(m *core.Message) bool { return m.ShardingKey == "k" }

func TestBrokenSelectors(t *testing.T) {
	withKey := message()
	withKey.ShardingKey = "k"
	good := func() core.QueueSelector {
		r := &roundRobin{}
		return selectFunc(func(_ context.Context, sel *core.Selection) (int, error) {
			return r.best(sel, both(fresh(sel), up(sel)), fresh(sel), up(sel)), nil
		})
	}
	around := func(change func(inner core.QueueSelector, ctx context.Context, sel *core.Selection) (int, error)) func() core.QueueSelector {
		return func() core.QueueSelector {
			inner := good()
			return selectFunc(func(ctx context.Context, sel *core.Selection) (int, error) { return change(inner, ctx, sel) })
		}
	}
	tests := []struct {
		name  string
		make  func() core.QueueSelector
		keyed *core.Message
		want  string
	}{
		{"good", good, nil, ""},
		{"none", func() core.QueueSelector { return nil }, nil, "S1 S2 S3 S4 S5 S6 S7 S8 S9"},
		{"off by one", around(func(inner core.QueueSelector, ctx context.Context, sel *core.Selection) (int, error) {
			i, err := inner.Select(ctx, sel)
			if sel.Len() > 100 {
				i++ // the last of many
			}
			return i, err
		}), nil, "S2"},
		{"keeps the size of the largest route", func() core.QueueSelector {
			r := &roundRobin{}
			largest := 0
			return selectFunc(func(_ context.Context, sel *core.Selection) (int, error) {
				i := r.best(sel, both(fresh(sel), up(sel)), fresh(sel))
				r.mu.Lock()
				defer r.mu.Unlock()
				if largest = max(largest, sel.Len()); largest > sel.Len() {
					return largest - 1, nil
				}
				return i, nil
			})
		}, nil, "S2"},
		{"never the last queue", func() core.QueueSelector {
			r := &roundRobin{}
			return selectFunc(func(_ context.Context, sel *core.Selection) (int, error) {
				not := func(i int) bool { return i != sel.Len()-1 || sel.Len() <= 6 }
				return r.best(sel, both(not, both(fresh(sel), up(sel))), fresh(sel)), nil
			})
		}, nil, "S3"},
		{"forgets what was tried", func() core.QueueSelector {
			r := &roundRobin{}
			return selectFunc(func(_ context.Context, sel *core.Selection) (int, error) { return r.best(sel, up(sel)), nil })
		}, nil, "S4"},
		{"does not mind health", func() core.QueueSelector {
			r := &roundRobin{}
			return selectFunc(func(_ context.Context, sel *core.Selection) (int, error) { return r.best(sel, fresh(sel)), nil })
		}, nil, "S5"},
		{"gives up", around(func(inner core.QueueSelector, ctx context.Context, sel *core.Selection) (int, error) {
			if i, err := inner.Select(ctx, sel); !sel.Tried(i) {
				return i, err
			}
			return 0, errors.New("all are tried")
		}), nil, "S6"},
		{"panics when all are down", around(func(inner core.QueueSelector, ctx context.Context, sel *core.Selection) (int, error) {
			i, err := inner.Select(ctx, sel)
			if sel.Health(i) == core.HealthDown {
				panic("all are down")
			}
			return i, err
		}), nil, "S6"},
		{"key moves on a retry", func() core.QueueSelector { return keyed{good().(selectFunc)} }, withKey, "S7"},
		{"key is not declared", func() core.QueueSelector { return keyed{good().(selectFunc)} }, message(), "S7"},
		{"no example of a key", func() core.QueueSelector { return keyed{good().(selectFunc)} }, nil, "S7"},
		{"fails when two select at once", func() core.QueueSelector {
			inner := good()
			var mu sync.Mutex
			return selectFunc(func(ctx context.Context, sel *core.Selection) (int, error) {
				if !mu.TryLock() {
					return 0, errors.New("one at a time")
				}
				defer mu.Unlock()
				time.Sleep(50 * time.Microsecond)
				return inner.Select(ctx, sel)
			})
		}, nil, "S8"},
		{"changes the message", around(func(inner core.QueueSelector, ctx context.Context, sel *core.Selection) (int, error) {
			if len(sel.Message().Keys) > 0 && sel.Len() == 8 {
				sel.Message().Keys[0] = "seen"
			}
			return inner.Select(ctx, sel)
		}), nil, "S9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			factory := func() core.SelectorFactory {
				return core.SelectorFactoryFunc(func(string) core.QueueSelector { return tt.make() })
			}
			expectBroken(t, broken(selectorRules, selectorSubject{factory, tt.keyed}), tt.want)
		})
	}
	t.Run("no factory", func(t *testing.T) {
		rec := &recorder{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			selectorRules[0].check(rec, selectorSubject{factory: func() core.SelectorFactory { return nil }})
		}()
		<-done
		if len(rec.failures) != 1 {
			t.Errorf("failures %v, want one", rec.failures)
		}
	})
}

func TestBrokenRetryPolicies(t *testing.T) {
	good := func(f *core.Failure) core.Decision {
		if f.Err == nil || f.Attempt > 2 || hopeless(f) {
			return core.Decision{}
		}
		return core.Decision{Retry: true, After: time.Millisecond}
	}
	asked := 0
	var mu sync.Mutex
	tests := []struct {
		name   string
		policy core.RetryPolicyFunc
		safe   bool
		want   string
	}{
		{"good", good, false, ""},
		{"never ends", func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Err != nil && !hopeless(f)} }, false, "R1"},
		{"retries everything", func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Attempt < 3, Restore: true} }, false, "R2 R8"},
		{"restores whatever it is", func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Attempt < 3 && !hopeless(f), Restore: true}
		}, false, "R8"},
		{"waits and gives up", func(f *core.Failure) core.Decision {
			d := good(f)
			d.After = time.Second
			return d
		}, false, "R3"},
		{"waits backwards", func(f *core.Failure) core.Decision {
			d := good(f)
			if d.Retry {
				d.After = -1
			}
			return d
		}, false, "R3"},
		{"counts its calls", func(f *core.Failure) core.Decision {
			mu.Lock()
			defer mu.Unlock()
			asked++
			d := good(f)
			d.Retry = d.Retry && asked%2 != 0 // in both directions through a list the outcomes differ
			if !d.Retry {
				d.After = 0
			}
			return d
		}, false, "R1 R4"},
		{"ends by time", func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Err != nil && !hopeless(f) && f.Elapsed < 2*time.Second}
		}, false, ""},
		{"restores what no slave has", func(f *core.Failure) core.Decision {
			if f.Status == core.SlaveNotAvailable {
				return core.Decision{Retry: f.Attempt < 3, Restore: true}
			}
			return good(f)
		}, false, "R8"},
		{"begins again", func(f *core.Failure) core.Decision {
			d := good(f)
			f.Attempt = 1
			return d
		}, false, "R4 R5"},
		{"panics", func(*core.Failure) core.Decision { panic("x") }, false, "R1 R2 R3 R4 R5 R6 R8"},
		{"changes the failure", func(f *core.Failure) core.Decision {
			d := good(f)
			f.Untried = 99
			return d
		}, false, "R5"},
		{"changes the message", func(f *core.Failure) core.Decision {
			d := good(f)
			f.Message.Properties = map[string]string{"retried": "yes"}
			return d
		}, false, "R5"},
		{"not safe", good, true, "R7"},
		{"safe", func(f *core.Failure) core.Decision {
			if !f.Certainty.Safe() {
				return core.Decision{}
			}
			return good(f)
		}, true, ""},
		{"takes not knowing for safe", func(f *core.Failure) core.Decision {
			if f.Certainty > core.NotStored {
				return core.Decision{}
			}
			return good(f)
		}, true, "R7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := retrySubject{func() core.RetryPolicy { return tt.policy }, RetryOptions{SafeOnly: tt.safe, MaxAttempts: 50}}
			expectBroken(t, broken(retryRules, s), tt.want)
		})
	}
}

// view learns by attempts, in ways that the tests spoil.
type view struct {
	mu       sync.Mutex
	failures map[string]int // by address
	step     func(v *view, r *core.AttemptReport)
	health   func(failures int, broker string) core.Health
	keep     bool // does not forget
	byName   bool // takes brokers of one name for one
}

// key is what the view tells brokers apart by.
func (v *view) key(b core.Broker) string {
	if v.byName {
		return b.Name
	}
	return b.Addr
}

func (v *view) AttemptDone(_ context.Context, r *core.AttemptReport) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.step(v, r)
}

func (v *view) Health(b core.Broker) core.Health {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.health(v.failures[v.key(b)], b.Name)
}

func (v *view) RouteChanged(r *core.RouteReport) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for b := range v.failures {
		if !v.keep && !slices.ContainsFunc(r.New.Brokers(), func(n core.Broker) bool { return v.key(n) == b }) {
			delete(v.failures, b)
		}
	}
}

func learn(v *view, r *core.AttemptReport) {
	b := v.key(r.Attempt.Broker())
	switch {
	case r.Abandoned || r.Class == core.ClassCanceled:
	case r.Err != nil:
		v.failures[b]++
	default:
		v.failures[b] = 0
	}
}

func grade(failures int, _ string) core.Health {
	if failures >= 5 {
		return core.HealthDown
	}
	return core.HealthGood
}

// deaf is a view that hears nothing of routes.
type deaf struct {
	core.HealthView
	core.AttemptListener
}

func TestBrokenHealthViews(t *testing.T) {
	tests := []struct {
		name string
		make func() core.HealthView
		want string
	}{
		{"good", func() core.HealthView { return &view{step: learn, health: grade} }, ""},
		{"suspicious", func() core.HealthView {
			return &view{step: learn, health: func(n int, b string) core.Health {
				if b == "never-seen" {
					return core.HealthSuspect
				}
				return grade(n, b)
			}}
		}, "H1"},
		{"a grade of its own", func() core.HealthView {
			return &view{step: learn, health: func(n int, b string) core.Health { return grade(n, b) * 2 }}
		}, "H1"},
		{"learns nothing", func() core.HealthView { return &view{step: func(*view, *core.AttemptReport) {}, health: grade} }, "H2"},
		{"takes all for one", func() core.HealthView {
			all := 0
			return &view{step: func(v *view, r *core.AttemptReport) {
				learn(v, r)
				all = v.failures["a:10911"]
			}, health: func(_ int, b string) core.Health { return grade(all, b) }}
		}, "H2 H7"},
		{"counts successes", func() core.HealthView {
			return &view{step: func(v *view, r *core.AttemptReport) {
				learn(v, r)
				if r.Err == nil {
					v.failures[v.key(r.Attempt.Broker())] = 5
				}
			}, health: grade}
		}, "H2 H3"},
		{"counts vetoes", func() core.HealthView {
			return &view{step: func(v *view, r *core.AttemptReport) {
				learn(v, r)
				if r.Abandoned {
					v.failures[v.key(r.Attempt.Broker())]++
				}
			}, health: grade}
		}, "H4"},
		{"counts cancellations", func() core.HealthView {
			return &view{step: func(v *view, r *core.AttemptReport) {
				learn(v, r)
				if r.Class == core.ClassCanceled {
					v.failures[v.key(r.Attempt.Broker())]++
				}
			}, health: grade}
		}, "H4"},
		{"forgets nothing", func() core.HealthView { return &view{step: learn, health: grade, keep: true} }, "H5"},
		{"hears nothing of routes", func() core.HealthView {
			v := &view{step: learn, health: grade, failures: map[string]int{}}
			return deaf{v, v}
		}, "H5"},
		{"goes by names", func() core.HealthView { return &view{step: learn, health: grade, byName: true} }, "H7"},
		{"none", func() core.HealthView { return nil }, "H1 H2 H3 H4 H5 H6 H7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wait := patience
			if strings.Contains(tt.want, "H5") {
				wait = 200 * time.Millisecond // it is in vain
			}
			s := healthSubject{func() (core.HealthView, []core.Step) {
				h := tt.make()
				if v, ok := h.(*view); ok {
					v.failures = map[string]int{}
				}
				return h, nil
			}, 20, wait}
			expectBroken(t, broken(healthRules, s), tt.want)
		})
	}
}

// The list in the package comment is that of the rules.
func TestRulesAreNumbered(t *testing.T) {
	check := func(prefix string, ids []string) {
		for i, id := range ids {
			if want := fmt.Sprintf("%s%d", prefix, i+1); id != want {
				t.Errorf("rule %s stands in the place of %s", id, want)
			}
		}
	}
	var s, r, h []string
	for _, x := range selectorRules {
		s = append(s, x.id)
	}
	for _, x := range retryRules {
		r = append(r, x.id)
	}
	for _, x := range healthRules {
		h = append(h, x.id)
	}
	check("S", s)
	check("R", r)
	check("H", h)
}

var _ coretest.TB = (*recorder)(nil)
