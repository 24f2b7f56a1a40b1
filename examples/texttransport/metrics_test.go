package texttransport_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/examples/texttransport"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A word is the error's type in the metrics.
func TestMetrics(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		s.decide = says("text-a", texttransport.Busy)
		reader := sdkmetric.NewManualReader()
		m, err := metrics.New(metrics.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
		if err != nil {
			t.Fatal(err)
		}
		p := producer(t, s, retries(2), m.Step())
		if _, err := p.Send(t.Context(), order("books")); err != nil {
			t.Fatal(err)
		}
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &rm); err != nil {
			t.Fatal(err)
		}
		sent := map[string]int64{}
		for _, m := range rm.ScopeMetrics[0].Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
				for _, p := range sum.DataPoints {
					v, _ := p.Attributes.Value(attribute.Key("error.type"))
					sent[v.AsString()] += p.Value
				}
			}
		}
		if len(sent) != 2 || sent["BUSY"] != 1 || sent[""] != 1 {
			t.Errorf("messages by the type of the error: %v", sent)
		}
	})
}
