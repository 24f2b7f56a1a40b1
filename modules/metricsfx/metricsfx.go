// Package metricsfx measures the sends of an fx application with OpenTelemetry.
// Adding [Module] is all there is to it.
//
// The meter provider is taken from the application's graph, as a
// metric.MeterProvider, and only where it has none from OpenTelemetry's global. It
// is an optional dependency, and fx treats one whose own dependencies are missing
// as absent; so does a *metric.MeterProvider of the SDK that is not provided as
// the interface. Add [RequireProvider] to have both reported.
package metricsfx

import (
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/fx"
)

// Module adds metrics to all producers or, given to rocketmqfx.Named directly, to
// that one alone.
var Module = rocketmqfx.AsHook(New)

// RequireProvider makes a graph without a usable metric.MeterProvider an error.
var RequireProvider = fx.Invoke(func(metric.MeterProvider) {})

// With passes options to the metrics step. Options that contradict each other
// belong into one call, where the last one counts.
func With(options ...metrics.Option) rocketmqfx.Part {
	return rocketmqfx.Provide(fx.Annotate(func() []metrics.Option { return options },
		fx.ResultTags(`group:"rocketmq.metrics"`)))
}

// Params are what the step is made of.
type Params struct {
	fx.In

	Provider metric.MeterProvider `optional:"true"`
	Options  [][]metrics.Option   `group:"rocketmq.metrics"`
}

// New makes the step.
func New(p Params) (*metrics.Metrics, error) {
	options := []metrics.Option{metrics.WithMeterProvider(p.Provider)}
	for _, more := range p.Options {
		options = append(options, more...)
	}
	return metrics.New(options...)
}
