package metrics_test

import (
	"context"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// BenchmarkSend is a send without metrics and with them.
func BenchmarkSend(b *testing.B) {
	m, err := metrics.New(metrics.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))))
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name  string
		steps []core.Step
	}{{"without", nil}, {"with", []core.Step{m.Step()}}} {
		b.Run(bm.name, func(b *testing.B) {
			p, msg := coretest.Start(b, coretest.Config(&coretest.Transport{Forget: true}, bm.steps...)), coretest.Message("x")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Send(context.Background(), msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
