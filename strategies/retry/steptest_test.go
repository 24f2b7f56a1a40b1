package retry_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// The budget keeps the rules of budgets.
func TestBudgetRules(t *testing.T) {
	steptest.TestBudget(t, func(tb steptest.TB) steptest.Budget {
		b, err := retry.NewBudget(retry.DefaultRatio, retry.DefaultBurst)
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Budget{Budget: b, Most: retry.DefaultBurst}
	})
}
