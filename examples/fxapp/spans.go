package main

import (
	"context"
	"fmt"
	"io"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
)

// NewTracing makes what the application traces with: a provider that prints each
// span as it ends. A real one exports them; see examples/tracing.
func NewTracing(lc fx.Lifecycle, out io.Writer) (trace.TracerProvider, propagation.TextMapPropagator) {
	p := sdktrace.NewTracerProvider(sdktrace.WithSyncer(printer{out}))
	lc.Append(fx.StopHook(p.Shutdown))
	return p, propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}

type printer struct{ out io.Writer }

func (p printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		fmt.Fprintf(p.out, "  span %q, %v, %v%s\n", s.Name(), s.SpanKind(), s.Status().Code, pick(s.Attributes()))
		for _, e := range s.Events() {
			fmt.Fprintf(p.out, "    %s%s\n", e.Name, pick(e.Attributes))
		}
	}
	return nil
}

func (printer) Shutdown(context.Context) error { return nil }

// pick shows the attributes that tell the story.
func pick(attrs []attribute.KeyValue) (text string) {
	for _, a := range attrs {
		switch a.Key {
		case "messaging.destination.partition.id", "error.type", "liftoff.certainty":
			text += fmt.Sprintf(", %s=%s", a.Key, a.Value.String())
		}
	}
	return text
}
