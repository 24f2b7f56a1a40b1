package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Every failed send says why there was no further attempt.
func TestStopReason(t *testing.T) {
	busy := func(at *core.Attempt) error { return coretest.Refuse(at, rocketmq.CodeSystemBusy, "") }
	lost := func(*core.Attempt) error { return core.ErrConnectionLost }
	always := core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true} })
	pause := func(d time.Duration) core.RetryPolicy {
		return core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true, After: d} })
	}
	hang := func(at *core.Attempt) error { return at.Wait(context.Background(), nil) }
	for _, tt := range []struct {
		name     string
		do       func(at *core.Attempt) error
		retry    core.RetryPolicy
		budget   core.RetryBudget
		change   func(*core.Config)
		oneway   bool
		want     core.StopReason
		attempts int
		says     string
		took     time.Duration
	}{
		{name: "policy", do: busy, retry: coretest.Retry(3), want: core.StopPolicy, attempts: 3},
		{name: "policy, at once", do: busy, retry: coretest.NoRetry(), want: core.StopPolicy, attempts: 1},
		{name: "refused locally", do: func(*core.Attempt) error { return core.ErrInvalidMessage }, retry: always, want: core.StopFinal, attempts: 1},
		{name: "unsupported", do: func(*core.Attempt) error { return core.ErrUnsupported }, retry: always, want: core.StopFinal, attempts: 1},
		{name: "closed", do: func(*core.Attempt) error { return core.ErrClosed }, retry: always, want: core.StopFinal, attempts: 1},
		{name: "a plugin broke", do: func(*core.Attempt) error { return core.ErrContract }, retry: always, want: core.StopFinal, attempts: 1},
		{name: "cancelled", do: func(*core.Attempt) error { return context.Canceled }, retry: always, want: core.StopFinal, attempts: 1},
		{name: "one-way, written", do: lost, retry: always, oneway: true, want: core.StopFinal, attempts: 1},
		{name: "budget", do: busy, retry: always, budget: &budget{left: 4}, want: core.StopBudget, attempts: 5, says: "; no other attempt: the retry budget is spent"},
		{name: "pause too long", do: busy, retry: pause(time.Second + time.Millisecond), want: core.StopTime, attempts: 3, says: "; no other attempt: not enough time is left", took: 2002 * time.Millisecond},
		{name: "pause as long as the time", do: busy, retry: pause(3 * time.Second), want: core.StopTime, attempts: 1, says: "not enough time is left"},
		{name: "limit", do: busy, retry: always, want: core.StopLimit, attempts: 1000, says: "; no other attempt: 1000 is the limit"},
		{name: "a policy that panics", do: busy, retry: core.RetryPolicyFunc(func(*core.Failure) core.Decision { panic("boom") }), want: core.StopNone, attempts: 1},
		{name: "a budget that panics", do: busy, retry: always, budget: panicBudget{}, want: core.StopNone, attempts: 1},
		{name: "no route", do: busy, retry: always, change: func(c *core.Config) {
			c.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return nil, core.ErrNoRoute })
		}, want: core.StopNone},
		{name: "the time is over", do: hang, retry: always, change: func(c *core.Config) { c.Timeout = time.Second / 2 }, want: core.StopTime, attempts: 1, took: time.Second / 2},
		{name: "the time is over, and the policy would not have gone on", do: hang, retry: coretest.NoRetry(), change: func(c *core.Config) { c.Timeout = time.Second / 2 }, want: core.StopPolicy, attempts: 1, took: time.Second / 2},
		{name: "every breaker is open", retry: always, change: func(c *core.Config) {
			c.Steps = []core.Step{core.AttemptStep("open", core.AttemptProtect, core.AttemptInterceptorFunc(
				func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
					return nil, core.ErrCircuitOpen
				}))}
		}, want: core.StopNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &coretest.Transport{Do: func(_ context.Context, at *core.Attempt) (*core.Result, error) { return nil, tt.do(at) }}
				cfg := coretest.Config(tr)
				cfg.Retry, cfg.Budget = tt.retry, tt.budget
				if tt.change != nil {
					tt.change(&cfg)
				}
				p := coretest.Start(t, cfg)
				start := time.Now()
				var err error
				if tt.oneway {
					err = p.SendOneway(t.Context(), coretest.Message("x"))
				} else {
					_, err = p.Send(t.Context(), coretest.Message("x"))
				}
				se := sendError(t, err)
				if se.Stop != tt.want || len(se.Attempts) != tt.attempts {
					t.Errorf("%v after %d attempts, want %v after %d", se.Stop, len(se.Attempts), tt.want, tt.attempts)
				}
				if !strings.Contains(err.Error(), tt.says) || tt.says == "" && strings.Contains(err.Error(), "no other attempt") && tt.want != core.StopTime {
					t.Errorf("it says %.300v, want %q", err, tt.says)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

type panicBudget struct{}

func (panicBudget) Withdraw(*core.Failure) bool { panic("boom") }
func (panicBudget) Deposit()                    { panic("boom") }

// A budget's panic at a success changes nothing about the success.
func TestDepositPanics(t *testing.T) {
	logs := &logLines{}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Budget, cfg.Logger = panicBudget{}, logs.logger()
	if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil || logs.count("retry budget panicked") != 1 {
		t.Errorf("%v, logged %s", err, logs.buf.String())
	}
}

// Why one run of a call stopped is not why the next one does.
func TestStopReasonOfTheLastRun(t *testing.T) {
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		second func(c *core.Call)
		want   core.StopReason
	}{
		"cannot be sent": {func(c *core.Call) { c.Outgoing().SetProperty("", "") }, core.StopNone},
		"fails again":    {func(*core.Call) {}, core.StopPolicy},
	} {
		p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, boom }}, around("again",
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				if _, err := next(ctx, c); sendError(t, err).Stop != core.StopPolicy {
					t.Errorf("%s: first %v", name, err)
				}
				tt.second(c)
				return next(ctx, c)
			})))
		_, err := p.Send(t.Context(), coretest.Message("x"))
		if se := sendError(t, err); se.Stop != tt.want {
			t.Errorf("%s: %v, %v", name, se.Stop, err)
		}
	}
}

// An error of a send of which nothing is known is no proof that the message is not stored.
func TestUnknownErrorOfASend(t *testing.T) {
	boom := errors.New("boom")
	for name, err := range map[string]error{
		"wrapped": fmt.Errorf("the other cluster: %w", &core.SendError{Cause: boom}),
		"plain":   &core.SendError{Cause: boom},
	} {
		p := coretest.Start(t, coretest.Config(&coretest.Transport{}, around("fallback",
			func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, err })))
		_, got := p.Send(t.Context(), coretest.Message("x"))
		if core.CertaintyOf(got) != core.MaybeStored || !errors.Is(got, boom) {
			t.Errorf("%s: %v, %v", name, core.CertaintyOf(got), got)
		}
	}
}
