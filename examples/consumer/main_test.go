package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// How a consumer joins the producer's trace stood nowhere. The spans of the official client's
// consumer are children of the send's span, in one trace.
func TestConsumerJoinsTheTrace(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, &out, provider); err != nil {
		t.Fatal(err)
	}
	byName := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range spans.Ended() {
		byName[s.Name()] = s
	}
	send, process := byName["send Orders"], byName["process Orders"]
	if send == nil || process == nil {
		t.Fatalf("spans: %v", byName)
	}
	if process.Parent().SpanID() != send.SpanContext().SpanID() || process.SpanContext().TraceID() != send.SpanContext().TraceID() {
		t.Errorf("the consumer's span has the parent %v of trace %v, the send is %v of trace %v", process.Parent().SpanID(),
			process.SpanContext().TraceID(), send.SpanContext().SpanID(), send.SpanContext().TraceID())
	}
	if process.SpanKind() != trace.SpanKindConsumer || !process.Parent().IsRemote() {
		t.Errorf("kind %v, remote parent %v", process.SpanKind(), process.Parent().IsRemote())
	}
	if id := send.SpanContext().TraceID().String(); strings.Count(out.String(), id) != 2 {
		t.Errorf("%s\nwant the trace %s twice", out.String(), id)
	}
}
