// Package tracingfx traces the sends of an fx application with OpenTelemetry.
// Adding [Module] is all there is to it; leaving it out leaves no OpenTelemetry
// object behind.
//
// Tracer provider and propagators are taken from the application's graph, as
// trace.TracerProvider and propagation.TextMapPropagator, and only where it has
// none from OpenTelemetry's globals. Providing them has an advantage: fx stops
// what was made first last, so the producers drain before their tracer provider
// shuts down, and the spans of the drain are not lost. Note that the global
// propagator does nothing until the program sets one.
//
// A provider is an optional dependency, and fx treats one whose own dependencies
// are missing as absent; so does a *trace.TracerProvider of the SDK that is not
// provided as the interface. Add [RequireProvider] to have both reported.
package tracingfx

import (
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
)

// Module adds tracing to all producers or, given to rocketmqfx.Named directly, to
// that one alone.
var Module = rocketmqfx.AsHook(New)

// RequireProvider makes a graph without a usable trace.TracerProvider an error.
var RequireProvider = fx.Invoke(func(trace.TracerProvider) {})

// With passes options to the tracing step. Options that contradict each other
// belong into one call, where the last one counts.
func With(options ...tracing.Option) rocketmqfx.Part {
	return rocketmqfx.Provide(fx.Annotate(func() []tracing.Option { return options },
		fx.ResultTags(`group:"rocketmq.tracing"`)))
}

// Params are what the step is made of.
type Params struct {
	fx.In

	Provider    trace.TracerProvider          `optional:"true"`
	Propagators propagation.TextMapPropagator `optional:"true"`
	Options     [][]tracing.Option            `group:"rocketmq.tracing"`
}

// New makes the step.
func New(p Params) *tracing.Tracing {
	options := []tracing.Option{tracing.WithTracerProvider(p.Provider), tracing.WithPropagators(p.Propagators)}
	for _, more := range p.Options {
		options = append(options, more...)
	}
	return tracing.New(options...)
}
