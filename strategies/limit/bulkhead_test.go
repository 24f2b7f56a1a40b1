package limit_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/limit"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

// patient is coretest's configuration with time to spare.
func patient(t core.Transport, steps ...core.Step) core.Config {
	cfg := coretest.Config(t, steps...)
	cfg.Timeout, cfg.AttemptTimeout = 5*time.Minute, 5*time.Minute
	return cfg
}

// A full broker's messages go to another one. That is no attempt, and no retry policy is
// asked: here there is none.
func TestFullBrokerLeadsToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate(), newBulkhead(t, 2)
		cfg := patient(g, b.Step())
		cfg.Routes = coretest.Routes(1, "a", "b", "c", "d", "e")
		p := coretest.Start(t, cfg)
		var all sends
		for range 10 {
			all.start(bg, p, coretest.Message("x"))
			synctest.Wait()
		}
		var at []string
		for range g.under() {
			a := <-g.attempts
			at = append(at, a.broker)
			go func() { a.end <- nil }()
		}
		if got := strings.Join(at, ""); got != "aabbccddee" {
			t.Errorf("the attempts were at %s, want two at each broker", got)
		}
		all.wg.Wait()
		if oks, errs := all.ended(); oks != 10 {
			t.Errorf("%d sends succeeded: %v", oks, errs)
		}
		for _, s := range g.Attempts() {
			if s.Number != 1 {
				t.Errorf("a refusal counted as an attempt: %+v", s)
			}
		}
		for _, s := range b.States() {
			if s.UnderWay != 0 || s.Waiting != 0 {
				t.Errorf("room is lost: %+v", s)
			}
		}
	})
}

// Where no broker has room the last one lets sends wait, in the order in which they came.
func TestWaitsWhereNoOtherIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate(), newBulkhead(t, 1)
		p := coretest.Start(t, patient(g, b.Step()))
		ends := make(chan int, 10)
		var all sends
		for i := range 6 {
			all.wg.Go(func() {
				if _, err := p.Send(bg, coretest.Message("x")); err != nil {
					t.Error(err)
				}
				ends <- i
			})
			synctest.Wait()
		}
		if g.under() != 2 {
			t.Fatalf("%d attempts are under way, want one at each broker", g.under())
		}
		first := <-g.attempts // at broker-a, where nobody waits
		want := limit.Status{Broker: "broker-b", Addr: "broker-b:10911", Limit: 1, UnderWay: 1, Waiting: 4}
		if got := state(b.States(), "broker-b"); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		var order []int
		for range 5 {
			(<-g.attempts).end <- nil
			order = append(order, <-ends)
			synctest.Wait()
		}
		if want := []int{1, 2, 3, 4, 5}; !slices.Equal(order, want) {
			t.Errorf("they had their turn in the order %v, want %v", order, want)
		}
		first.end <- nil
		all.wg.Wait()
	})
}

// keyed keeps every message with a sharding key at the first queue.
type keyed struct{ core.QueueSelector }

func (s keyed) ForTopic(string) core.QueueSelector { return s }

func (keyed) RequiresConsistency(m *core.Message) bool { return m.ShardingKey != "" }

func first(context.Context, *core.Selection) (int, error) { return 0, nil }

// A message that no other broker may take waits for room, in every mode, whatever the state of
// others. So does one whose selector comes back to a broker that has refused it.
func TestBoundMessagesWait(t *testing.T) {
	key := coretest.Message("x")
	key.ShardingKey = "k"
	for name, send := range map[string]func(p *core.Producer) error{
		"a queue":            func(p *core.Producer) error { _, err := p.Send(bg, to("broker-a")); return err },
		"a key":              func(p *core.Producer) error { _, err := p.Send(bg, key); return err },
		"a stubborn choice":  func(p *core.Producer) error { _, err := p.Send(bg, coretest.Message("x")); return err },
		"one-way":            func(p *core.Producer) error { return p.SendOneway(bg, key) },
		"batch":              func(p *core.Producer) error { _, err := p.SendBatch(bg, []*core.Message{key, key}); return err },
		"asynchronous":       func(p *core.Producer) error { return async(p, key) },
		"same queue (retry)": func(p *core.Producer) error { _, err := p.Send(bg, coretest.Message("again")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, b := newGate(), newBulkhead(t, 1)
				cfg := patient(g, b.Step())
				cfg.Selector = keyed{core.QueueSelectorFunc(first)}
				cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
					return core.Decision{Retry: f.Attempt < 2 && string(f.Message.Body) == "again", Reroute: core.SameQueue, After: ms}
				})
				p := coretest.Start(t, cfg)
				var all sends
				done := false
				if strings.HasPrefix(name, "same queue") {
					all.wg.Go(func() {
						if err := send(p); err != nil {
							t.Error(err)
						}
						done = true
					})
					(<-g.attempts).end <- errOther
					all.start(bg, p, to("broker-a")) // takes the room during the pause
				} else {
					all.start(bg, p, to("broker-a"))
					synctest.Wait()
					all.wg.Go(func() {
						if err := send(p); err != nil {
							t.Error(err)
						}
						done = true
					})
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if s := state(b.States(), "broker-a"); g.under() != 1 || s.Waiting != 1 || done {
					t.Fatalf("%d under way, %+v, want one that waits", g.under(), s)
				}
				(<-g.attempts).end <- nil
				a := <-g.attempts
				if a.broker != "broker-a" {
					t.Errorf("it went to %s", a.broker)
				}
				a.end <- nil
				all.wg.Wait()
				if s := state(b.States(), "broker-a"); !done || s.UnderWay != 0 || s.Waiting != 0 {
					t.Errorf("done %v, %+v", done, s)
				}
			})
		})
	}
}

// A selector that goes to and fro between full brokers, with a third one free that it does not
// think of, makes the send wait and not fail.
func TestSelectorThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate(), newBulkhead(t, 1)
		cfg := patient(g, b.Step())
		cfg.Routes = coretest.Routes(1, "a", "b", "c")
		n := 0
		cfg.Selector = keyed{core.QueueSelectorFunc(func(context.Context, *core.Selection) (int, error) {
			n++
			return n % 2, nil
		})}
		p := coretest.Start(t, cfg)
		var all sends
		all.start(bg, p, to("a"))
		all.start(bg, p, to("b"))
		synctest.Wait()
		all.start(bg, p, coretest.Message("x"))
		synctest.Wait()
		if n != 3 || state(b.States(), "b").Waiting != 1 {
			t.Errorf("asked %d times, %+v", n, b.States())
		}
		for range 3 {
			(<-g.attempts).end <- nil
		}
		all.wg.Wait()
		if oks, errs := all.ended(); oks != 3 {
			t.Errorf("%v", errs)
		}
	})
}

func async(p *core.Producer, m *core.Message) error {
	done := make(chan error, 1)
	p.SendAsync(bg, m, func(_ core.Result, err error) { done <- err })
	return <-done
}

// A wait ends with the call's time, the caller's context and the producer.
func TestWaitEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		cause error
		class core.Class
	}{
		"time":     {core.ErrTimeout, core.ClassInFlight},
		"deadline": {context.DeadlineExceeded, core.ClassInFlight},
		"cancel":   {context.Canceled, core.ClassCanceled},
		"shutdown": {core.ErrAborted, core.ClassClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, b := newGate(), newBulkhead(t, 1)
				p, err := core.NewProducer(patient(g, b.Step()))
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Start(bg); err != nil {
					t.Fatal(err)
				}
				var held, waits sends
				held.start(bg, p, to("broker-a"))
				synctest.Wait()
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				var opts []core.SendOption
				switch name {
				case "time":
					opts = append(opts, core.SendTimeout(time.Second))
				case "deadline":
					ctx, cancel = context.WithTimeout(bg, time.Second)
					defer cancel()
				}
				waits.start(ctx, p, to("broker-a"), opts...)
				synctest.Wait()
				start := time.Now()
				switch name {
				case "cancel":
					cancel()
				case "shutdown":
					over, stop := context.WithTimeout(bg, time.Second)
					defer stop()
					_ = p.Shutdown(over)
				}
				waits.wg.Wait()
				_, errs := waits.ended()
				var full *limit.Error
				if len(errs) != 1 || !errors.Is(errs[0], tt.cause) || !errors.As(errs[0], &full) {
					t.Fatalf("got %v", errs)
				}
				if core.ClassOf(errs[0]) != tt.class || core.CertaintyOf(errs[0]) != core.NotSent {
					t.Errorf("got %v, %v", core.ClassOf(errs[0]), core.CertaintyOf(errs[0]))
				}
				if full.Broker != "broker-a" || full.Addr != "broker-a:10911" || full.Limit != 1 || full.UnderWay != 1 {
					t.Errorf("got %+v", full)
				}
				if want := `limit: 1 attempts at broker "broker-a" at "broker-a:10911" are under way, 1 may be: `; !strings.HasPrefix(full.Error(), want) {
					t.Errorf("got %q", full.Error())
				}
				if took := time.Since(start); name != "cancel" && took != time.Second || name == "cancel" && took != 0 {
					t.Errorf("it took %v", took)
				}
				if s := state(b.States(), "broker-a"); s.Waiting != 0 {
					t.Errorf("somebody still waits: %+v", s)
				}
				if name != "shutdown" {
					(<-g.attempts).end <- nil
				}
				held.wg.Wait()
				if s := state(b.States(), "broker-a"); s.UnderWay != 0 {
					t.Errorf("room is lost: %+v", s)
				}
				_ = p.Shutdown(bg)
			})
		})
	}
}

// Room comes back whatever ends the attempt.
func TestRoomComesBack(t *testing.T) {
	var late core.AttemptHandler
	var lateAt *core.Attempt
	for name, inner := range map[string]core.AttemptInterceptorFunc{
		"panic": func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) { panic("x") },
		"goexit": func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			runtime.Goexit()
			return nil, nil
		},
		"veto": func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			return nil, core.ErrForbidden
		},
		"no result": func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			return nil, nil
		},
		"next later": func(_ context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			late, lateAt = next, at
			return nil, errOther
		},
		"next twice": func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			_, _ = next(ctx, at)
			return next(ctx, at)
		},
	} {
		for _, kind := range []string{"bulkhead", "adaptive"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				step, states := brokerLimit(t, kind)
				p := coretest.Start(t, coretest.Config(&coretest.Transport{}, step, core.AttemptStep("inner", core.AttemptWire, inner)))
				end := make(chan struct{})
				go func() {
					defer close(end)
					_, _ = p.Send(bg, to("broker-a"))
				}()
				<-end
				if name == "next later" {
					if _, err := late(bg, lateAt); err == nil {
						t.Error("an attempt that has ended went on")
					}
				}
				if got := state(states(), "broker-a"); got.Limit == 0 || got.UnderWay != 0 {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

// brokerLimit makes a limit of either kind.
func brokerLimit(tb testing.TB, kind string) (core.Step, func() []limit.Status) {
	if kind == "bulkhead" {
		b := newBulkhead(tb, 10)
		return b.Step(), b.States
	}
	a := newAdaptive(tb, limit.AdaptiveConfig{})
	return a.Step(), a.States
}

// An attempt that leaves while its room is on the way to it passes the room on.
func TestManyWaitAndLeave(t *testing.T) {
	for _, kind := range []string{"bulkhead", "adaptive"} {
		step, states := brokerLimit(t, kind)
		tr := &coretest.Transport{Forget: true}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			runtime.Gosched()
			return tr.Ack(at), nil
		}
		p := coretest.Start(t, patient(tr, step))
		var all sends
		for range 64 {
			all.wg.Go(func() {
				for range 200 {
					ctx, cancel := context.WithCancel(bg)
					go cancel()
					_, _ = p.Send(ctx, to("broker-a"))
					cancel()
				}
			})
		}
		all.wg.Wait()
		if s := state(states(), "broker-a"); s.UnderWay != 0 || s.Waiting != 0 {
			t.Errorf("%s: %+v", kind, s)
		}
		if _, err := p.Send(bg, to("broker-a")); err != nil {
			t.Error(err)
		}
	}
}

// The limits stand outside of a breaker, and pacing within.
func TestOrderOfSteps(t *testing.T) {
	br, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	pc, err := pace.New(pace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	rate := newRate(t, limit.RateConfig{PerSecond: 1})
	pass := core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) { return next(ctx, c) })
	rules, validate := core.CallStep("sendrules", core.StageGuard, pass), core.CallStep("validate", core.StageGuard, pass).After("sendrules")
	if p, err := core.Resolve(core.Order{}, br.Step(), newBulkhead(t, 1).Step()); err != nil || p.Steps()[0].Name != "limit.bulkhead" {
		t.Errorf("%v, %v", p, err)
	}
	if p, err := core.Resolve(core.Order{}, br.Step(), newAdaptive(t, limit.AdaptiveConfig{}).Step()); err != nil || p.Steps()[0].Name != "limit.adaptive" {
		t.Errorf("%v, %v", p, err)
	}
	for _, guard := range []core.Step{core.CallStep("validate", core.StageGuard, pass), rules} {
		if p, err := core.Resolve(core.Order{}, rate.Step(), guard); err != nil || p.Steps()[1].Name != "limit.rate" {
			t.Errorf("%v, %v", p, err)
		}
	}
	for range 5 {
		p, err := core.Resolve(core.Order{}, pc.Step(), br.Step(), newAdaptive(t, limit.AdaptiveConfig{}).Step(), newBulkhead(t, 1).Step(), rate.Step(), validate, rules)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range p.Steps() {
			if s.Scope != "listener" {
				got = append(got, s.Scope+" "+s.Stage+" "+s.Name)
			}
		}
		want := []string{
			"call guard sendrules", "call guard validate", "call guard limit.rate",
			"attempt protect limit.bulkhead", "attempt protect limit.adaptive", "attempt protect breaker", "attempt protect pace",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

// Two producers share room; two clusters with brokers of one name do not.
func TestSharing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, 2)
		start := func(addr string) (*core.Producer, *gate) {
			route, err := core.NewRoute([]core.Queue{{Broker: "broker-a"}}, []core.Broker{{Name: "broker-a", Addr: addr}})
			if err != nil {
				t.Fatal(err)
			}
			g := newGate()
			cfg := patient(g, b.Step())
			cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return route, nil })
			return coretest.Start(t, cfg), g
		}
		p1, g1 := start("10.0.0.1:1")
		p2, g2 := start("10.0.0.1:1")
		p3, g3 := start("10.0.0.2:1")
		var all sends
		for _, p := range []*core.Producer{p1, p2, p2, p3} {
			all.start(bg, p, coretest.Message("x"))
			synctest.Wait()
		}
		want := []limit.Status{
			{Broker: "broker-a", Addr: "10.0.0.1:1", Limit: 2, UnderWay: 2, Waiting: 1},
			{Broker: "broker-a", Addr: "10.0.0.2:1", Limit: 2, UnderWay: 1},
		}
		if got := b.States(); !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		(<-g1.attempts).end <- nil
		(<-g2.attempts).end <- nil
		(<-g2.attempts).end <- nil
		(<-g3.attempts).end <- nil
		all.wg.Wait()
	})
}

// A broker that leaves the routes is forgotten. What is under way there ends as it would, and so
// do those that wait.
func TestRoutes(t *testing.T) {
	route := func(brokers ...string) *core.Route {
		r, err := coretest.Routes(1, brokers...).Route(bg, "T")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate(), newBulkhead(t, 1)
		a := newAdaptive(t, limit.AdaptiveConfig{})
		p := coretest.Start(t, patient(g, b.Step(), a.Step()))
		var all sends
		all.start(bg, p, to("broker-a"))
		all.start(bg, p, to("broker-a"))
		all.start(bg, p, to("broker-b"))
		synctest.Wait()
		both := route("broker-a", "broker-b")
		for _, l := range []core.RouteListener{a, b} {
			l.RouteChanged(&core.RouteReport{Topic: "T", Old: both, New: route("broker-b")})
		}
		if got := b.States(); len(got) != 1 || got[0].Broker != "broker-b" {
			t.Errorf("the bulkhead knows %+v", got)
		}
		if got := a.States(); len(got) != 1 || got[0].Broker != "broker-b" {
			t.Errorf("the adaptive limit knows %+v", got)
		}
		for range 3 {
			(<-g.attempts).end <- nil
		}
		all.wg.Wait()
		if oks, errs := all.ended(); oks != 3 {
			t.Errorf("%d succeeded: %v", oks, errs)
		}
	})
}
