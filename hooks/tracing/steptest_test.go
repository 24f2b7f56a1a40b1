package tracing_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// The step keeps the rules of interceptors, attempt interceptors and listeners, with events
// for attempts and with spans.
func TestRules(t *testing.T) {
	for name, opts := range map[string][]tracing.Option{"events": nil, "spans": {tracing.WithAttemptSpans(true)}} {
		t.Run(name, func(t *testing.T) {
			steptest.TestStep(t, func(steptest.TB) steptest.Step {
				provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(tracetest.NewSpanRecorder()))
				all := append([]tracing.Option{tracing.WithTracerProvider(provider), tracing.WithPropagators(propagators())}, opts...)
				return steptest.Step{Step: newTracing(t, all...).Step()}
			})
		})
	}
}
