package texttransport_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/examples/texttransport"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// The context of a trace reaches the far end as a property, and a span has the word that
// the send failed with.
func TestTracing(t *testing.T) {
	bubble(t, func(t *testing.T, s *server) {
		var parents []string
		s.decide = func(r transporttest.Request) transporttest.Reply {
			parents = append(parents, r.Messages[0].Properties["traceparent"])
			return says("", texttransport.Busy)(r)
		}
		spans := tracetest.NewSpanRecorder()
		tr, err := tracing.New(
			tracing.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
			tracing.WithPropagators(propagation.TraceContext{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := producer(t, s, retries(2), tr.Step()).Send(t.Context(), order("books")); err == nil {
			t.Fatal("a send was not refused")
		}
		ended := spans.Ended()
		if len(ended) != 1 {
			t.Fatalf("%d spans", len(ended))
		}
		attributes := attribute.NewSet(ended[0].Attributes()...)
		if v, _ := attributes.Value("error.type"); v.AsString() != "BUSY" {
			t.Errorf("error.type is %q", v.AsString())
		}
		id := ended[0].SpanContext().TraceID().String()
		if len(parents) != 2 || !strings.Contains(parents[0], id) || parents[0] != parents[1] {
			t.Errorf("the far end saw %q, the trace is %s", parents, id)
		}
	})
}
