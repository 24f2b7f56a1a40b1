package health_test

import (
	"context"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/health"
)

// BenchmarkHealth is the question that a selector asks for each queue.
func BenchmarkHealth(b *testing.B) {
	l, r := must(health.NewLatency(health.Config{})), must(health.NewReachability(health.ReachabilityConfig{}))
	for name, v := range map[string]core.HealthView{"latency": l, "reachability": r, "worst": health.Worst(l, r), "first": health.First(l, r)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.Health(brokerA)
			}
		})
	}
}

// BenchmarkSend is a send without the table and with it, which listens to every attempt.
func BenchmarkSend(b *testing.B) {
	for _, with := range []bool{false, true} {
		b.Run(map[bool]string{false: "without", true: "with"}[with], func(b *testing.B) {
			cfg := coretest.Config(&coretest.Transport{Forget: true})
			if with {
				l, err := health.NewLatency(health.Config{})
				if err != nil {
					b.Fatal(err)
				}
				cfg.Health = l
			}
			p, msg := coretest.Start(b, cfg), coretest.Message("x")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Send(context.Background(), msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
