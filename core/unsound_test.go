package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// Errors whose methods panic.
type (
	badClass  struct{ error }
	badUnwrap struct{ error }
)

func (badClass) ErrorClass() core.Class { panic("class") }
func (badUnwrap) Unwrap() error         { panic("unwrap") }

// An error that panics when it is asked is a mistake of the plugin that made it,
// and of nobody else: the caller gets an error, and the attempt its report.
func TestErrorsThatPanic(t *testing.T) {
	errs := map[string]error{
		"nil broker error":       (*core.BrokerError)(nil),
		"nil send error":         (*core.SendError)(nil),
		"class":                  badClass{errors.New("x")},
		"unwrap":                 badUnwrap{errors.New("x")},
		"unwrap below a class":   fmt.Errorf("%w, %w", core.ErrTimeout, badUnwrap{errors.New("x")}),
		"wrapped nil, in a veto": fmt.Errorf("mine: %w", (*core.BrokerError)(nil)),
	}
	plugins := map[string]func(*core.Config, error){
		"transport": func(c *core.Config, err error) {
			c.Transport = &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, err }}
		},
		"interceptor": func(c *core.Config, err error) {
			c.Steps = append(c.Steps, core.CallStep("mine", core.StageGuard, core.InterceptorFunc(
				func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, err })))
		},
		"attempt interceptor": func(c *core.Config, err error) {
			c.Steps = append(c.Steps, core.AttemptStep("mine", core.AttemptGuard, core.AttemptInterceptorFunc(
				func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) { return nil, err })))
		},
		"selector": func(c *core.Config, err error) {
			c.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector {
				return core.QueueSelectorFunc(func(context.Context, *core.Selection) (int, error) { return 0, err })
			})
		},
		"route source": func(c *core.Config, err error) {
			c.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return nil, err })
		},
	}
	for what, bad := range errs {
		for who, plugin := range plugins {
			t.Run(who+" "+what, func(t *testing.T) {
				count := &attemptCount{}
				cfg := coretest.Config(&coretest.Transport{}, core.ListenerStep("count", count))
				plugin(&cfg, bad)
				p := coretest.Start(t, cfg)
				_, err := p.Send(t.Context(), coretest.Message("x"))
				if se := sendError(t, err); se.Class != core.ClassPlugin || !strings.Contains(se.Error(), "panic in ") {
					t.Errorf("got %v", err)
				}
				done := make(chan error, 1)
				p.SendAsync(t.Context(), coretest.Message("y"), func(_ core.Result, err error) { done <- err })
				if err := <-done; core.ClassOf(err) != core.ClassPlugin {
					t.Errorf("asynchronously: %v", err)
				}
				want := 0
				if strings.Contains(who, "attempt") || who == "transport" {
					want = 2
				}
				if count.calls != 2 || count.attempts != want {
					t.Errorf("CallDone ran %d times, AttemptDone %d, want 2 and %d", count.calls, count.attempts, want)
				}
			})
		}
	}
}

// A policy that never ends has an end, and an error that can be read.
func TestAttemptsHaveAnEnd(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }})
	cfg.Retry = core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true} })
	_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	se := sendError(t, err)
	if n := len(se.Attempts); n != 1000 {
		t.Errorf("%d attempts", n)
	}
	for _, want := range []string{"attempt 1 to", "attempt 4 to", "; 992 more; attempt 997 to", "attempt 1000 to"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "attempt 5 to") {
		t.Errorf("all attempts are in the text: %d bytes", len(err.Error()))
	}
}

// The text of an error that a step made of the error of a send says things once.
func TestWrappedSendErrorSaysThingsOnce(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }},
		core.CallStep("fallback", core.StageGuard, core.InterceptorFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				_, err := next(ctx, c)
				return nil, fmt.Errorf("no fallback either: %w", err)
			})))
	_, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x"))
	if n := strings.Count(err.Error(), "attempt 1 to"); n != 1 {
		t.Errorf("%d times in %v", n, err)
	}
	if se := sendError(t, err); len(se.Attempts) != 1 {
		t.Errorf("%d attempts", len(se.Attempts))
	}
}

type broke struct{}

func (broke) Withdraw(*core.Failure) bool { return false }
func (broke) Deposit()                    {}

// Who could not retry for want of a budget says so.
func TestSpentBudgetShows(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }})
	cfg.Retry, cfg.Budget = coretest.Retry(3), broke{}
	p := coretest.Start(t, cfg)
	_, err := p.Send(t.Context(), coretest.Message("x"))
	if se := sendError(t, err); se.Stop != core.StopBudget || len(se.Attempts) != 1 || !strings.Contains(err.Error(), "retry budget is spent") {
		t.Errorf("got %v", err)
	}
	_, err = p.Send(t.Context(), coretest.Message("x"), core.SendRetry(coretest.NoRetry()))
	if se := sendError(t, err); se.Stop == core.StopBudget {
		t.Errorf("without a retry: %v", err)
	}
}

// A route source that ends its goroutine fails the sends that wait for it, and is
// asked again.
func TestRouteSourceEndsItsGoroutine(t *testing.T) {
	calls := 0
	cfg := coretest.Config(&coretest.Transport{})
	routes := cfg.Routes
	cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
		if calls++; calls == 1 {
			runtime.Goexit()
		}
		return routes.Route(ctx, topic)
	})
	p := coretest.Start(t, cfg)
	_, err := p.Send(t.Context(), coretest.Message("x"))
	if !errors.Is(err, core.ErrContract) {
		t.Errorf("the first: %v", err)
	}
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Errorf("the second: %v", err)
	}
}

// A route source that does not heed its context holds no Shutdown up.
func TestShutdownLeavesABlockedRouteSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) {
			<-release
			return nil, core.ErrNoRoute
		})
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Send(t.Context(), coretest.Message("x"), core.SendTimeout(time.Second)); !errors.Is(err, core.ErrTimeout) {
			t.Errorf("the send: %v", err)
		}
		start := time.Now()
		if err := p.Shutdown(t.Context()); err == nil || !strings.Contains(err.Error(), "route source") {
			t.Errorf("shutdown: %v", err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		close(release)
	})
}

// What is acknowledged after the abort is not undelivered.
func TestUndeliveredIsWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{}
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			if at.Call().Message().Tag == "soon" {
				time.Sleep(510 * time.Millisecond) // it does not heed the abort
				return tr.Ack(at), nil
			}
			return nil, coretest.Hang(ctx, at)
		}
		cfg := coretest.Config(tr)
		cfg.Timeout = time.Hour
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		failed := 0
		outcomes := make(chan error, 5)
		for i := range 5 {
			m := coretest.Message("x")
			if i < 2 {
				m.Tag = "soon"
			}
			p.SendAsync(t.Context(), m, func(_ core.Result, err error) { outcomes <- err })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		err = p.Shutdown(ctx)
		for range 5 {
			if err := <-outcomes; err != nil {
				failed++
			}
		}
		var se *core.ShutdownError
		if !errors.As(err, &se) || failed != 3 || se.Undelivered != failed {
			t.Errorf("%d failed, shutdown: %v", failed, err)
		}
	})
}

// A step that waits with a bound context comes back in time.
func TestBound(t *testing.T) {
	for _, scope := range []string{"call", "attempt"} {
		for name, tt := range map[string]struct {
			end  func(p *core.Producer, cancel context.CancelFunc)
			want error
		}{
			"deadline": {func(*core.Producer, context.CancelFunc) {}, core.ErrTimeout},
			"caller":   {func(_ *core.Producer, cancel context.CancelFunc) { cancel() }, context.Canceled},
			"shutdown": {func(p *core.Producer, _ context.CancelFunc) {
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				_ = p.Shutdown(ctx)
			}, core.ErrAborted},
		} {
			t.Run(scope+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					wait := func(ctx context.Context) error {
						<-ctx.Done()
						return core.ContextError(ctx)
					}
					step := core.CallStep("mine", core.StageGuard, core.InterceptorFunc(
						func(ctx context.Context, c *core.Call, _ core.Handler) (*core.Result, error) {
							ctx, cancel := c.Bound(ctx)
							defer cancel()
							return nil, wait(ctx)
						}))
					if scope == "attempt" {
						step = core.AttemptStep("mine", core.AttemptProtect, core.AttemptInterceptorFunc(
							func(ctx context.Context, at *core.Attempt, _ core.AttemptHandler) (*core.Result, error) {
								ctx, cancel := at.Bound(ctx)
								defer cancel()
								return nil, wait(ctx)
							}))
					}
					p := coretest.Start(t, coretest.Config(&coretest.Transport{}, step))
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					start, done := time.Now(), make(chan error, 1)
					go func() {
						_, err := p.Send(ctx, coretest.Message("x"))
						done <- err
					}()
					synctest.Wait()
					tt.end(p, cancel)
					if err := <-done; !errors.Is(err, tt.want) {
						t.Errorf("got %v, want %v", err, tt.want)
					}
					if took := time.Since(start); took > core.DefaultTimeout {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// A selector factory that ends its goroutine fails the sends to its topic, each with
// an error.
func TestSelectorFactoryEndsItsGoroutine(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector {
		runtime.Goexit()
		return nil
	})
	p := coretest.Start(t, cfg)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = p.Send(context.Background(), coretest.Message("x")) // it does not return
	}()
	<-ended
	for range 2 {
		if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrContract) {
			t.Errorf("got %v", err)
		}
	}
}

// fatal is a listener that ends the goroutine when a send fails.
type fatal struct{}

func (fatal) CallDone(_ context.Context, r *core.CallReport) {
	if r.Err != nil {
		runtime.Goexit()
	}
}

// A listener that ends the goroutine while it hears that there was no room takes
// nobody's outcome away.
func TestListenerEndsTheGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			<-hold
			return tr.Ack(at), nil
		}
		cfg := coretest.Config(tr, core.ListenerStep("fatal", fatal{}))
		cfg.MaxInFlight = 1
		p := coretest.Start(t, cfg)
		p.SendAsync(t.Context(), coretest.Message("x"), nil)
		synctest.Wait()
		done := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		go p.SendAsync(ctx, coretest.Message("y"), func(_ core.Result, err error) { done <- err })
		if err := <-done; !errors.Is(err, core.ErrContract) {
			t.Errorf("got %v", err)
		}
		close(hold)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// slowStart is a service that takes its time.
type slowStart struct{ hold chan struct{} }

func (s slowStart) Start(context.Context) error  { <-s.hold; return nil }
func (slowStart) Shutdown(context.Context) error { return nil }

// Who starts a producer that somebody else is starting waits no longer than wanted.
func TestStartBehindAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Own = []core.Service{slowStart{hold}}
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		first := make(chan error)
		go func() { first <- p.Start(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(hold)
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
