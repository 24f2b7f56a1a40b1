package tracing_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/internal/race"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Where nobody wants spans, tracing costs the text of the injected context.
func TestUnsampledParentAllocates1(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, Remote: true,
	}))
	measure := func(steps ...core.Step) float64 {
		p := coretest.Start(t, coretest.Config(&coretest.Transport{Forget: true}, steps...))
		m := coretest.Message("x")
		return testing.AllocsPerRun(2000, func() {
			if _, err := p.Send(ctx, m); err != nil {
				t.Fatal(err)
			}
		})
	}
	tr := newTracing(t, tracing.WithTracerProvider(sdktrace.NewTracerProvider()), tracing.WithPropagators(propagators()))
	without, with := measure(), measure(tr.Step())
	t.Logf("allocations per send: %v without, %v with tracing", without, with)
	if with-without > 1 {
		t.Errorf("tracing costs %v allocations", with-without)
	}
}
