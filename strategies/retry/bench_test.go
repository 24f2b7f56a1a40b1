package retry_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// BenchmarkNext is a policy's decision about a busy broker.
func BenchmarkNext(b *testing.B) {
	for name, p := range map[string]core.RetryPolicy{
		"AtLeastOnce": retry.AtLeastOnce(), "Safe": retry.Safe(), "Java5": retry.Java5(), "Java49": retry.Java49(),
	} {
		b.Run(name, func(b *testing.B) {
			f := &core.Failure{
				Attempt: 1, Code: rocketmq.CodeSystemBusy, Answered: true, Class: core.ClassBusy, Certainty: core.NotStored,
				Err: refusal.Of(rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy", "10.0.0.1:10911"),
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Next(f)
			}
		})
	}
}
