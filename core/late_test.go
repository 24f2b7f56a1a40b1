package core_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

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
			if err := next(); core.ClassOf(err) != core.ClassPlugin {
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
