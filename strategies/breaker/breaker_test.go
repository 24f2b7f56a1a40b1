package breaker_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

func TestOpensAfterFiveFailuresInARow(t *testing.T) {
	inBubble(t, breaker.Config{}, func(w *world) {
		w.times(4, refused)
		w.times(1, ok)
		w.times(4, refused)
		w.expect(breaker.Closed)
		if got := w.breakers.Health(brokerA); got != core.HealthGood {
			t.Errorf("health %v while closed", got)
		}
		w.times(1, refused)
		w.expect(breaker.Open)
		if got := w.breakers.Health(brokerA); got != core.HealthDown {
			t.Errorf("health %v while open", got)
		}
		before := len(w.tr.Attempts())
		err := w.sendA(w.Context())
		if !errors.Is(err, core.ErrCircuitOpen) || !strings.Contains(err.Error(), `"broker-a" at "broker-a:10911"`) {
			t.Errorf("open breaker gave %v, want a circuit-open error that names the broker and its address", err)
		}
		if core.CertaintyOf(err) != core.NotSent || len(w.tr.Attempts()) != before {
			t.Errorf("a refused attempt reached the transport, certainty %v", core.CertaintyOf(err))
		}
	})
}

func TestOpensAtHalfFailures(t *testing.T) {
	inBubble(t, breaker.Config{}, func(w *world) {
		for range 9 {
			w.times(1, refused)
			w.times(1, ok)
		}
		w.times(1, ok)
		w.expect(breaker.Closed) // 9 of 19
		w.times(1, refused)
		w.expect(breaker.Open) // 10 of 20
	})
	inBubble(t, breaker.Config{}, func(w *world) {
		w.times(12, ok)
		for range 3 {
			w.times(3, refused)
			w.times(1, ok)
		}
		w.expect(breaker.Closed)     // 9 of 24
		time.Sleep(11 * time.Second) // out of the window
		w.times(4, refused)
		w.expect(breaker.Closed) // 4 of 4
		time.Sleep(time.Minute)
		w.times(1, refused)
		w.expect(breaker.Open) // the fifth in a row, a minute later
	})
}

// The window slides in steps of a tenth: what happened two seconds ago counts, whenever that
// was.
func TestWindowSlides(t *testing.T) {
	inBubble(t, breaker.Config{}, func(w *world) {
		w.times(1, ok)
		time.Sleep(9 * time.Second)
		for range 9 {
			w.times(1, refused)
			w.times(1, ok)
		}
		time.Sleep(2 * time.Second)
		w.times(1, ok)
		w.expect(breaker.Closed)
		w.times(1, refused)
		w.expect(breaker.Open) // 10 of 20
	})
}

func TestOpensAtOnceForAHungBroker(t *testing.T) {
	inBubble(t, breaker.Config{}, func(w *world) {
		w.times(3, ok)
		w.times(1, hang)
		w.expect(breaker.Open)
	})
	inBubble(t, breaker.Config{HangAfter: -1}, func(w *world) {
		w.times(4, hang)
		w.expect(breaker.Closed)
		w.times(1, hang) // the fifth in a row, 3 s each
		w.expect(breaker.Open)
	})
}

// One slow answer among quick ones is no hung broker, nor is one among refusals
// that the broker gave.
func TestSlowAnswerUnderLoadOpensNothing(t *testing.T) {
	for name, quick := range map[string]behaviour{
		"successes": ok, "refusals": refuse(rocketmq.CodeMessageIllegal, ""),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, breaker.Config{}, func(w *world) {
				w.set("broker-a", hang)
				slow := make(chan error, 1)
				go func() { slow <- w.sendA(w.Context()) }()
				synctest.Wait()
				time.Sleep(time.Second)
				w.times(1, quick)
				if err := <-slow; !errors.Is(err, core.ErrTimeout) {
					t.Errorf("slow send gave %v, want a time-out", err)
				}
				w.expect(breaker.Closed)
			})
		})
	}
}

func TestWhatCounts(t *testing.T) {
	tests := []struct {
		name string
		b    behaviour
		want breaker.State
	}{
		{"connect", refused, breaker.Open},
		{"connection lost", fail(core.ErrConnectionLost), breaker.Open},
		{"busy", refuse(rocketmq.CodeSystemBusy, ""), breaker.Open},
		{"not available", refuse(rocketmq.CodeServiceNotAvailable, ""), breaker.Open},
		{"system error", refuse(rocketmq.CodeSystemError, "?"), breaker.Open},
		{"unclassified, written", fail(errors.New("EOF")), breaker.Open},
		{"illegal message", refuse(rocketmq.CodeMessageIllegal, ""), breaker.Closed},
		{"no permission", refuse(rocketmq.CodeNoPermission, ""), breaker.Closed},
		{"not authenticated", refuse(rocketmq.CodeNoPermission, "check signature failed"), breaker.Closed},
		{"no topic", refuse(rocketmq.CodeTopicNotExist, ""), breaker.Closed},
		{"not leader", refuse(rocketmq.CodeNotLeaderForQueue, ""), breaker.Closed},
		{"aborted", fail(core.ErrAborted), breaker.Closed},
		{"closed", fail(core.ErrClosed), breaker.Closed},
		{"panic", func(context.Context, *core.Attempt) error { panic("x") }, breaker.Closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, breaker.Config{}, func(w *world) {
				w.times(10, tt.b)
				w.expect(tt.want)
			})
		})
	}
}

// A veto further in proves nothing, also if its error is one that a broker could cause.
func TestVetoThatLooksLikeAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{}, func(c *core.Config) {
			c.Steps = append(c.Steps, core.AttemptStep("veto", core.AttemptWire, core.AttemptInterceptorFunc(
				func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
					return nil, core.ErrConnect
				})))
		})
		w.times(10, ok)
		w.expect(breaker.Closed)
		if n := len(w.tr.Attempts()); n != 0 {
			t.Errorf("%d attempts reached the transport", n)
		}
	})
}

func TestCallersEnd(t *testing.T) {
	tests := []struct {
		name   string
		ctx    func(ctx context.Context) (context.Context, context.CancelFunc)
		trials int
		want   breaker.State
	}{
		{"cancellation", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(700*ms, func() { cancel(errors.New("user went away")) })
			return ctx, func() { cancel(nil) }
		}, 10, breaker.Closed},
		{"impatience", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 49*ms)
		}, 10, breaker.Closed},
		{"short deadlines", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*ms)
		}, 4, breaker.Closed},
		{"many short deadlines", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 499*ms)
		}, 20, breaker.Closed},
		{"as long as it takes to be hung", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 500*ms)
		}, 1, breaker.Open},
		{"a long deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 600*ms)
		}, 1, breaker.Open},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, breaker.Config{}, func(w *world) {
				w.set("broker-a", hang)
				for range tt.trials {
					ctx, cancel := tt.ctx(w.Context())
					_ = w.sendA(ctx)
					cancel()
				}
				w.expect(tt.want)
			})
		})
	}
}

func TestProbe(t *testing.T) {
	t.Run("closes", func(t *testing.T) {
		inBubble(t, breaker.Config{}, func(w *world) {
			w.halfOpen()
			w.times(1, ok)
			w.expect(breaker.Closed)
		})
	})
	t.Run("opens again", func(t *testing.T) {
		inBubble(t, breaker.Config{}, func(w *world) {
			w.halfOpen()
			w.times(1, refused)
			w.expect(breaker.Open)
		})
	})
	t.Run("one at a time", func(t *testing.T) {
		inBubble(t, breaker.Config{}, func(w *world) {
			w.halfOpen()
			if got := w.breakers.Health(brokerA); got != core.HealthGood {
				t.Errorf("health %v before the probe, want good, or it is never tried", got)
			}
			w.set("broker-a", after(time.Second, ok))
			probe := make(chan error, 1)
			go func() { probe <- w.sendA(w.Context()) }()
			synctest.Wait()
			if got := w.breakers.Health(brokerA); got != core.HealthDown {
				t.Errorf("health %v during the probe", got)
			}
			if err := w.sendA(w.Context()); !errors.Is(err, core.ErrCircuitOpen) {
				t.Errorf("second attempt during the probe: %v", err)
			}
			if err := <-probe; err != nil {
				t.Error(err)
			}
			w.expect(breaker.Closed)
		})
	})
	t.Run("three", func(t *testing.T) {
		inBubble(t, breaker.Config{Probes: 3}, func(w *world) {
			w.halfOpen()
			w.times(2, ok)
			w.expect(breaker.HalfOpen)
			w.times(1, ok)
			w.expect(breaker.Closed)
		})
	})
}

// A probe that ends in an unusual way must give its place back.
func TestProbeThatProvesNothing(t *testing.T) {
	// below is a step further in than the breaker.
	below := func(use core.AttemptInterceptorFunc) func(*core.Config) {
		return func(c *core.Config) {
			c.Steps = append(c.Steps, core.AttemptStep("below", core.AttemptWire, use))
		}
	}
	armed := false
	tests := []struct {
		name string
		step core.AttemptInterceptorFunc
		send func(w *world)
	}{
		{name: "veto", step: func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			return nil, core.ErrForbidden
		}},
		{name: "panic", step: func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			panic("below")
		}},
		{name: "goexit", step: func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			runtime.Goexit()
			return nil, nil
		}},
		{name: "goexit after the answer", step: func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			_, _ = next(ctx, at)
			runtime.Goexit()
			return nil, nil
		}},
		{name: "neither result nor error", step: func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			return nil, nil
		}},
		{name: "cancellation", send: func(w *world) {
			ctx, cancel := context.WithCancel(w.Context())
			time.AfterFunc(time.Second, cancel)
			w.set("broker-a", hang)
			_ = w.sendA(ctx)
		}},
		{name: "one-way", send: func(w *world) {
			w.set("broker-a", ok)
			_ = w.p.SendOneway(w.Context(), coretest.Message("x"), toA)
		}},
		{name: "refusal of the message", send: func(w *world) {
			w.times(1, refuse(rocketmq.CodeMessageIllegal, ""))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				armed = false
				w := newWorld(t, breaker.Config{}, below(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
					if armed && tt.step != nil {
						return tt.step(ctx, at, next)
					}
					return next(ctx, at)
				}))
				w.halfOpen()
				armed = true
				for range 3 {
					var wg sync.WaitGroup
					wg.Go(func() {
						if tt.send != nil {
							tt.send(w)
						} else {
							_ = w.sendA(w.Context())
						}
					})
					wg.Wait()
				}
				armed = false
				w.expect(breaker.HalfOpen)
				if got := w.breakers.Health(brokerA); got != core.HealthGood {
					t.Errorf("health %v, the probe's place was not given back", got)
				}
				w.times(1, ok)
				w.expect(breaker.Closed)
			})
		})
	}
}

// Where no other broker is left attempts pass, and one success closes.
func TestLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		w := newWorld(t, breaker.Config{OnStateChange: j.add}, func(c *core.Config) {
			c.Routes = coretest.Routes(2, "broker-a")
		})
		w.open()
		before := len(w.tr.Attempts())
		w.times(3, refused)
		if got := len(w.tr.Attempts()) - before; got != 3 {
			t.Errorf("%d of 3 last-resort attempts passed", got)
		}
		w.expect(breaker.Open)
		w.times(1, refuse(rocketmq.CodeMessageIllegal, ""))
		w.expect(breaker.Open)
		w.times(1, ok)
		w.expect(breaker.Closed)
		w.times(4, refused) // a fresh breaker, with fresh counts
		w.expect(breaker.Closed)
		if got, want := strings.Join(j.all(), ", "), "broker-a closed>open, broker-a open>closed"; got != want {
			t.Errorf("changes %q, want %q", got, want)
		}
	})
	// A probe under way does not stop them either; what it says later is void.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{}, func(c *core.Config) { c.Routes = coretest.Routes(2, "broker-a") })
		w.halfOpen()
		w.set("broker-a", after(time.Second, refused))
		probe := make(chan error, 1)
		go func() { probe <- w.sendA(w.Context()) }()
		synctest.Wait()
		w.times(1, ok)
		w.expect(breaker.Closed)
		if err := <-probe; !errors.Is(err, core.ErrConnect) {
			t.Errorf("probe gave %v", err)
		}
		w.expect(breaker.Closed)
	})
}

func TestRefusalMovesToAnotherBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A selector that knows nothing of health, and no retries.
		w := newWorld(t, breaker.Config{}, nil)
		w.open()
		res, err := w.p.Send(w.Context(), coretest.Message("x"))
		if err != nil {
			t.Fatal(err)
		}
		if res.Queue.Broker != "broker-b" || res.Attempts != 1 {
			t.Errorf("sent to %v in %d attempts, want broker-b in 1", res.Queue, res.Attempts)
		}
	})
}

func TestForgetsBrokersWithoutRoute(t *testing.T) {
	inBubble(t, breaker.Config{}, func(w *world) {
		w.open()
		if _, err := w.p.Send(w.Context(), coretest.Message("x")); err != nil { // to broker-b
			t.Fatal(err)
		}
		synctest.Wait() // the route's report
		both, _ := coretest.Routes(2, "broker-a", "broker-b").Route(w.Context(), "T")
		one, _ := coretest.Routes(2, "broker-b").Route(w.Context(), "T")
		w.breakers.RouteChanged(&core.RouteReport{Topic: "T", Old: both, New: one})
		states := w.breakers.States()
		if len(states) != 1 || states[0].Broker != "broker-b" {
			t.Errorf("breakers left: %+v, want broker-b's", states)
		}
		if got := w.breakers.Health(brokerA); got != core.HealthGood {
			t.Errorf("forgotten broker is %v", got)
		}
	})
}

func TestStates(t *testing.T) {
	inBubble(t, breaker.Config{}, func(w *world) {
		start := time.Now()
		w.times(2, ok)
		w.times(1, refused)
		got := w.breakers.States()
		want := breaker.Status{
			Broker: "broker-a", State: breaker.Closed, Since: start,
			Counts: breaker.Counts{Successes: 2, Failures: 1, ConsecutiveFailures: 1},
		}
		if len(got) != 1 || !got[0].Since.Equal(want.Since) || got[0].Counts != want.Counts || got[0].State != want.State {
			t.Errorf("states %+v, want %+v", got, want)
		}
		time.Sleep(time.Second)
		w.times(4, refused)
		if got := w.breakers.States()[0]; got.State != breaker.Open || !got.Since.Equal(time.Now()) || got.Counts != (breaker.Counts{}) {
			t.Errorf("after the fifth failure: %+v", got)
		}
	})
}
