package retry_test

import (
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/strategytest"
)

// The policies of this package that need no option of the kit keep its rules.
func TestKit(t *testing.T) {
	backoff := retry.Decorrelated(time.Millisecond, time.Second)
	for name, p := range map[string]core.RetryPolicy{
		"none":              retry.None(),
		"decorrelated":      retry.AtLeastOnce(retry.Pause(backoff)),
		"with decorrelated": retry.WithBackoff(retry.Java49(), backoff),
		"limit":             retry.Limit(retry.AtLeastOnce(retry.Retries(20)), map[core.Class]int{core.ClassTimeout: 1, core.ClassBusy: 50}),
		"same queue":        retry.AtLeastOnce(retry.SameQueue(), retry.RestoreWeak()),
	} {
		t.Run(name, func(t *testing.T) {
			strategytest.TestRetryPolicy(t, func() core.RetryPolicy { return p }, strategytest.RetryOptions{})
		})
	}
	t.Run("safe, same queue", func(t *testing.T) {
		p := retry.Safe(retry.SameQueue(), retry.Pause(backoff))
		strategytest.TestRetryPolicy(t, func() core.RetryPolicy { return p }, strategytest.RetryOptions{SafeOnly: true})
	})
}
