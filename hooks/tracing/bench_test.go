package tracing_test

import (
	"context"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// BenchmarkSend is a send without tracing, with a parent that nobody samples, and with spans.
func BenchmarkSend(b *testing.B) {
	parent := func(flags trace.TraceFlags) context.Context {
		return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: flags, Remote: true,
		}))
	}
	tr := newTracing(b, tracing.WithTracerProvider(sdktrace.NewTracerProvider()), tracing.WithPropagators(propagators()))
	for _, bm := range []struct {
		name  string
		ctx   context.Context
		steps []core.Step
	}{
		{"without", parent(0), nil},
		{"unsampled", parent(0), []core.Step{tr.Step()}},
		{"sampled", parent(trace.FlagsSampled), []core.Step{tr.Step()}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p, m := coretest.Start(b, coretest.Config(&coretest.Transport{Forget: true}, bm.steps...)), coretest.Message("x")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Send(bm.ctx, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
