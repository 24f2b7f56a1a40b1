package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/fx"
)

const (
	// endpoint is where spans go, by OpenTelemetry's own convention.
	endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	// flushTime bounds the export at the end.
	flushTime = 5 * time.Second
)

// NewProvider makes the application's tracer provider and propagators. The
// producer takes them through the graph, so it drains before the provider stops.
func NewProvider(lc fx.Lifecycle) (trace.TracerProvider, propagation.TextMapPropagator, error) {
	propagators := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	if os.Getenv(endpoint) == "" {
		return noop.NewTracerProvider(), propagators, nil
	}
	exporter := otlptrace.NewUnstarted(otlptracehttp.NewClient()) // reads the OTEL_ variables
	service, err := resource.Merge(resource.Default(), resource.NewWithAttributes(semconv.SchemaURL, semconv.ServiceName("checkout")))
	if err != nil {
		return nil, nil, err
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(service))
	lc.Append(fx.Hook{
		OnStart: exporter.Start,
		OnStop: func(ctx context.Context) error {
			// A collector that is away must not make the stop of a healthy
			// program fail.
			ctx, cancel := context.WithTimeout(ctx, flushTime)
			defer cancel()
			if err := p.Shutdown(ctx); err != nil {
				slog.WarnContext(ctx, "spans were lost", "error", err)
			}
			return nil
		},
	})
	return p, propagators, nil
}
