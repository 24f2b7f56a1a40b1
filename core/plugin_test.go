package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func TestPluginMistakes(t *testing.T) {
	call := func(f core.InterceptorFunc) core.Step {
		return core.CallStep("mine", core.StageGuard, f)
	}
	attempt := func(f core.AttemptInterceptorFunc) core.Step {
		return core.AttemptStep("mine", core.AttemptGuard, f)
	}
	boom := errors.New("boom")
	selector := func(f core.QueueSelectorFunc) func(*core.Config) {
		return func(c *core.Config) {
			c.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { return f })
		}
	}
	tests := []struct {
		name      string
		change    func(*core.Config)
		is        error
		says      string
		class     core.Class
		certainty core.Certainty
		sent      int
	}{
		{"interceptor panics", func(c *core.Config) {
			c.Steps = []core.Step{call(func(context.Context, *core.Call, core.Handler) (*core.Result, error) { panic(boom) })}
		}, boom, "panic in mine", core.ClassPlugin, core.NotSent, 0},
		{"attempt interceptor panics", func(c *core.Config) {
			c.Steps = []core.Step{attempt(func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) { panic(boom) })}
		}, boom, "panic in mine", core.ClassPlugin, core.NotSent, 0},
		{"panic after the acknowledgement", func(c *core.Config) {
			c.Steps = []core.Step{attempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				_, _ = next(ctx, at)
				panic(boom)
			})}
		}, boom, "panic in mine", core.ClassPlugin, core.Stored, 1},
		{"nothing returned", func(c *core.Config) {
			c.Steps = []core.Step{call(func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, nil })}
		}, core.ErrContract, "mine returned neither", core.ClassPlugin, core.NotSent, 0},
		{"result without a status", func(c *core.Config) {
			c.Steps = []core.Step{call(func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return &core.Result{}, nil })}
		}, core.ErrContract, "mine returned a result without a status", core.ClassPlugin, core.NotSent, 0},
		{"attempt answered without the transport", func(c *core.Config) {
			c.Steps = []core.Step{attempt(func(_ context.Context, at *core.Attempt, _ core.AttemptHandler) (*core.Result, error) {
				return at.Result(), nil
			})}
		}, core.ErrContract, `step "mine" gave an attempt a success that the transport did not make`, core.ClassPlugin, core.NotSent, 0},
		{"failure of the transport hidden", func(c *core.Config) {
			c.Transport = &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }}
			c.Steps = []core.Step{attempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				_, _ = next(ctx, at)
				return at.Result(), nil
			})}
		}, core.ErrContract, `step "mine" gave an attempt a success that the transport did not make`, core.ClassPlugin, core.MaybeStored, 1},
		{"result and error", func(c *core.Config) {
			c.Steps = []core.Step{attempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				r, _ := next(ctx, at)
				return r, boom
			})}
		}, boom, "mine returned a result and an error", core.ClassPlugin, core.Stored, 1},
		{"next twice", func(c *core.Config) {
			c.Steps = []core.Step{attempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				_, _ = next(ctx, at)
				return next(ctx, at)
			})}
		}, core.ErrNextTwice, `next was called twice: by step "mine"`, core.ClassPlugin, core.Stored, 1},
		{"outgoing changed in attempt scope", func(c *core.Config) {
			c.Steps = []core.Step{attempt(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				at.Call().Outgoing().SetBody([]byte("other"))
				return next(ctx, at)
			})}
		}, core.ErrFrozen, "", core.ClassPlugin, core.NotSent, 0},
		{"selector panics", selector(func(context.Context, *core.Selection) (int, error) { panic(boom) }), boom, "panic in selector", core.ClassPlugin, core.NotSent, 0},
		{"selector out of range", selector(func(context.Context, *core.Selection) (int, error) { return 4, nil }), core.ErrContract, "chose queue 4 of 4", core.ClassPlugin, core.NotSent, 0},
		{"selector below range", selector(func(context.Context, *core.Selection) (int, error) { return -1, nil }), core.ErrContract, "chose queue -1", core.ClassPlugin, core.NotSent, 0},
		{"selector fails", selector(func(context.Context, *core.Selection) (int, error) { return 0, boom }), boom, "select a queue", core.ClassUnknown, core.NotSent, 0},
		{"factory panics", func(c *core.Config) {
			c.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { panic(boom) })
		}, boom, "panic in selector factory", core.ClassPlugin, core.NotSent, 0},
		{"factory gives nil", func(c *core.Config) {
			c.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { return nil })
		}, core.ErrContract, "no selector", core.ClassPlugin, core.NotSent, 0},
		{"policy panics", func(c *core.Config) {
			c.Transport = &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }}
			c.Retry = core.RetryPolicyFunc(func(*core.Failure) core.Decision { panic(boom) })
		}, boom, "panic in retry policy", core.ClassPlugin, core.MaybeStored, 1},
		{"transport panics", func(c *core.Config) {
			c.Transport = &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { panic(boom) }}
		}, boom, "panic in transport", core.ClassPlugin, core.MaybeStored, 1},
		{"transport returns nothing", func(c *core.Config) {
			c.Transport = &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, nil }}
		}, core.ErrContract, "transport returned neither", core.ClassPlugin, core.MaybeStored, 1},
		{"transport returns a result without a status", func(c *core.Config) {
			c.Transport = &coretest.Transport{Unwritten: true, Do: func(context.Context, *core.Attempt) (*core.Result, error) { return &core.Result{}, nil }}
		}, core.ErrContract, "transport returned a result without a status", core.ClassPlugin, core.MaybeStored, 1},
		{"route source panics", func(c *core.Config) {
			c.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { panic(boom) })
		}, boom, "panic in route source", core.ClassPlugin, core.NotSent, 0},
		{"route source returns nothing", func(c *core.Config) {
			c.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return nil, nil })
		}, core.ErrNoRoute, "no writable queue", core.ClassNoRoute, core.NotSent, 0},
		{"bad property", func(c *core.Config) {
			c.Steps = []core.Step{call(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				c.Outgoing().SetProperty("x", "y\x02DELAY\x013")
				return next(ctx, c)
			})}
		}, core.ErrInvalidMessage, "separator", core.ClassInvalid, core.NotSent, 0},
		{"too many properties", func(c *core.Config) {
			c.Steps = []core.Step{call(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				c.Outgoing().SetProperty("x", strings.Repeat("y", rocketmq.MaxPropertiesLength))
				return next(ctx, c)
			})}
		}, core.ErrInvalidMessage, "at most 32255", core.ClassInvalid, core.NotSent, 0},
		{"veto with a broker's error from elsewhere", func(c *core.Config) {
			c.Steps = []core.Step{attempt(func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
				return nil, fmt.Errorf("mine: %w", &core.BrokerError{Code: rocketmq.CodeSystemError})
			})}
		}, nil, "mine", core.ClassBroker, core.NotSent, 0},
		{"veto", func(c *core.Config) {
			c.Steps = []core.Step{attempt(func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
				return nil, fmt.Errorf("mine: %w", core.ErrForbidden)
			})}
		}, core.ErrForbidden, "mine", core.ClassForbidden, core.NotSent, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := coretest.Config(&coretest.Transport{})
			tt.change(&cfg)
			tr := cfg.Transport.(*coretest.Transport)
			count := &attemptCount{}
			cfg.Steps = append(cfg.Steps, core.ListenerStep("count", count))
			p := coretest.Start(t, cfg)
			_, err := p.Send(t.Context(), coretest.Message("x"))
			se := sendError(t, err)
			if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want one that is %v and says %q", err, tt.is, tt.says)
			}
			if se.Class != tt.class || se.Certainty != tt.certainty {
				t.Errorf("got %v, %v; want %v, %v", se.Class, se.Certainty, tt.class, tt.certainty)
			}
			if got := len(tr.Attempts()); got != tt.sent {
				t.Errorf("%d attempts on the wire, want %d", got, tt.sent)
			}
			if count.calls != 1 {
				t.Errorf("CallDone ran %d times", count.calls)
			}
			// The producer lives on.
			done := make(chan error, 1)
			p.SendAsync(t.Context(), coretest.Message("y"), func(_ core.Result, err error) { done <- err })
			if err := <-done; err == nil || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("asynchronously: %v", err)
			}
		})
	}
}

type attemptCount struct{ calls, attempts, abandoned, written int }

func (a *attemptCount) CallDone(context.Context, *core.CallReport) { a.calls++ }
func (a *attemptCount) AttemptDone(_ context.Context, r *core.AttemptReport) {
	a.attempts++
	if r.Abandoned {
		a.abandoned++
	}
	if r.Written {
		a.written++
	}
}

// Every successful Select is followed by exactly one AttemptDone.
func TestAttemptDoneOncePerSelect(t *testing.T) {
	selects := 0
	count := &attemptCount{}
	step := 0
	cfg := coretest.Config(&coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
		if step == 3 {
			return nil, core.ErrConnectionLost
		}
		r := at.Result()
		return r, nil
	}},
		core.ListenerStep("count", count),
		core.AttemptStep("veto", core.AttemptGuard, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				switch step {
				case 1:
					return nil, core.ErrForbidden
				case 2:
					panic("x")
				case 4:
					runtime.Goexit()
				}
				return next(ctx, at)
			})))
	cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector {
		return core.QueueSelectorFunc(func(context.Context, *core.Selection) (int, error) { selects++; return 0, nil })
	})
	p := coretest.Start(t, cfg)
	for step = range 5 {
		done := make(chan struct{})
		p.SendAsync(t.Context(), coretest.Message("x"), func(core.Result, error) { close(done) })
		<-done
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if selects != 5 || count.attempts != 5 || count.abandoned != 3 || count.written != 2 {
		t.Errorf("%d selects, %+v; want 5 of each, 3 abandoned, 2 written", selects, *count)
	}
}

// allInOne is a factory, its own selector and the view of the brokers' health.
type allInOne struct {
	attemptCount
	selects, routes int
}

func (a *allInOne) ForTopic(string) core.QueueSelector { return a }
func (a *allInOne) Select(context.Context, *core.Selection) (int, error) {
	a.selects++
	return 0, nil
}
func (a *allInOne) Health(core.Broker) core.Health { return core.HealthGood }
func (a *allInOne) RouteChanged(*core.RouteReport) { a.routes++ }

// A value that is several strategies at once, or a step as well, is told once.
func TestOneValueListensOnce(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*core.Config, *allInOne)
	}{
		{"selector", func(c *core.Config, a *allInOne) { c.Selector = a }},
		{"selector and health", func(c *core.Config, a *allInOne) { c.Selector, c.Health = a, a }},
		{"selector and step", func(c *core.Config, a *allInOne) {
			c.Selector, c.Steps = a, []core.Step{core.ListenerStep("count", a)}
		}},
		{"its own selector only for topics", func(c *core.Config, a *allInOne) {
			c.Selector, c.Health = core.SelectorFactoryFunc(func(string) core.QueueSelector { return a }), a
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := &allInOne{}
			cfg := coretest.Config(&coretest.Transport{})
			tt.change(&cfg, all)
			p := coretest.Start(t, cfg)
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			if err := p.Shutdown(t.Context()); err != nil { // joins who reports the route
				t.Fatal(err)
			}
			if all.selects != 1 || all.attempts != 1 || all.routes != 1 {
				t.Errorf("%d selects, %d attempts and %d routes; want 1 of each", all.selects, all.attempts, all.routes)
			}
		})
	}
}

// A batch that does not fit leaves nothing frozen: the step that runs the call
// again may change it.
func TestFailedFreezeThaws(t *testing.T) {
	tr := &coretest.Transport{}
	runs := 0
	p := coretest.Start(t, coretest.Config(tr,
		core.CallStep("again", core.StageObserve, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if _, err := next(ctx, c); !errors.Is(err, core.ErrInvalidMessage) {
				t.Errorf("first run: %v", err)
			}
			return next(ctx, c)
		})),
		core.CallStep("grow", core.StageShape, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			size := rocketmq.MaxPropertiesLength
			if runs++; runs > 1 {
				size = 10
			}
			i := 0
			for out := range c.All() {
				if i++; i == 2 {
					out.SetProperty("x", strings.Repeat("y", size))
				} else {
					out.SetProperty("run", fmt.Sprint(runs))
				}
			}
			return next(ctx, c)
		}))))
	if _, err := p.SendBatch(t.Context(), []*core.Message{coretest.Message("1"), coretest.Message("2")}); err != nil {
		t.Error(err)
	}
}
