package sendhook_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
)

// The step keeps the rules of attempt interceptors.
func TestRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		var begun, ended atomic.Int64
		hook, err := sendhook.New(sendhook.Funcs("count",
			func(context.Context, *sendhook.Context) error {
				begun.Add(1)
				return nil
			},
			func(context.Context, *sendhook.Context) { ended.Add(1) }))
		if err != nil {
			tb.Fatalf("%v", err)
		}
		tb.Cleanup(func() {
			if b, e := begun.Load(), ended.Load(); b != e {
				tb.Errorf("%d attempts began and %d ended", b, e)
			}
		})
		return steptest.Step{Step: hook.Step()}
	})
}
