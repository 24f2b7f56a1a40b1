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
// To fx a provider whose own dependencies are missing is not there, and neither is a
// *trace.TracerProvider of the SDK that is not provided as the interface. Add
// [RequireProvider] to have both reported.
package tracingfx

import (
	"fmt"

	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
)

// Module adds tracing to all producers.
var Module = With()

// With is [Module] with options of the tracing step. It takes Module's place: both together
// are an error.
func With(options ...tracing.Option) fx.Option {
	return fx.Module("liftoff.tracing", rocketmqfx.AsHook(
		func(p Params) (*tracing.Tracing, error) { return New(p, options...) }))
}

// RequireProvider makes a graph without a usable trace.TracerProvider an error.
var RequireProvider = fx.Invoke(func(trace.TracerProvider) {})

// Params are what the step takes from the graph.
type Params struct {
	fx.In

	Provider    trace.TracerProvider          `optional:"true"`
	Propagators propagation.TextMapPropagator `optional:"true"`
}

// New makes the step. Options come after what the graph has, so they win. One that is nil is
// an error.
func New(p Params, options ...tracing.Option) (*tracing.Tracing, error) {
	for i, o := range options { // here, since tracing.New would count those of the graph too
		if o == nil {
			return nil, fmt.Errorf("tracingfx: option %d is nil", i)
		}
	}
	graph := []tracing.Option{tracing.WithTracerProvider(p.Provider), tracing.WithPropagators(p.Propagators)}
	return tracing.New(append(graph, options...)...)
}
