package selector_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

func BenchmarkRoundRobin(b *testing.B) {
	for _, bm := range []struct {
		brokers, queues int
		down            int
	}{{1, 1, 0}, {1, 10, 0}, {10, 10, 0}, {100, 100, 0}, {100, 100, 1}, {100, 100, 99}, {100, 100, 100}} {
		b.Run(fmt.Sprintf("queues=%d/down=%d", bm.brokers*bm.queues, bm.down), func(b *testing.B) {
			names := brokers(bm.brokers)
			health := map[string]core.Health{}
			for _, n := range names[:bm.down] {
				health[n] = core.HealthDown
			}
			in(b, situation{routes: coretest.Routes(bm.queues, names...), health: health}, func(ctx context.Context, sel *core.Selection) {
				s := selector.RoundRobin().ForTopic("T")
				b.ReportAllocs()
				for b.Loop() {
					_, _ = s.Select(ctx, sel)
				}
			})
		})
	}
}

func BenchmarkHash(b *testing.B) {
	msg := coretest.Message("x")
	msg.ShardingKey = "order-0123456789"
	in(b, situation{routes: coretest.Routes(100, brokers(100)...), msg: msg}, func(ctx context.Context, sel *core.Selection) {
		s := selector.Hash().ForTopic("T")
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.Select(ctx, sel)
		}
	})
}
