package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// The virtual time that a bubble's producer needs is free: tests below may wait
// for hours of it.

func brokersOf(tr *coretest.Transport) []string {
	var names []string
	for _, a := range tr.Attempts() {
		names = append(names, a.Queue.Broker)
	}
	return names
}

func sendError(t *testing.T, err error) *core.SendError {
	t.Helper()
	var se *core.SendError
	if !errors.As(err, &se) {
		t.Fatalf("got error %v of type %T, want a *SendError", err, err)
	}
	return se
}

// failOn answers broker's attempts with err and acknowledges the others.
func failOn(tr *coretest.Transport, broker string, err func(context.Context, *core.Attempt) error) {
	tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Queue().Broker == broker {
			return nil, err(ctx, at)
		}
		return tr.Ack(at), nil
	}
}

func code(c rocketmq.ResponseCode, remark string) func(context.Context, *core.Attempt) error {
	return func(_ context.Context, at *core.Attempt) error { return coretest.Refuse(at, c, remark) }
}

func TestRetryGoesToAnotherBroker(t *testing.T) {
	tr := &coretest.Transport{}
	failOn(tr, "broker-a", code(rocketmq.CodeSystemBusy, "busy"))
	cfg := coretest.Config(tr)
	cfg.Retry = coretest.Retry(3)
	p := coretest.Start(t, cfg)
	res, err := p.Send(t.Context(), coretest.Message("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := brokersOf(tr), []string{"broker-a", "broker-b"}; !slices.Equal(got, want) {
		t.Errorf("attempts went to %v, want %v", got, want)
	}
	if res.Attempts != 2 || res.Queue.Broker != "broker-b" || res.MaybeDuplicate {
		t.Errorf("result %+v: want attempt 2 on broker-b, no possible duplicate", res)
	}
	sent := tr.Attempts()
	if sent[0].MessageID != sent[1].MessageID || sent[0].Properties != sent[1].Properties || res.MessageID != sent[0].MessageID {
		t.Error("the attempts of one call differ in message id or properties")
	}
}

func TestCertaintyOfAFailedCall(t *testing.T) {
	refuse := code(rocketmq.CodeMessageIllegal, "no")
	lost := func(context.Context, *core.Attempt) error { return core.ErrConnectionLost }
	tests := []struct {
		name      string
		unwritten bool
		a, b      func(context.Context, *core.Attempt) error
		certainty core.Certainty
		class     core.Class
	}{
		{"never written", true, func(context.Context, *core.Attempt) error { return core.ErrConnect }, func(context.Context, *core.Attempt) error { return core.ErrConnect }, core.NotSent, core.ClassNetwork},
		{"refused", false, refuse, refuse, core.NotStored, core.ClassRejected},
		{"lost, then refused", false, lost, refuse, core.MaybeStored, core.ClassRejected},
		{"refused, then lost", false, refuse, lost, core.MaybeStored, core.ClassNetwork},
		{"unexplained system error", false, code(rocketmq.CodeSystemError, "?"), refuse, core.MaybeStored, core.ClassRejected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := &coretest.Transport{Unwritten: tt.unwritten}
			tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
				if at.Number() == 1 {
					return nil, tt.a(ctx, at)
				}
				return nil, tt.b(ctx, at)
			}
			cfg := coretest.Config(tr)
			cfg.Retry = coretest.Retry(2)
			_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
			se := sendError(t, err)
			if se.Certainty != tt.certainty || se.Class != tt.class {
				t.Errorf("got %v and %v, want %v and %v", se.Class, se.Certainty, tt.class, tt.certainty)
			}
			if len(se.Attempts) != 2 || se.Attempts[1].Number != 2 {
				t.Errorf("attempts %+v, want two", se.Attempts)
			}
		})
	}
}

func TestSuccessAfterUnknownMayBeADuplicate(t *testing.T) {
	tr := &coretest.Transport{}
	failOn(tr, "broker-a", func(context.Context, *core.Attempt) error { return core.ErrConnectionLost })
	cfg := coretest.Config(tr)
	cfg.Retry = coretest.Retry(2)
	res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if err != nil || !res.MaybeDuplicate {
		t.Errorf("got %+v, %v; want a result that may be a duplicate", res, err)
	}
}

func TestHungBrokerLeavesTimeForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		failOn(tr, "broker-a", coretest.Hang)
		cfg := coretest.Config(tr)
		cfg.Retry = coretest.Retry(3)
		p := coretest.Start(t, cfg)
		start := time.Now()
		res, err := p.Send(t.Context(), coretest.Message("x"))
		if err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != core.DefaultAttemptTimeout {
			t.Errorf("the send took %v, want the cap of one attempt, %v", got, core.DefaultAttemptTimeout)
		}
		if res.Queue.Broker != "broker-b" {
			t.Errorf("acknowledged by %v", res.Queue)
		}
		// The last broker has all the time that is left.
		if got := tr.Attempts()[1].Time; got != core.DefaultTimeout-core.DefaultAttemptTimeout {
			t.Errorf("the second attempt had %v", got)
		}
	})
}

func TestDeadlineIsHard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }
		cfg := coretest.Config(tr)
		cfg.Retry = coretest.Retry(100)
		p := coretest.Start(t, cfg)
		for _, tt := range []struct {
			name    string
			timeout time.Duration
			ctx     time.Duration
			want    time.Duration
		}{
			{"default", 0, 0, 3 * time.Second},
			{"option", 7 * time.Second, 0, 7 * time.Second},
			{"context", 0, 500 * time.Millisecond, 500 * time.Millisecond},
		} {
			ctx, cancel := t.Context(), func() {}
			if tt.ctx > 0 {
				ctx, cancel = context.WithTimeout(ctx, tt.ctx)
			}
			start := time.Now()
			var opts []core.SendOption
			if tt.timeout > 0 {
				opts = append(opts, core.SendTimeout(tt.timeout))
			}
			_, err := p.Send(ctx, coretest.Message("x"), opts...)
			cancel()
			se := sendError(t, err)
			if got := time.Since(start); got != tt.want {
				t.Errorf("%s: took %v, want %v", tt.name, got, tt.want)
			}
			if se.Class != core.ClassTimeout || se.Certainty != core.MaybeStored || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	})
}

func TestBackOffThatDoesNotFitEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		failOn(tr, "broker-a", code(rocketmq.CodeSystemBusy, ""))
		failOn(tr, "broker-a", code(rocketmq.CodeSystemBusy, ""))
		cfg := coretest.Config(tr)
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: true, After: 2 * time.Second, Reroute: core.SameQueue}
		})
		p := coretest.Start(t, cfg)
		start := time.Now()
		_, err := p.Send(t.Context(), coretest.Message("x"))
		if se := sendError(t, err); se.Class != core.ClassBusy || len(se.Attempts) != 2 {
			t.Errorf("%v", err)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("took %v: want one wait of 2 s, and no wait that cannot end in time", got)
		}
		if got := brokersOf(tr); !slices.Equal(got, []string{"broker-a", "broker-a"}) {
			t.Errorf("SameQueue went to %v", got)
		}
	})
}

func TestCancelEndsEveryWait(t *testing.T) {
	boom := errors.New("boom")
	hangRoute := coretest.RouteFunc(func(ctx context.Context, _ string) (*core.Route, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	tests := []struct {
		name      string
		change    func(*core.Config)
		certainty core.Certainty
	}{
		{"route look-up", func(c *core.Config) { c.Routes = hangRoute }, core.NotSent},
		{"answer", func(c *core.Config) {
			c.Transport = &coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }}
		}, core.MaybeStored},
		{"before the write", func(c *core.Config) {
			c.Transport = &coretest.Transport{Unwritten: true, Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }}
		}, core.NotSent},
		{"back-off", func(c *core.Config) {
			c.Transport = &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
			}}
			c.Retry = core.RetryPolicyFunc(func(*core.Failure) core.Decision {
				return core.Decision{Retry: true, After: 2900 * time.Millisecond}
			})
		}, core.NotStored},
	}
	for _, tt := range tests {
		for _, mode := range []string{"cancel", "already"} {
			t.Run(tt.name+"/"+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := coretest.Config(&coretest.Transport{})
					tt.change(&cfg)
					p, err := core.NewProducer(cfg)
					if err != nil {
						t.Fatal(err)
					}
					if err := p.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					start := time.Now()
					want, certainty := 700*time.Millisecond, tt.certainty
					switch mode {
					case "already":
						want, certainty = 0, core.NotSent
						cancel(boom)
					case "cancel":
						time.AfterFunc(want, func() { cancel(boom) })
					}
					_, err = p.Send(ctx, coretest.Message("x"))
					se := sendError(t, err)
					if got := time.Since(start); got != want {
						t.Errorf("took %v, want %v", got, want)
					}
					if !errors.Is(err, context.Canceled) || !errors.Is(err, boom) || se.Class != core.ClassCanceled {
						t.Errorf("%v: want the context's error and its cause", err)
					}
					if se.Certainty != certainty {
						t.Errorf("certainty %v, want %v", se.Certainty, certainty)
					}
					if err := p.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

func TestOpenCircuitIsNoAttempt(t *testing.T) {
	tr := &coretest.Transport{}
	open := core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		if at.Queue().Broker == "broker-a" && !at.LastResort() {
			return nil, fmt.Errorf("%s: %w", at.Queue().Broker, core.ErrCircuitOpen)
		}
		return next(ctx, at)
	})
	p := coretest.Start(t, coretest.Config(tr, core.AttemptStep("breaker", core.AttemptProtect, open)))
	res, err := p.Send(t.Context(), coretest.Message("x")) // with a policy that never retries
	if err != nil {
		t.Fatal(err)
	}
	if res.Attempts != 1 || res.Queue.Broker != "broker-b" {
		t.Errorf("result %+v, want attempt 1 on broker-b", res)
	}

	t.Run("fixed queue", func(t *testing.T) {
		m := coretest.Message("x")
		m.Queue = &core.Queue{Broker: "broker-a", ID: 1}
		if _, err := p.Send(t.Context(), m); err != nil {
			t.Errorf("no other broker may take it, so it is a last resort: %v", err)
		}
	})
	t.Run("all open", func(t *testing.T) {
		always := core.AttemptInterceptorFunc(func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			return nil, core.ErrCircuitOpen
		})
		p := coretest.Start(t, coretest.Config(&coretest.Transport{}, core.AttemptStep("breaker", core.AttemptProtect, always)))
		_, err := p.Send(t.Context(), coretest.Message("x"))
		if se := sendError(t, err); se.Class != core.ClassCircuitOpen || se.Certainty != core.NotSent || len(se.Attempts) != 0 {
			t.Errorf("%v", err)
		}
	})
}

// A call whose time was used up before an attempt says how much time that was and which
// attempt it did not come to. One that its caller ended says nothing of time.
func TestWhyAnAttemptIsNotMade(t *testing.T) {
	refuseLate := func(number int, then func()) core.Step {
		n := 0
		return core.AttemptStep("late", core.AttemptProtect, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				if n++; n < number {
					return next(ctx, at)
				}
				then()
				return nil, core.ErrCircuitOpen
			}))
	}
	sleep := func() { time.Sleep(4 * time.Second) }
	for name, tt := range map[string]struct {
		step func(cancel func()) core.Step
		says string // of the time; "" if nothing
		is   error
	}{
		"time is over before the first":  {func(func()) core.Step { return refuseLate(1, sleep) }, "the call's 3s were over before attempt 1", core.ErrTimeout},
		"time is over before the second": {func(func()) core.Step { return refuseLate(2, sleep) }, "the call's 3s were over before attempt 2", core.ErrTimeout},
		"cancelled":                      {func(cancel func()) core.Step { return refuseLate(1, cancel) }, "", context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				tr := &coretest.Transport{}
				tr.Do = func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }
				cfg := coretest.Config(tr, tt.step(cancel))
				cfg.Routes = coretest.Routes(1, "broker-a", "broker-b", "broker-c")
				cfg.Retry = coretest.Retry(2)
				_, err := coretest.Start(t, cfg).Send(ctx, coretest.Message("x"))
				if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "were over") != (tt.says != "") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestOnewayIsRetriedOnlyIfNotWritten(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written=%v", written), func(t *testing.T) {
			tr := &coretest.Transport{Unwritten: true}
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if written {
					at.MarkWritten()
				}
				if at.Number() == 1 {
					return nil, core.ErrConnectionLost
				}
				return tr.Ack(at), nil
			}
			cfg := coretest.Config(tr)
			cfg.Retry = coretest.Retry(3)
			err := coretest.Start(t, cfg).SendOneway(t.Context(), coretest.Message("x"))
			if written {
				if se := sendError(t, err); se.Certainty != core.MaybeStored || len(tr.Attempts()) != 1 {
					t.Errorf("%v after %d attempts", err, len(tr.Attempts()))
				}
			} else if err != nil || len(tr.Attempts()) != 2 {
				t.Errorf("%v after %d attempts", err, len(tr.Attempts()))
			}
		})
	}
}

func TestWeakerStatus(t *testing.T) {
	status := func(at *core.Attempt, tr *coretest.Transport, s core.SendStatus) (*core.Result, error) {
		r := tr.Ack(at)
		r.Status = s
		return r, nil
	}
	again := core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Attempt < 3, Restore: true}
	})
	t.Run("is a result", func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			return status(at, tr, core.FlushDiskTimeout)
		}
		res, err := coretest.Start(t, coretest.Config(tr)).Send(t.Context(), coretest.Message("x"))
		if err != nil || res.Status != core.FlushDiskTimeout || !res.Acked() || res.Attempts != 1 {
			t.Errorf("%+v, %v", res, err)
		}
	})
	t.Run("no other broker for a policy that thinks of failures alone", func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			return status(at, tr, core.FlushDiskTimeout)
		}
		cfg := coretest.Config(tr)
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Attempt < 3} })
		res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
		if err != nil || res.Status != core.FlushDiskTimeout || res.Attempts != 1 {
			t.Errorf("%+v, %v", res, err)
		}
	})
	t.Run("another broker when asked", func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			if at.Number() == 1 {
				return status(at, tr, core.SlaveNotAvailable)
			}
			return tr.Ack(at), nil
		}
		cfg := coretest.Config(tr)
		cfg.Retry = again
		res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
		if err != nil || res.Status != core.SendOK || res.Attempts != 2 || !res.MaybeDuplicate {
			t.Errorf("%+v, %v", res, err)
		}
	})
	t.Run("is kept when the others fail", func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			if at.Number() == 1 {
				return status(at, tr, core.FlushSlaveTimeout)
			}
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
		}
		cfg := coretest.Config(tr)
		cfg.Retry = again
		res, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
		if err != nil || res.Status != core.FlushSlaveTimeout || res.Queue.Broker != "broker-a" || res.MaybeDuplicate {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

type budget struct{ left, deposits int }

func (b *budget) Withdraw(*core.Failure) bool { b.left--; return b.left >= 0 }
func (b *budget) Deposit()                    { b.deposits++ }

func TestBudgetBoundsRetries(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
	}
	b := &budget{left: 2}
	cfg := coretest.Config(tr)
	cfg.Retry, cfg.Budget = coretest.Retry(100), b
	p := coretest.Start(t, cfg)
	_, err := p.Send(t.Context(), coretest.Message("x"))
	if se := sendError(t, err); len(se.Attempts) != 3 {
		t.Errorf("%d attempts, want 1 and the budget's 2", len(se.Attempts))
	}
	tr.Do = nil
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil || b.deposits != 1 {
		t.Errorf("%v, %d deposits", err, b.deposits)
	}
}

func TestNextAgainRepeatsEverythingBelow(t *testing.T) {
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if len(tr.Attempts()) < 3 {
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
		}
		return tr.Ack(at), nil
	}
	inner := 0
	p := coretest.Start(t, coretest.Config(tr,
		core.CallStep("again", core.StageObserve, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			for {
				if r, err := next(ctx, c); err == nil {
					return r, nil
				}
			}
		})),
		core.CallStep("inner", core.StageEncode, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			inner++
			c.Outgoing().SetProperty("run", fmt.Sprint(inner))
			return next(ctx, c)
		}))))
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	sent := tr.Attempts()
	if inner != 3 || len(sent) != 3 || !strings.Contains(sent[2].Properties, "run=3;") {
		t.Errorf("inner ran %d times, sent %v", inner, sent)
	}
}
