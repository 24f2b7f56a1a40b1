package breaker_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// The step keeps the rules of attempt interceptors and listeners.
func TestRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		b, err := breaker.New(breaker.Config{})
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Step{Step: b.Step()}
	})
}
