package strategytest

import (
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// HealthOptions says what is special about a health view. A view under test should leave a
// sick broker alone for a second at least.
type HealthOptions struct {
	// Failures is how many failures in a row must show, 20 if it is 0.
	Failures int
	// IgnoresSilence is for views that do not learn from attempts without an answer, such as
	// one that looks at connections alone.
	IgnoresSilence bool
	// Recovery is how long after its last failure a broker is good again at the latest, an
	// hour by default. It costs no time where the test has a *testing.T.
	Recovery time.Duration
	// RealTime checks without virtual time, for a strategy that has to do with goroutines or
	// channels outside of the test. Rules that need hours are skipped then.
	RealTime bool
	// Limit is the time of one rule, [DefaultLimit] by default.
	Limit time.Duration
	// Skip gives the reason why a rule is not checked, by its number.
	Skip map[string]string
}

// TestHealth checks a health view against the rules H1 to H17, each in a sub-test of its
// number. The function makes a fresh view each time, and the steps through which it learns if
// it has any, such as a breaker's; it is called more than once for a rule.
func TestHealth[T Runner[T]](t T, newView func() (core.HealthView, []core.Step), opts HealthOptions) {
	t.Helper()
	if opts.Failures == 0 {
		opts.Failures = 20
	}
	if opts.Recovery == 0 {
		opts.Recovery = time.Hour
	}
	run(t, healthContract, healthSubject{newView, opts}, settings{opts.Skip, opts.Limit, opts.RealTime})
}

type healthSubject struct {
	newView func() (core.HealthView, []core.Step)
	HealthOptions
}

var healthContract = contract[healthSubject]{
	rules: []rule[healthSubject]{
		{"H1", "an unknown broker is good, and every answer is one of the three grades", unknownIsGood},
		{"H2", "a broker that fails again and again is not good, and the others still are", failuresShow},
		{"H3", "success does not make a broker worse", successIsGood},
		{"H4", "attempts that were vetoed or cancelled prove nothing", vetoesProveNothing},
		{"H5", "a broker to which no route leads is forgotten", forgotten},
		{"H6", "many goroutines may ask and report at once", healthAtOnce},
		{"H7", "a broker of the same name at another address, or in another network, is another broker", namesakes},
		{"H8", "some time after its last failure a broker is good again, also without attempts", recovers},
		{"H9", "one-way attempts that were written prove nothing", onewayProvesNothing},
		{"H10", "an answer that blames the message, the topic or the credentials is no failure", notBlamed},
		{"H11", "a broker is not forgotten while a route leads to it", notForgotten},
		{"H12", "a time-out counts only if the broker had longer than it needs for others", impatience},
		{"H13", "no method panics or ends its goroutine", healthStorm},
		{"H14", "no method waits", healthTide},
		{"H15", "there is a view", func(k *kit, s healthSubject) { s.start(k) }},
		{"H16", "nothing of a call is kept after its outcome", healthKeepsNothing},
		{"H17", "no call starts a goroutine, and none is left", healthStartsNothing},
	},
	numbers: numbers{given: "H15", panics: "H13", waits: "H14", leaves: "H17"},
}

// healthWorld is a world whose producer has the view.
type healthWorld struct {
	*world
	view *watchedView
	n    int // failures that must show
}

func (s healthSubject) start(k *kit) *healthWorld {
	var (
		v     core.HealthView
		steps []core.Step
	)
	k.do(func() { v, steps = s.newView() })
	if absent.Is(v) {
		k.spoil(k.given, "nil", "the view is nil")
		k.do(func() {})
	}
	view := watchView(hears(k, v), v)
	for _, step := range steps {
		if slices.ContainsFunc(step.Parts(), func(part any) bool { return same(part, v) }) {
			view.ears = deaf(k) // it hears as a step
		}
	}
	w := k.start(queues(1, "a", "b"), core.Config{Health: view, Steps: steps})
	return &healthWorld{w, view, s.Failures}
}

// health is what the view says of the broker of a name.
func (w *healthWorld) health(name string) core.Health { return w.healthOf(brokerOf(name)) }

func (w *healthWorld) healthOf(b core.Broker) (h core.Health) {
	w.k.do(func() { h = w.view.Health(b) })
	return h
}

// to makes attempts at a broker that end so.
func (w *healthWorld) to(n int, broker string, e end) {
	w.allEnd(e)
	w.sendsTo(n, bySync, "T", broker)
}

// mustBe reports a grade that is not good, or good.
func (w *healthWorld) mustBe(good bool, broker, when string, args ...any) {
	if h := w.health(broker); (h == core.HealthGood) != good {
		w.k.fatalf("the broker is %v "+when, append([]any{h}, args...)...)
	}
}

// sicken lets broker a fail until that shows. Whether it ever does is H2's.
func (w *healthWorld) sicken() {
	w.to(w.n, "a", refused)
	if w.health("a") == core.HealthGood {
		w.k.skipf("failures do not show")
	}
}

func unknownIsGood(k *kit, s healthSubject) {
	w := s.start(k)
	w.mustBe(true, "never-seen", "and was never seen")
	for range s.Failures {
		w.to(1, "a", refused)
		w.health("a") // which looks at the grade
	}
}

func failuresShow(k *kit, s healthSubject) {
	for _, e := range []end{refused, lost, hung} {
		if e == hung && s.IgnoresSilence {
			continue
		}
		w := s.start(k)
		w.to(1, "b", stored)
		w.to(s.Failures, "a", e)
		w.mustBe(false, "a", "after %d attempts that were %v", s.Failures, e)
		if h := w.health("b"); h != core.HealthGood {
			k.fatalf("the other broker is %v after %d attempts that were %v", h, s.Failures, e)
		}
		w.stop()
	}
}

func successIsGood(k *kit, s healthSubject) {
	w := s.start(k)
	w.allEnd(stored)
	for by := range modes {
		w.sendsTo(s.Failures, by, "T", "a")
		w.mustBe(true, "a", "after successes")
	}
}

func vetoesProveNothing(k *kit, s healthSubject) {
	for _, e := range []end{forbidden, unexplained, hookPanics, cancelled} {
		w := s.start(k)
		for range s.Failures {
			w.to(1, "a", e)
		}
		w.mustBe(true, "a", "after attempts that were %v", e)
		w.sicken()
		w.to(s.Failures, "a", e)
		w.mustBe(false, "a", "after failures, and then attempts that were %v", e)
		w.stop()
	}
}

func forgotten(k *kit, s healthSubject) {
	w := s.start(k)
	w.sicken()
	w.replace("T", queues(1, "b"))
	w.mustBe(true, "a", "after it left the route")
}

func notForgotten(k *kit, s healthSubject) {
	w := s.start(k)
	w.sendsTo(1, bySync, "U", "a") // a second topic with the same route
	w.sicken()
	w.replace("T", queues(1, "a", "b", "c"))
	w.mustBe(false, "a", "after failures, when another broker joined the route")
	w.replace("T", queues(1, "b"))
	w.mustBe(false, "a", "after failures, when it left the route of one topic and is in another's")
	w.replace("T", queues(1, "d"))
	w.to(s.Failures, "d", refused)
	w.mustBe(false, "d", "after failures, and came with a later route")
	w.replace("T", readOnly)
	w.replace("T", queues(1, "a"))
	w.mustBe(false, "a", "after failures, when one topic was read-only for a while")
}

func healthAtOnce(k *kit, s healthSubject) {
	w := s.start(k)
	w.happens(anyEnd)
	k.parallel(8, func(i int) {
		for j := range 60 {
			m := message([]string{"T", "U"}[j%2])
			m.Queue = &core.Queue{Broker: []string{"a", "b"}[i%2]}
			_ = w.send(mode(j%int(modes)), m)
			w.view.Health(brokerOf("a"))
		}
	})
	w.stop()
	s.start(k).sicken()
	w = s.start(k)
	w.allEnd(refused)
	k.parallel(8, func(int) {
		for range s.Failures {
			m := message("T")
			m.Queue = &core.Queue{Broker: "a"}
			_ = w.send(bySync, m)
		}
	})
	w.mustBe(false, "a", "after failures of several goroutines at once")
}

func namesakes(k *kit, s healthSubject) {
	w := s.start(k)
	w.to(s.Failures, "a", refused)
	for _, b := range []core.Broker{
		{Name: "a", Addr: "other-cluster-a:10911", Cluster: "DefaultCluster"},
		{Name: "a", Addr: "a:10911", Cluster: "DefaultCluster", Network: "tunnel"},
	} {
		if h := w.healthOf(b); h != core.HealthGood {
			k.fatalf("the broker at %q, network %q, is %v after failures of the one at %q", b.Addr, b.Network, h, brokerOf("a").Addr)
		}
	}
}

func recovers(k *kit, s healthSubject) {
	k.needsTime()
	for _, e := range []end{refused, hung} {
		w := s.start(k)
		w.to(s.Failures, "a", e)
		k.sleep(s.Recovery)
		w.mustBe(true, "a", "%v after its last failure", s.Recovery)
		w.to(3, "a", stored)
		w.mustBe(true, "a", "%v after its last failure and after successes", s.Recovery)
		w.stop()
	}
}

func onewayProvesNothing(k *kit, s healthSubject) {
	w := s.start(k)
	written := func(n int) {
		w.allEnd(stored)
		w.sendsTo(n, byOneway, "T", "a")
	}
	w.sicken()
	written(s.Failures)
	w.mustBe(false, "a", "after failures, and then one-way attempts")
	w.stop()
	w = s.start(k)
	for range s.Failures {
		w.to(1, "a", refused)
		written(5)
	}
	w.mustBe(false, "a", "after failures with one-way attempts between them")
}

func notBlamed(k *kit, s healthSubject) {
	for _, e := range []end{rejected, noAuth, noTopic, noWriting} {
		w := s.start(k)
		w.to(s.Failures, "a", e)
		w.mustBe(true, "a", "after attempts that were %v", e)
		w.stop()
	}
}

func impatience(k *kit, s healthSubject) {
	k.needsTime()
	w := s.start(k)
	w.to(5, "a", slowly)
	w.to(1, "b", slowly)
	w.allEnd(slowly)
	w.sendsTo(s.Failures, bySync, "T", "a", core.SendTimeout(10*time.Millisecond))
	w.mustBe(true, "a", "after time-outs of 10ms, and it needs 100ms")
}

func healthStorm(k *kit, s healthSubject) {
	w := s.start(k)
	for _, r := range append(routesByDefault(), readOnly, queues(1, "a", "b")) {
		w.replace("T", r)
		for e := range ends {
			w.allEnd(e)
			for by := range modes {
				w.sends(1, by, message("T"))
			}
			w.health("a")
		}
	}
	for e := range ends {
		w.allEnd(e)
		for by := range modes {
			w.sendsTo(min(s.Failures, 20), by, "T", "a")
		}
	}
}

// healthTide has many attempts under way at the same time, which take their time.
func healthTide(k *kit, s healthSubject) {
	w := s.start(k)
	for _, e := range []end{slowly, hung, stored} {
		w.allEnd(e)
		k.parallel(16, func(i int) {
			for by := range modes {
				m := message("T")
				m.Queue = &core.Queue{Broker: []string{"a", "b"}[i%2]}
				_ = w.send(by, m)
				w.view.Health(brokerOf("b"))
			}
		})
	}
}

func healthKeepsNothing(k *kit, s healthSubject) {
	k.keeps(func() (*world, any) {
		w := s.start(k)
		return w.world, w.view
	}, func() *core.Message { return message("T") })
}

func healthStartsNothing(k *kit, s healthSubject) {
	w := s.start(k)
	w.to(10, "a", stored)
	k.starts(func(n int) { w.sends(n, bySync, message("T")) })
}
