package tracing_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"go.opentelemetry.io/otel/trace"
)

// One span covers a request from the send to the reply. It links to the span of who replied.
func TestRequestSpan(t *testing.T) {
	requests, err := requestreply.New(requestreply.Config{})
	if err != nil {
		t.Fatal(err)
	}
	transport := &coretest.ReplyingTransport{Properties: map[string]string{
		"traceparent": "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01",
	}}
	r := newRig(t, func(c *core.Config) {
		c.Transport = transport
		c.Steps = append(c.Steps, requests.Step())
	})
	if _, err := requests.Request(parent(t, trace.FlagsSampled, ""), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 1)[0]
	if s.Name() != "request "+coretest.Message("x").Topic || s.SpanKind() != trace.SpanKindProducer || s.Parent().SpanID() != (trace.SpanID{4, 5}) {
		t.Errorf("%v span %q below %v", s.SpanKind(), s.Name(), s.Parent().SpanID())
	}
	links := s.Links()
	if len(links) != 1 || links[0].SpanContext.SpanID().String() != "1112131415161718" {
		t.Errorf("links %+v", links)
	}
	found := map[string]string{}
	for _, a := range s.Attributes() {
		found[string(a.Key)] = a.Value.String()
	}
	id := found["messaging.message.conversation_id"]
	if found["messaging.operation.name"] != "request" || found["messaging.operation.type"] != "send" ||
		id == "" || !strings.Contains(transport.Attempts()[0].Properties, "CORRELATION_ID="+id+";") {
		t.Errorf("attributes %v", found)
	}
}
