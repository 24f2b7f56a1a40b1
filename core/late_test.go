package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// A step that calls next after its call has ended gets an error. Nothing is sent, and nothing
// crashes, also where no step of core's stands between.
func TestNextCalledLate(t *testing.T) {
	tr := &coretest.Transport{}
	var late []func() error
	p := coretest.Start(t, coretest.Config(tr,
		core.CallStep("call", core.StageGuard, core.InterceptorFunc(
			func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
				late = append(late, func() error { _, err := next(ctx, c); return err })
				return next(ctx, c)
			})),
		core.AttemptStep("attempt", core.AttemptGuard, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				late = append(late, func() error { _, err := next(ctx, at); return err })
				if string(at.Call().Message().Body) == "veto" {
					return nil, core.ErrForbidden
				}
				return next(ctx, at)
			})),
		core.AttemptStep("below", core.AttemptWire, ring{}),
	))
	for _, body := range []string{"sent", "veto"} {
		late = nil
		_, _ = p.Send(t.Context(), coretest.Message(body))
		if len(late) != 2 {
			t.Fatalf("%d steps ran", len(late))
		}
		for i, next := range late {
			want := fmt.Sprintf("step %q called next after it had returned", []string{"call", "attempt"}[i])
			if err := next(); core.ClassOf(err) != core.ClassPlugin || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, step %d: %v", body, i, err)
			}
		}
	}
	if n := len(tr.Attempts()); n != 1 {
		t.Errorf("%d attempts", n)
	}
	if _, err := p.Send(t.Context(), coretest.Message("sent")); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

// An error says which step called next twice or made a success of its own, in each scope and
// wherever the step stands. What lies within is not run again.
func TestStepThatBreaksItsContractIsNamed(t *testing.T) {
	type fault int
	const (
		none fault = iota
		twice
		forged
	)
	for _, recall := range []bool{false, true} {
		for _, f := range []fault{twice, forged} {
			for place := range 3 {
				var ran [3]int
				act := func(i int, next func() error) error {
					ran[i]++
					switch {
					case i != place:
						return next()
					case f == forged:
						return nil
					}
					_ = next()
					return next()
				}
				cfg := coretest.Config(&recaller{}, scripted(0, act, recall), scripted(1, act, recall), scripted(2, act, recall))
				p := coretest.Start(t, cfg)
				var err error
				if recall {
					_, err = p.Recall(t.Context(), "T", handleOf("T", "broker-a"))
				} else {
					_, err = p.Send(t.Context(), coretest.Message("x"))
				}
				is := core.ErrNextTwice
				if f == forged {
					is = core.ErrContract
				}
				if !errors.Is(err, is) || !strings.Contains(err.Error(), fmt.Sprintf("step \"s%d\"", place)) {
					t.Errorf("recall %v, fault %d of step %d: %v", recall, f, place, err)
				}
				for i, n := range ran {
					if want := map[bool]int{true: 1, false: 0}[i <= place || f == twice]; n != want {
						t.Errorf("recall %v, fault %d of step %d: step %d ran %d times, want %d", recall, f, place, i, n, want)
					}
				}
			}
		}
	}
}

// scripted is a step of attempt scope; for operations the first of them stands in message scope.
func scripted(i int, act func(i int, next func() error) error, recall bool) core.Step {
	s := &script{i, act}
	name := fmt.Sprintf("s%d", i)
	if recall && i == 0 {
		return core.CallStep(name, core.StageGuard, scriptedCall{s: s})
	}
	return core.AttemptStep(name, core.AttemptGuard, s)
}

type script struct {
	i   int
	act func(i int, next func() error) error
}

func (s *script) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	res := at.Result()
	err := s.act(s.i, func() (err error) {
		res, err = next(ctx, at)
		return err
	})
	if err != nil {
		res = nil
	}
	return res, err
}

func (s *script) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	return s.act(s.i, func() error { return next(ctx, op) })
}

type scriptedCall struct{ s *script }

func (c scriptedCall) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	return c.s.InterceptOperation(ctx, op, next)
}

func (scriptedCall) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

// A step that waits until the time is over says nothing of where and how long. The error does.
func TestTimeoutOfAStepSaysWhere(t *testing.T) {
	for name, step := range map[string]core.Step{
		"call": around("tollgate", func(ctx context.Context, c *core.Call, _ core.Handler) (*core.Result, error) {
			return nil, c.Wait(ctx, nil)
		}),
		"attempt": core.AttemptStep("tollgate", core.AttemptGuard, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, _ core.AttemptHandler) (*core.Result, error) {
				return nil, at.Wait(ctx, nil)
			})),
		"within others": around("tollgate", func(ctx context.Context, c *core.Call, _ core.Handler) (*core.Result, error) {
			return nil, c.Wait(ctx, nil)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				outer := core.CallStep("outer", core.StageObserve, core.InterceptorFunc(
					func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) { return next(ctx, c) }))
				p := coretest.Start(t, coretest.Config(&coretest.Transport{}, step, outer))
				_, err := p.Send(t.Context(), coretest.Message("x"))
				if core.ClassOf(err) != core.ClassTimeout || core.CertaintyOf(err) != core.NotSent ||
					!strings.Contains(err.Error(), `in step "tollgate", 3s after the call began: rocketmq: timeout`) || strings.Count(err.Error(), "in step") != 1 {
					t.Errorf("got %v", err)
				}
			})
		})
	}
	// The transport's time-out is not a step's.
	synctest.Test(t, func(t *testing.T) {
		p := coretest.Start(t, coretest.Config(&coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			return nil, coretest.Hang(ctx, at)
		}}, core.AttemptStep("innocent", core.AttemptGuard, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				return next(ctx, at)
			}))))
		if _, err := p.Send(t.Context(), coretest.Message("x")); strings.Contains(err.Error(), "innocent") {
			t.Errorf("got %v", err)
		}
	})
}

// An asynchronous send whose goroutine ends is told once, with the outcome that done gets.
func TestCallDoneAfterGoexit(t *testing.T) {
	for name, step := range map[string]core.Step{
		"call": core.CallStep("exit", core.StageGuard, core.InterceptorFunc(
			func(context.Context, *core.Call, core.Handler) (*core.Result, error) {
				runtime.Goexit()
				return nil, nil
			})),
		"attempt": core.AttemptStep("exit", core.AttemptGuard, core.AttemptInterceptorFunc(
			func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
				runtime.Goexit()
				return nil, nil
			})),
		"listener": core.ListenerStep("exit", exitsAfterCalls{}),
	} {
		t.Run(name, func(t *testing.T) {
			seen := &lockedOutcomes{}
			p := coretest.Start(t, coretest.Config(&coretest.Transport{}, step, core.ListenerStep("a.seen", seen)))
			const sends = 20
			var wg sync.WaitGroup
			for range sends {
				wg.Add(1)
				p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) {
					defer wg.Done()
					if !errors.Is(err, core.ErrContract) || core.CertaintyOf(err) != core.MaybeStored {
						t.Errorf("done: %v", err)
					}
				})
			}
			wg.Wait()
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if len(seen.certain) != sends {
				t.Errorf("%d outcomes of %d sends", len(seen.certain), sends)
			}
			for _, c := range seen.certain {
				if name != "listener" && c != core.MaybeStored {
					t.Errorf("certainty %v", c)
				}
			}
			if got := p.Snapshot().Totals.Calls["async"]; got != sends {
				t.Errorf("%d calls counted", got)
			}
		})
	}
}

// exitsAfterCalls is a listener that ends the goroutine of every call.
type exitsAfterCalls struct{}

func (exitsAfterCalls) CallDone(context.Context, *core.CallReport) { runtime.Goexit() }
