package strategytest_test

import (
	"context"
	"strings"
	"sync/atomic"
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

func TestMain(m *testing.M) {
	// Some of the broken strategies leave a goroutine in virtual time that has ended.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/liftoff-mq/liftoff/strategies/strategytest.leftBehind"))
}

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
	t.Run("of docs, for one zone", func(t *testing.T) {
		strategytest.TestSelector(t, func() core.SelectorFactory { return localFirst("a") }, strategytest.SelectorOptions{Narrow: true})
	})
	t.Run("in order", func(t *testing.T) {
		strategytest.TestSelector(t, coretest.InOrder, strategytest.SelectorOptions{Narrow: true, IgnoresHealth: true})
	})
}

// localFirst is the selector of docs/plugins.md.
func localFirst(zone string) core.SelectorFactory {
	return core.SelectorFactoryFunc(func(topic string) core.QueueSelector {
		var next atomic.Uint32
		return core.QueueSelectorFunc(func(ctx context.Context, s *core.Selection) (int, error) {
			var local, others []int // a real one would keep these lists per route
			for i := range s.Len() {
				switch {
				case s.Tried(i) || s.Health(i) == core.HealthDown:
				case strings.HasPrefix(s.Queue(i).Broker, zone):
					local = append(local, i)
				default:
					others = append(others, i)
				}
			}
			for _, list := range [][]int{local, others} {
				if len(list) > 0 {
					return list[int(next.Add(1))%len(list)], nil
				}
			}
			return 0, nil // the engine copes with a bad broker
		})
	})
}

// impatient is the retry policy of docs/plugins.md: it tries once more, and only what is
// certainly not stored.
var impatient = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
	switch f.Class {
	case core.ClassNetwork, core.ClassTimeout, core.ClassBusy, core.ClassUnavailable:
		return core.Decision{Retry: f.Attempt < 2 && f.Certainty.Safe() && f.Untried > 0}
	}
	return core.Decision{} // give up
})

func TestRetryPolicies(t *testing.T) {
	for name, p := range map[string]core.RetryPolicy{
		"at least once": retry.AtLeastOnce(),
		"patient":       retry.AtLeastOnce(retry.Retries(50)),
		"java 5":        retry.Java5(),
		"java 4.9":      retry.Java49(),
		"elsewhere after a veto": core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			if f.Class == core.ClassForbidden && !f.Answered && f.Untried > 0 && !f.Consistent {
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
	t.Run("impatient, of docs/plugins.md", func(t *testing.T) {
		strategytest.TestRetryPolicy(t, func() core.RetryPolicy { return impatient }, strategytest.RetryOptions{SafeOnly: true, MaxAttempts: 2})
	})
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
