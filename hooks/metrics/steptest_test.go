package metrics_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// The step keeps the rules of interceptors and listeners.
func TestRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
		m, err := metrics.New(metrics.WithMeterProvider(provider))
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Step{Step: m.Step()}
	})
}
