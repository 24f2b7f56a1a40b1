package strategytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// The lists in the package comment and at the interfaces are those of the rules.
func TestRulesAreDocumented(t *testing.T) {
	for _, file := range []struct{ path, line string }{
		{"doc.go", "//\t%-3s %s\n"},
		{"../../core/strategy.go", "//   - %s: %s\n"},
	} {
		text, err := os.ReadFile(file.path)
		if err != nil {
			t.Fatal(err)
		}
		check := func(prefix string, rules [][2]string) {
			for i, r := range rules {
				if want := fmt.Sprintf("%s%d", prefix, i+1); r[0] != want {
					t.Errorf("rule %s stands in the place of %s", r[0], want)
				}
				if want := fmt.Sprintf(file.line, r[0], r[1]); strings.Count(string(text), want) != 1 {
					t.Errorf("%s has not once the line %q", file.path, want)
				}
			}
			next := fmt.Sprintf("%s%d", prefix, len(rules)+1)
			if strings.Contains(string(text), "- "+next+":") || strings.Contains(string(text), "\t"+next+" ") {
				t.Errorf("%s has a rule %s", file.path, next)
			}
		}
		check("S", listed(selectorContract))
		check("R", listed(retryContract))
		check("H", listed(healthContract))
	}
}

func listed[S any](c contract[S]) (all [][2]string) {
	for _, r := range c.rules {
		all = append(all, [2]string{r.id, r.text})
	}
	return all
}

func TestSkip(t *testing.T) {
	policy := func() core.RetryPolicy { return policyFunc(func(*core.Failure) core.Decision { panic("boo") }) }
	for _, tt := range []struct {
		name  string
		skip  map[string]string
		broke string
	}{
		{"nothing", nil, "R11"},
		{"what is broken", map[string]string{"R11": "it may"}, ""},
		{"something else", map[string]string{"R1": "it may"}, "R11"},
		{"no rule", map[string]string{"S1": "it may"}, `Skip names "S1", which is no rule here R11`},
		{"no reason", map[string]string{"R1": ""}, "Skip gives no reason for R1 R11"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{t: t}
			TestRetryPolicy(r, policy, RetryOptions{Skip: tt.skip})
			if got := strings.Join(r.broken(), " "); got != tt.broke {
				t.Errorf("broken: %q, want %q", got, tt.broke)
			}
			for id, reason := range tt.skip {
				said := slices.ContainsFunc(r.skips, func(s string) bool {
					return strings.HasPrefix(s, id+": ") && strings.HasSuffix(s, ": skipped: "+reason)
				})
				if want := reason != "" && id[0] == 'R'; said != want {
					t.Errorf("%s: skipped aloud is %v: %q", id, said, r.skips)
				}
			}
			if len(r.ran) != len(retryContract.rules) {
				t.Errorf("ran %v", r.ran)
			}
		})
	}
}

// The rule that is broken while another is checked is told once, and the others say why they
// were not checked.
func TestOneFindingIsToldOnce(t *testing.T) {
	r := &recorder{t: t}
	TestSelector(r, selects(func() core.QueueSelector { return about(func(*core.Selection) { panic("boo") }) }), SelectorOptions{})
	if len(r.failures) != 2 || !strings.Contains(r.failures[0], "(seen while S2 was checked)") || strings.Contains(r.failures[1], "seen while") {
		t.Errorf("%d failures: %q", len(r.failures), r.failures)
	}
	for _, id := range []string{"S3", "S8", "S14"} {
		if !slices.ContainsFunc(r.skips, func(s string) bool {
			return strings.HasPrefix(s, id+": ") && strings.HasSuffix(s, "not checked, because it breaks S10")
		}) {
			t.Errorf("%s is not skipped: %q", id, r.skips)
		}
	}
}

// After something that never returns the other rules would only wait for it again.
func TestWhatBlocksEndsTheRest(t *testing.T) {
	r := &recorder{t: t}
	TestSelector(r, selects(func() core.QueueSelector {
		return about(func(*core.Selection) { time.Sleep(2 * patience) })
	}), SelectorOptions{})
	if len(r.failures) != 1 || len(r.skips) != len(selectorContract.rules)-2 { // S1 asks nothing
		t.Errorf("failures %q, skips %q", r.failures, r.skips)
	}
	for _, s := range r.skips {
		if !strings.HasSuffix(s, "not checked, because core.QueueSelectorFunc.Select blocks") {
			t.Errorf("%s", s)
		}
	}
}

// What blocks may be a step through which a view learns, of which the kit does not know when
// it is under way.
func TestStepThatBlocks(t *testing.T) {
	slow := core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		time.Sleep(2 * patience)
		return next(ctx, at)
	})
	expect(t, "H1", "no method of the strategy is under way; does one of its steps block?", func() {}, func(r *recorder) {
		TestHealth(r, func() (core.HealthView, []core.Step) {
			return newView(&view{}), []core.Step{core.AttemptStep("slow", core.AttemptProtect, slow)}
		}, HealthOptions{})
	})
}

// Without virtual time the kit checks what needs none.
func TestRealTime(t *testing.T) {
	routes := []*core.Route{queues(1, "a"), queues(2, "a", "b")}
	good := &plain{}
	TestSelector(good, func() core.SelectorFactory { return newInFlight(nil, false) }, SelectorOptions{Routes: routes})
	TestHealth(good, func() (core.HealthView, []core.Step) { return newView(&view{}), nil }, HealthOptions{})
	if len(good.failures) > 0 {
		t.Errorf("%q", good.failures)
	}
	for _, id := range []string{"H8", "H12"} {
		if !slices.ContainsFunc(good.skips, func(s string) bool {
			return strings.HasPrefix(s, id+": ") && strings.HasSuffix(s, "and the test has none")
		}) {
			t.Errorf("%s is not skipped: %q", id, good.skips)
		}
	}
	asked := &recorder{t: t}
	TestHealth(asked, func() (core.HealthView, []core.Step) { return newView(&view{}), nil }, HealthOptions{RealTime: true})
	if len(asked.failures) > 0 || len(asked.skips) != 2 {
		t.Errorf("failures %q, skips %q", asked.failures, asked.skips)
	}
	bad := &plain{}
	TestSelector(bad, func() core.SelectorFactory {
		return newInFlight(func(r *core.AttemptReport) bool { return r.Abandoned }, false)
	}, SelectorOptions{Routes: routes})
	jam := newJammed()
	defer jam.free()
	TestHealth(bad, func() (core.HealthView, []core.Step) {
		return newView(&view{before: jam.wait}), nil
	}, HealthOptions{Limit: quick})
	if got := strings.Join(bad.broken(), " "); got != "S13 H14" {
		t.Errorf("it breaks %q: %q", got, bad.failures)
	}
}

func newView(v *view) *view {
	v.known, v.topics = map[core.Broker]record{}, map[string][]core.Broker{}
	return v
}

// many is a factory, its own selector, a view, a step and a service.
type many struct {
	turns
	heard, routes, started, stopped atomic.Int32
	failure                         error
}

func (m *many) ForTopic(string) core.QueueSelector               { return m }
func (m *many) Health(core.Broker) core.Health                   { return core.HealthGood }
func (m *many) AttemptDone(context.Context, *core.AttemptReport) { m.heard.Add(1) }
func (m *many) RouteChanged(*core.RouteReport)                   { m.routes.Add(1) }
func (m *many) Start(context.Context) error                      { m.started.Add(1); return m.failure }
func (m *many) Shutdown(context.Context) error                   { m.stopped.Add(1); return nil }
func (m *many) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	return next(ctx, at)
}

// A value that is several strategies hears everything once, as in any producer, and lives once.
func TestOneValueHearsOnce(t *testing.T) {
	check := func(t *testing.T, m *many) {
		t.Helper()
		if h, r, up, down := m.heard.Load(), m.routes.Load(), m.started.Load(), m.stopped.Load(); h != 3 || r != 1 || up != 1 || down != 1 {
			t.Errorf("it heard of %d attempts and %d routes, and was started %d and stopped %d times", h, r, up, down)
		}
	}
	inKit := func(t *testing.T, f func(k *kit)) {
		t.Helper()
		r := &recorder{t: t}
		k := &kit{rule: "X", limit: DefaultLimit, seen: &seen{known: map[string]bool{}}, inside: map[string]int{}}
		k.run(r, false, func() { f(k) })
		if len(k.found) > 0 {
			t.Errorf("%v", k.found)
		}
	}
	t.Run("selector", func(t *testing.T) {
		m := new(many)
		s := selectorSubject{func() core.SelectorFactory { return m }, SelectorOptions{Topics: []string{"T"}}}
		inKit(t, func(k *kit) {
			w, _ := s.start(k, queues(2, "a"), 1)
			w.sends(3, bySync, s.message())
		})
		check(t, m)
	})
	t.Run("health view that is a step", func(t *testing.T) {
		m := new(many)
		s := healthSubject{func() (core.HealthView, []core.Step) {
			return m, []core.Step{core.AttemptStep("many", core.AttemptProtect, m)}
		}, HealthOptions{}}
		inKit(t, func(k *kit) { s.start(k).to(3, "a", stored) })
		check(t, m)
	})
	t.Run("health view", func(t *testing.T) {
		m := new(many)
		s := healthSubject{func() (core.HealthView, []core.Step) { return m, nil }, HealthOptions{}}
		inKit(t, func(k *kit) { s.start(k).to(3, "a", stored) })
		check(t, m)
	})
}

func TestServiceThatDoesNotStart(t *testing.T) {
	newFactory := func() core.SelectorFactory { return &many{failure: errors.New("no way")} }
	expect(t, "S1", "*strategytest.many.Start gave the error: no way", func() {}, func(r *recorder) {
		TestSelector(r, newFactory, SelectorOptions{})
	})
}

// The options' topics and routes are those that a selector meets.
func TestTopicsAndRoutesAreTheAuthors(t *testing.T) {
	var mu sync.Mutex
	topics, brokers := map[string]bool{}, map[string]bool{}
	newFactory := func() core.SelectorFactory {
		return core.SelectorFactoryFunc(func(topic string) core.QueueSelector {
			mu.Lock()
			defer mu.Unlock()
			topics[topic] = true
			return about(func(sel *core.Selection) {
				mu.Lock()
				defer mu.Unlock()
				for i := range sel.Len() {
					brokers[sel.Queue(i).Broker] = true
				}
			})
		})
	}
	r := &recorder{t: t}
	TestSelector(r, newFactory, SelectorOptions{Topics: []string{"P", "Q"}, Routes: []*core.Route{queues(1, "zone-1", "zone-2"), queues(2, "zone-3")}})
	if len(r.failures) > 0 {
		t.Errorf("%q", r.failures)
	}
	if fmt.Sprint(topics) != "map[P:true Q:true]" || fmt.Sprint(brokers) != "map[zone-1:true zone-2:true zone-3:true]" {
		t.Errorf("topics %v, brokers %v", topics, brokers)
	}
}
