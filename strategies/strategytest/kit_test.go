package strategytest_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/strategies/strategytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Liftoff's own strategies keep the rules.

func TestSelectors(t *testing.T) {
	keyed := coretest.Message("x")
	keyed.ShardingKey = "order-42"
	for name, newFactory := range map[string]func() core.SelectorFactory{
		"round-robin":         selector.RoundRobin,
		"random":              selector.Random,
		"hash":                selector.Hash,
		"healthy random":      func() core.SelectorFactory { return selector.Healthy(selector.Random()) },
		"healthy hash":        func() core.SelectorFactory { return selector.Healthy(selector.Hash()) },
		"healthy round-robin": func() core.SelectorFactory { return selector.Healthy(selector.RoundRobin()) },
	} {
		t.Run(name, func(t *testing.T) {
			strategytest.TestSelector(t, newFactory, strategytest.SelectorOptions{Keyed: keyed})
		})
	}
	t.Run("in order", func(t *testing.T) {
		strategytest.TestSelector(t, coretest.InOrder, strategytest.SelectorOptions{Skip: map[string]string{
			"S3": "it takes the first queue", "S5": "health does not matter to it",
		}})
	})
}

func TestRetryPolicies(t *testing.T) {
	for name, p := range map[string]core.RetryPolicy{
		"at least once": retry.AtLeastOnce(),
		"patient":       retry.AtLeastOnce(retry.Retries(50)),
		"java 5":        retry.Java5(),
		"java 4.9":      retry.Java49(),
		"elsewhere, of docs/pipeline.md": core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			if f.Class == core.ClassForbidden && !f.Answered && f.Untried > 0 {
				return core.Decision{Retry: true}
			}
			return retry.AtLeastOnce().Next(f)
		}),
		"backoff": retry.WithBackoff(retry.Java5(), retry.Exponential(time.Millisecond, time.Second, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			strategytest.TestRetryPolicy(t, func() core.RetryPolicy { return p }, strategytest.RetryOptions{})
		})
	}
	for name, p := range map[string]core.RetryPolicy{
		"patient, restoring":  retry.AtLeastOnce(retry.Retries(50), retry.RestoreWeak()),
		"java 4.9, restoring": retry.Java49(retry.RestoreWeak()),
	} {
		t.Run(name, func(t *testing.T) {
			strategytest.TestRetryPolicy(t, func() core.RetryPolicy { return p }, strategytest.RetryOptions{RestoresWeak: true})
		})
	}
	t.Run("safe", func(t *testing.T) {
		strategytest.TestRetryPolicy(t, func() core.RetryPolicy { return retry.Safe() }, strategytest.RetryOptions{SafeOnly: true})
	})
}

func TestHealthViews(t *testing.T) {
	t.Run("latency", func(t *testing.T) {
		strategytest.TestHealth(t, func() (core.HealthView, []core.Step) { return latency(t), nil }, strategytest.HealthOptions{})
	})
	t.Run("breaker", func(t *testing.T) {
		strategytest.TestHealth(t, func() (core.HealthView, []core.Step) {
			b := breakers(t)
			return b, []core.Step{b.Step()}
		}, strategytest.HealthOptions{Failures: 5})
	})
	t.Run("both", func(t *testing.T) {
		strategytest.TestHealth(t, func() (core.HealthView, []core.Step) {
			b := breakers(t)
			return health.Worst(b, latency(t)), []core.Step{b.Step()}
		}, strategytest.HealthOptions{})
	})
}

func latency(t *testing.T) *health.Latency {
	l, err := health.NewLatency(health.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func breakers(t *testing.T) *breaker.Breakers {
	b, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
