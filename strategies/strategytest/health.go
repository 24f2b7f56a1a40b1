package strategytest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// HealthOptions says what is special about a health view.
type HealthOptions struct {
	// Failures is how many failures in a row must show, 20 if it is 0.
	Failures int
	// Skip gives the reason why a rule is not checked, by its number.
	Skip map[string]string
}

// TestHealth checks a health view against the rules H1 to H7. The function
// makes a fresh view for each rule, and the steps through which it learns if it
// has any, such as a breaker's.
func TestHealth(t *testing.T, newView func() (core.HealthView, []core.Step), opts HealthOptions) {
	t.Helper()
	if opts.Failures == 0 {
		opts.Failures = 20
	}
	run(t, healthRules, healthSubject{newView, opts.Failures, patience}, opts.Skip)
}

type healthSubject struct {
	view     func() (core.HealthView, []core.Step)
	failures int
	patience time.Duration
}

var healthRules = []rule[healthSubject]{
	{"H1", "an unknown broker is good, and every answer is one of the three grades", func(t coretest.TB, s healthSubject) {
		w := s.start(t)
		if got := w.health("never-seen"); got != core.HealthGood {
			t.Errorf("it is %v", got)
		}
		w.fail = core.ErrConnect
		for range s.failures {
			w.send("a")
			if got := w.health("a"); got > core.HealthDown {
				t.Fatalf("grade %d", got)
			}
		}
	}},
	{"H2", "a broker that fails again and again is not good, and the others still are", func(t coretest.TB, s healthSubject) {
		w := s.start(t)
		w.send("b")
		w.fail = core.ErrConnect
		for range s.failures {
			w.send("a")
		}
		if got := w.health("a"); got == core.HealthGood {
			t.Errorf("it is good after %d failures in a row", s.failures)
		}
		if got := w.health("b"); got != core.HealthGood {
			t.Errorf("the other is %v", got)
		}
	}},
	{"H3", "success does not make a broker worse", func(t coretest.TB, s healthSubject) {
		w := s.start(t)
		for range s.failures {
			w.send("a")
		}
		if got := w.health("a"); got != core.HealthGood {
			t.Errorf("it is %v after %d successes", got, s.failures)
		}
	}},
	{"H4", "attempts that were vetoed or cancelled prove nothing", func(t coretest.TB, s healthSubject) {
		w := s.start(t)
		w.veto = core.ErrForbidden
		for range s.failures {
			w.send("a")
		}
		if got := w.health("a"); got != core.HealthGood {
			t.Errorf("it is %v after vetoes", got)
		}
		w.veto = nil
		for range s.failures {
			w.sendCanceled("a")
		}
		if got := w.health("a"); got != core.HealthGood {
			t.Errorf("it is %v after cancellations", got)
		}
	}},
	{"H5", "a broker to which no route leads is forgotten", func(t coretest.TB, s healthSubject) {
		w := s.start(t)
		w.fail = core.ErrConnect
		for range s.failures {
			w.send("a")
		}
		if w.health("a") == core.HealthGood {
			return // H2 reports it; there is nothing to forget
		}
		w.fail = nil
		w.routes.Store(routeTo(t, "b"))
		for start := time.Now(); w.health("a") != core.HealthGood; time.Sleep(refresh) {
			w.send("b") // keeps the topic in use
			if time.Since(start) > s.patience {
				t.Fatalf("it is %v %v after it left the route", w.health("a"), s.patience)
			}
		}
	}},
	{"H6", "many goroutines may ask and report at once", func(t coretest.TB, s healthSubject) {
		w := s.start(t)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 100 {
					w.send([]string{"a", "b"}[i%2])
					w.health("a")
				}
			})
		}
		wg.Wait()
	}},
	{"H7", "a broker of the same name at another address is another broker", func(t coretest.TB, s healthSubject) {
		w := s.start(t)
		w.fail = core.ErrConnect
		for range s.failures {
			w.send("a")
		}
		namesake := brokerOf("a")
		namesake.Addr = "other-cluster-" + namesake.Addr
		if got := w.view.Health(namesake); got != core.HealthGood {
			t.Errorf("it is %v after failures of the broker at %s", got, brokerOf("a").Addr)
		}
	}},
}

// healthWorld is a producer through which a view learns. The fields below are
// set between sends only.
type healthWorld struct {
	view   core.HealthView
	p      *core.Producer
	routes atomic.Pointer[core.Route]
	fail   error              // of the transport
	veto   error              // of a hook
	cancel context.CancelFunc // the request gets no answer; the caller gives up
}

// refresh is how often the producer looks for a new route, patience how long a
// view may take to forget a broker after that; it has no need to hurry.
const (
	refresh  = 5 * time.Millisecond
	patience = 5 * time.Second
)

func routeTo(t coretest.TB, brokers ...string) *core.Route {
	t.Helper()
	r, err := coretest.Routes(1, brokers...).Route(context.Background(), "T")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

func (s healthSubject) start(t coretest.TB) *healthWorld {
	t.Helper()
	view, steps := s.view()
	if view == nil {
		t.Fatalf("the view is nil")
	}
	w := &healthWorld{view: view}
	tr := &coretest.Transport{Forget: true}
	tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		switch {
		case w.cancel != nil:
			w.cancel()
			return nil, coretest.Hang(ctx, at)
		case w.fail != nil:
			return nil, w.fail
		}
		return tr.Ack(at), nil
	}
	hook := core.AttemptStep("strategytest.hook", core.AttemptWire, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		if w.veto != nil {
			return nil, w.veto
		}
		return next(ctx, at)
	}))
	cfg := coretest.Config(tr, append(steps, hook)...)
	w.routes.Store(routeTo(t, "a", "b"))
	cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return w.routes.Load(), nil })
	cfg.RouteRefresh, cfg.Health = refresh, view
	w.p = coretest.Start(t, cfg)
	return w
}

// brokerOf is the broker of a name in the routes of coretest.
func brokerOf(name string) core.Broker {
	return core.Broker{Name: name, Addr: name + ":10911", Cluster: "DefaultCluster"}
}

// health is what the view says of the broker of that name.
func (w *healthWorld) health(name string) core.Health { return w.view.Health(brokerOf(name)) }

// send makes one attempt at the broker, whatever comes of it.
func (w *healthWorld) send(broker string) {
	m := message()
	m.Queue = &core.Queue{Broker: broker}
	_, _ = w.p.Send(context.Background(), m)
}

// sendCanceled does too, and cancels it when the request is out.
func (w *healthWorld) sendCanceled(broker string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.cancel = cancel
	m := message()
	m.Queue = &core.Queue{Broker: broker}
	_, _ = w.p.Send(ctx, m)
	w.cancel = nil
}
