// Package metricsfx measures the sends of an fx application with OpenTelemetry.
// Adding [Module] is all there is to it.
//
// The meter provider is taken from the application's graph, as a
// metric.MeterProvider, and only where it has none from OpenTelemetry's global.
//
// To fx a provider whose own dependencies are missing is not there, and neither is a
// *metric.MeterProvider of the SDK that is not provided as the interface. Add
// [RequireProvider] to have both reported.
package metricsfx

import (
	"fmt"

	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/fx"
)

// Module adds metrics to all producers.
var Module = With()

// With is [Module] with options of the metrics step. It takes Module's place: both together
// are an error.
func With(options ...metrics.Option) fx.Option {
	return fx.Module("liftoff.metrics", rocketmqfx.AsHook(
		func(p Params) (*metrics.Metrics, error) { return New(p, options...) }))
}

// RequireProvider makes a graph without a usable metric.MeterProvider an error.
var RequireProvider = fx.Invoke(func(metric.MeterProvider) {})

// Params are what the step takes from the graph.
type Params struct {
	fx.In

	Provider metric.MeterProvider `optional:"true"`
}

// New makes the step. Options come after what the graph has, so they win. One that is nil is
// an error.
func New(p Params, options ...metrics.Option) (*metrics.Metrics, error) {
	for i, o := range options { // here, since metrics.New would count those of the graph too
		if o == nil {
			return nil, fmt.Errorf("metricsfx: option %d is nil", i)
		}
	}
	graph := []metrics.Option{metrics.WithMeterProvider(p.Provider)}
	return metrics.New(append(graph, options...)...)
}
