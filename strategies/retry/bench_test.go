package retry_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core"
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
				Attempt: 1, Code: rocketmq.CodeSystemBusy, Class: core.ClassBusy, Certainty: core.NotStored,
				Err: &core.BrokerError{Code: rocketmq.CodeSystemBusy, Remark: "[TIMEOUT_CLEAN_QUEUE]broker busy"},
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Next(f)
			}
		})
	}
}
