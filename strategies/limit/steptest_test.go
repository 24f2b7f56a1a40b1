package limit_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/strategies/limit"
)

// The bulkhead keeps the rules of attempt interceptors.
func TestBulkheadRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		b, err := limit.NewBulkhead(limit.BulkheadConfig{Max: 8})
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Step{Step: b.Step(), MayWait: true, Vetoes: true}
	})
}

// The adaptive limit keeps them too.
func TestAdaptiveRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		a, err := limit.NewAdaptive(limit.AdaptiveConfig{})
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Step{
			Step: a.Step(), MayWait: true, Vetoes: true, Permits: 150,
			Skip: map[string]string{"I12": "failures lower the limit: that is what it is for"},
		}
	})
}

// The rate limit keeps the rules of interceptors.
func TestRateRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		r, err := limit.NewRate(limit.RateConfig{PerSecond: 10_000, Burst: 1_000})
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Step{Step: r.Step(), MayWait: true, Vetoes: true}
	})
}
