package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// inAttempt is a step in attempt scope.
func inAttempt(name string, f core.AttemptInterceptorFunc) core.Step {
	return core.AttemptStep(name, core.AttemptGuard, f)
}

// An attempt is the last resort when no better broker is left: every other one was tried or
// is down, or none but this one may take the message.
func TestLastResort(t *testing.T) {
	for _, tt := range []struct {
		name    string
		brokers []string
		change  func(*core.Config)
		fixed   bool
		want    []bool // of each attempt
	}{
		{"three brokers", []string{"broker-a", "broker-b", "broker-c"}, nil, false, []bool{false, false, true, true}},
		{"one broker", []string{"broker-a"}, nil, false, []bool{true, true, true, true}},
		{"another is down", []string{"broker-a", "broker-b"}, func(c *core.Config) { c.Health = down("broker-b") }, false, []bool{true, true, true, true}},
		{"this one is down", []string{"broker-a", "broker-b"}, func(c *core.Config) { c.Health = down("broker-a") }, false, []bool{false, true, true, true}},
		{"fixed queue", []string{"broker-a", "broker-b"}, nil, true, []bool{true, true, true, true}},
		{"fixed queue of a broker that is down", []string{"broker-a", "broker-b"}, func(c *core.Config) { c.Health = down("broker-a") }, true, []bool{true, true, true, true}},
		{"the same queue again", []string{"broker-a", "broker-b"}, func(c *core.Config) { c.Retry = again(4) }, false, []bool{false, true, true, true}},
		{"fixed queue of one broker", []string{"broker-a"}, nil, true, []bool{true, true, true, true}},
		{"consistent", []string{"broker-a", "broker-b"}, func(c *core.Config) {
			c.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { return sticky{} })
		}, false, []bool{true, true, true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []bool
			cfg := coretest.Config(&coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				got = append(got, at.LastResort())
				return nil, core.ErrConnectionLost
			}})
			cfg.Routes, cfg.Retry = coretest.Routes(1, tt.brokers...), coretest.Retry(4)
			if tt.change != nil {
				tt.change(&cfg)
			}
			m := coretest.Message("x")
			if tt.fixed {
				m.Queue = &core.Queue{Broker: "broker-a"}
			}
			_, err := coretest.Start(t, cfg).Send(t.Context(), m)
			if len(sendError(t, err).Attempts) != 4 || !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v; %v", got, tt.want, err)
			}
		})
	}
}

// The same queue again is wanted, and the route has lost it: then any queue will do, and the
// attempt is no last resort while others are left.
func TestSameQueueIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		cfg := coretest.Config(nil)
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			if first {
				first = false
				return coretest.Routes(1, "broker-a", "broker-b").Route(ctx, topic)
			}
			return coretest.Routes(1, "broker-b", "broker-c").Route(ctx, topic)
		})
		var got []string
		cfg.Transport = &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			got = append(got, fmt.Sprint(at.Broker().Name, " ", at.LastResort()))
			return nil, core.ErrConnectionLost
		}}
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Attempt < 3, Reroute: core.SameQueue, After: time.Second}
		})
		_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
		if want := []string{"broker-a false", "broker-b false", "broker-b true"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q; %v", got, want, err)
		}
	})
}

// again is a policy of n attempts that wants the same queue each time.
func again(n int) core.RetryPolicy {
	return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Attempt < n, Reroute: core.SameQueue}
	})
}

// attemptEnd is what a report said.
type attemptEnd struct {
	err                error
	class              core.Class
	latency            time.Duration
	written, abandoned bool
}

// ends collects the reports of attempts.
type ends []attemptEnd

func (e *ends) AttemptDone(_ context.Context, r *core.AttemptReport) {
	*e = append(*e, attemptEnd{r.Err, r.Class, r.Latency, r.Written, r.Abandoned})
}

// A report tells how an attempt ended, and how long it was at the transport, without what
// steps waited for.
func TestAttemptReports(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name string
		step core.AttemptInterceptorFunc
		do   func(tr *coretest.Transport, at *core.Attempt) (*core.Result, error)
		want attemptEnd
	}{
		{"success", nil, nil, attemptEnd{latency: time.Second, written: true}},
		{"failure", nil, func(*coretest.Transport, *core.Attempt) (*core.Result, error) { return nil, boom }, attemptEnd{boom, core.ClassUnknown, time.Second, true, false}},
		{
			"veto", func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
				return nil, core.ErrForbidden
			},
			nil,
			attemptEnd{core.ErrForbidden, core.ClassForbidden, 0, false, true},
		},
		{
			"goroutine ended", func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
				runtime.Goexit()
				return nil, nil
			},
			nil,
			attemptEnd{core.ErrContract, core.ClassPlugin, 0, false, true},
		},
		{
			"goroutine ended at the transport", nil,
			func(*coretest.Transport, *core.Attempt) (*core.Result, error) { runtime.Goexit(); return nil, nil },
			attemptEnd{core.ErrContract, core.ClassPlugin, time.Second, true, false},
		},
		{
			"changed too late", func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				res, err := next(ctx, at)
				at.Call().Outgoing().SetBody([]byte("late"))
				return res, err
			}, nil, attemptEnd{core.ErrFrozen, core.ClassPlugin, time.Second, true, false},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, tr := &ends{}, &coretest.Transport{}
				tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
					time.Sleep(time.Second)
					if tt.do != nil {
						return tt.do(tr, at)
					}
					return tr.Ack(at), nil
				}
				p := coretest.Start(t, coretest.Config(tr, core.ListenerStep("ends", got), inAttempt("slow", func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
					time.Sleep(100 * time.Millisecond)
					if tt.step != nil {
						return tt.step(ctx, at, next)
					}
					return next(ctx, at)
				})))
				outcome := make(chan error, 1)
				p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { outcome <- err })
				err := <-outcome
				if len(*got) != 1 {
					t.Fatalf("%d reports", len(*got))
				}
				r := (*got)[0]
				if !errors.Is(r.err, tt.want.err) || (r.err == nil) != (tt.want.err == nil) {
					t.Errorf("reported %v, want %v", r.err, tt.want.err)
				}
				if r.err = tt.want.err; r != tt.want {
					t.Errorf("reported %+v, want %+v", r, tt.want)
				}
				var se *core.SendError
				if errors.As(err, &se) && len(se.Attempts) == 1 && se.Attempts[0].Duration != tt.want.latency {
					t.Errorf("the error says %v", se.Attempts[0].Duration)
				}
			})
		})
	}
}

// A change that comes too late fails a call that was stored, and says so.
func TestChangedAfterItWasStored(t *testing.T) {
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}, inAttempt("late", func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		res, err := next(ctx, at)
		at.Call().Outgoing().SetProperty("late", "1")
		return res, err
	})))
	_, err := p.Send(t.Context(), coretest.Message("x"))
	if se := sendError(t, err); !errors.Is(err, core.ErrFrozen) || se.Certainty != core.Stored || se.Attempts[0].Certainty != core.Stored {
		t.Errorf("got %v", err)
	}
}

// How sure an attempt is of its message follows from the broker's answer to it, not from
// what a step makes of that.
func TestCertaintyOfAnAttempt(t *testing.T) {
	boom := errors.New("boom")
	fails := inAttempt("fails", func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		_, _ = next(ctx, at)
		return nil, boom
	})
	writes := func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		at.Result().Status = core.Written
		return at.Result(), nil
	}
	for _, tt := range []struct {
		name   string
		oneway bool
		steps  []core.Step
		do     func(context.Context, *core.Attempt) (*core.Result, error)
		want   core.Certainty
	}{
		{"acknowledged", false, []core.Step{fails}, nil, core.Stored},
		{"only written", false, []core.Step{fails}, writes, core.MaybeStored},
		{"one-way", true, []core.Step{fails}, nil, core.MaybeStored},
		{"one-way, confirmed", true, []core.Step{fails, confirm(1)}, nil, core.Stored},
		{"one-way, asked in vain", true, []core.Step{fails, confirm(1)}, writes, core.MaybeStored},
		{"refused", false, []core.Step{fails}, refused, core.NotStored},
	} {
		cfg := coretest.Config(&coretest.Transport{Do: tt.do}, tt.steps...)
		var seen []core.Certainty
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			seen = append(seen, f.Certainty)
			return core.Decision{}
		})
		p := coretest.Start(t, cfg)
		var err error
		if tt.oneway {
			err = p.SendOneway(t.Context(), coretest.Message("x"))
		} else {
			_, err = p.Send(t.Context(), coretest.Message("x"))
		}
		if se := sendError(t, err); se.Certainty != tt.want || se.Attempts[0].Certainty != tt.want {
			t.Errorf("%s: the call says %v, its attempt %v, want %v", tt.name, se.Certainty, se.Attempts[0].Certainty, tt.want)
		}
	}
}

// A transport that gives the bare cause of its context has said that the context ended; any
// other error stands, whatever the context did.
func TestErrorsOfAnEndedContext(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name string
		err  func(ctx context.Context) error
		want core.Class
		is   []error
	}{
		{"cause", context.Cause, core.ClassCanceled, []error{boom, context.Canceled}},
		{"wrapped cause", func(ctx context.Context) error { return errors.Join(errors.New("read"), context.Cause(ctx)) }, core.ClassCanceled, []error{boom, context.Canceled}},
		{"another", func(context.Context) error { return core.ErrConnectionLost }, core.ClassNetwork, []error{core.ErrConnectionLost}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: func(ctx context.Context, _ *core.Attempt) (*core.Result, error) {
				<-ctx.Done()
				return nil, tt.err(ctx)
			}}))
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Millisecond, func() { cancel(boom) })
			_, err := p.Send(ctx, coretest.Message("x"))
			se := sendError(t, err)
			if len(se.Attempts) == 0 {
				t.Skip("the context ended before the attempt")
			}
			if se.Class != tt.want || se.Attempts[0].Class != tt.want {
				t.Errorf("got %v, want class %v", err, tt.want)
			}
			for _, is := range tt.is {
				if !errors.Is(err, is) {
					t.Errorf("%v is not %v", err, is)
				}
			}
		})
	}
}

// learning is a selector that hears of its attempts.
type learning struct {
	heard  int
	panics bool
}

func (l *learning) Select(context.Context, *core.Selection) (int, error) { return 0, nil }

func (l *learning) AttemptDone(context.Context, *core.AttemptReport) {
	l.heard++
	if l.panics {
		panic("boom")
	}
}

// hearingFactory makes selectors and is one that hears.
type hearingFactory struct{ learning }

func (f *hearingFactory) ForTopic(string) core.QueueSelector { return &f.learning }

// A selector that hears is told of each attempt once: of the topic's, of the call's own, also
// where the message names its queue, and where it is a step as well. A panic in it is logged.
func TestSelectorsThatHear(t *testing.T) {
	own, other := &learning{}, &learning{}
	fixed := &core.Message{Topic: "T", Body: []byte("x"), Queue: &core.Queue{Broker: "broker-b"}}
	factory := core.SelectorFactoryFunc(func(string) core.QueueSelector { return own })
	for _, tt := range []struct {
		name       string
		change     func(*core.Config)
		msg        *core.Message
		opts       []core.SendOption
		own, other int
	}{
		{"of the topic", nil, coretest.Message("x"), nil, 2, 0},
		{"fixed queue", nil, fixed, nil, 2, 0},
		{"of the call", nil, coretest.Message("x"), []core.SendOption{core.SendSelector(other)}, 0, 2},
		{"a step too", func(c *core.Config) { c.Steps = []core.Step{core.ListenerStep("own", own)} }, coretest.Message("x"), nil, 2, 0},
		{"beside another listener", func(c *core.Config) { c.Steps = []core.Step{core.ListenerStep("other", other)} }, coretest.Message("x"), nil, 2, 2},
		{"panics", func(*core.Config) { own.panics = true }, coretest.Message("x"), nil, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			*own, *other = learning{}, learning{}
			logs, tr := &logLines{}, &coretest.Transport{}
			tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				if at.Number() == 1 {
					return nil, core.ErrConnectionLost
				}
				return tr.Ack(at), nil
			}
			cfg := coretest.Config(tr)
			cfg.Selector, cfg.Retry, cfg.Logger = factory, coretest.Retry(2), logs.logger()
			if tt.change != nil {
				tt.change(&cfg)
			}
			if _, err := coretest.Start(t, cfg).Send(t.Context(), tt.msg, tt.opts...); err != nil {
				t.Fatal(err)
			}
			if own.heard != tt.own || other.heard != tt.other {
				t.Errorf("it heard %d times, the other %d; want %d and %d", own.heard, other.heard, tt.own, tt.other)
			}
			want := 0
			if own.panics {
				want = 2
			}
			if n := logs.count("listener panicked"); n != want {
				t.Errorf("%d panics are logged", n)
			}
		})
	}
	t.Run("its factory's", func(t *testing.T) {
		f := &hearingFactory{}
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Selector = f
		if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil || f.heard != 2 {
			t.Errorf("%v, it heard %d times: the factory and the selector are two values", err, f.heard)
		}
	})
}

// retries collects the reports of retries.
type retries []core.RetryReport

func (r *retries) RetryScheduled(_ context.Context, report *core.RetryReport) {
	*r = append(*r, *report)
}

// A retry is reported before its pause, to the one listener that there is.
func TestRetryReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, tr := &retries{}, &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			if len(*got) != at.Number()-1 {
				t.Errorf("%d reports before attempt %d", len(*got), at.Number())
			}
			switch at.Number() {
			case 1:
				return nil, core.ErrConnectionLost
			case 2:
				r := tr.Ack(at)
				r.Status = core.FlushDiskTimeout
				return r, nil
			}
			return tr.Ack(at), nil
		}
		cfg := coretest.Config(tr, core.ListenerStep("retries", got))
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: true, Restore: true, After: time.Duration(3-2*f.Attempt) * time.Second}
		})
		p := coretest.Start(t, cfg)
		start := time.Now()
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil || time.Since(start) != time.Second {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		if len(*got) != 2 || (*got)[0].Attempt != 1 || (*got)[0].Delay != time.Second || !errors.Is((*got)[0].Err, core.ErrConnectionLost) ||
			(*got)[1].Attempt != 2 || (*got)[1].Delay != 0 || (*got)[1].Err != nil {
			t.Errorf("reported %+v", *got)
		}
	})
}

// An error says that the call was cut while it looked its route up, and only then.
func TestWhereACallWasCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }})
		routes := cfg.Routes
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			if topic == "T" {
				return routes.Route(ctx, topic)
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		cfg.Retry = core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true, After: time.Second} })
		p := coretest.Start(t, cfg)
		for topic, want := range map[string]bool{"U": true, "T": false} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(500*time.Millisecond, cancel)
			_, err := p.Send(ctx, &core.Message{Topic: topic, Body: []byte("x")})
			if has := strings.Contains(err.Error(), `route of "`+topic+`"`); has != want || core.ClassOf(err) != core.ClassCanceled {
				t.Errorf("got %v", err)
			}
		}
	})
}

// Where there is no budget nothing is asked of it, and nothing is logged.
func TestNoBudget(t *testing.T) {
	logs := &logLines{}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Logger = logs.logger()
	if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil || logs.count("level=ERROR") != 0 {
		t.Errorf("%v, logged %s", err, logs.buf.String())
	}
}

// An answer that means an outdated route has the route looked up before the next attempt. A
// look-up that fails leaves the old route in use; one that gives it up ends the call, without
// another.
func TestRouteIsRefreshedBetweenAttempts(t *testing.T) {
	lost := errors.New("no name server")
	for _, tt := range []struct {
		name   string
		second func() (*core.Route, error)
		is     error
		sent   []string
	}{
		{"renewed", func() (*core.Route, error) { return routeTo("new"), nil }, nil, []string{"old", "new"}},
		{"failed", func() (*core.Route, error) { return nil, lost }, nil, []string{"old", "old"}},
		{"given up", func() (*core.Route, error) { return nil, core.ErrNotWritable }, core.ErrNotWritable, []string{"old"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{give: func(n int) (*core.Route, error) {
					if n == 1 {
						return routeTo("old"), nil
					}
					return tt.second()
				}}
				tr := &coretest.Transport{}
				tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
					if at.Number() == 1 {
						return nil, coretest.Refuse(at, rocketmq.CodeNoPermission, "sending is forbidden")
					}
					return tr.Ack(at), nil
				}
				cfg := coretest.Config(tr)
				cfg.Routes, cfg.Retry = src, coretest.Retry(5)
				_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
				if !errors.Is(err, tt.is) || (err == nil) != (tt.is == nil) {
					t.Errorf("got %v, want %v", err, tt.is)
				}
				if got := brokersOf(tr); !slices.Equal(got, tt.sent) || src.count() != 2 {
					t.Errorf("sent to %v after %d look-ups, want %v after 2", got, src.count(), tt.sent)
				}
			})
		})
	}
}
