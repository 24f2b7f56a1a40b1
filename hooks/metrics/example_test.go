package metrics_test

import (
	"context"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func ExampleNew() {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))

	m, err := metrics.New(metrics.WithMeterProvider(provider), metrics.WithDurationBuckets(metrics.LowLatencyBuckets()...))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}, m.Step()))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer p.Shutdown(ctx)

	for range 3 {
		if _, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
			fmt.Println(err)
			return
		}
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &rm); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			fmt.Println(m.Name, sum.DataPoints[0].Value)
		}
	}
	// Output: messaging.client.sent.messages 3
}
