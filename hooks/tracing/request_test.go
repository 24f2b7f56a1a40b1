package tracing_test

import (
	"context"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"go.opentelemetry.io/otel/trace"
)

// repliedTo is a transport that brings a reply to each request once it is acknowledged.
type repliedTo struct {
	coretest.Transport
	inbox *core.Inbox
	id    string // of the last request
}

func (r *repliedTo) ClientID() string { return "client@1" }

func (r *repliedTo) RegisterGroup(_ context.Context, reg core.Registration) error {
	r.inbox = reg.Inbox
	return nil
}

func (r *repliedTo) UnregisterGroup(context.Context, string) error { return nil }

func (r *repliedTo) RoundTrip(_ context.Context, at *core.Attempt) (*core.Result, error) {
	at.MarkWritten()
	r.id, _ = at.Call().Outgoing().Property("CORRELATION_ID")
	err := r.inbox.Deliver(&core.ServerRequest{Kind: core.RequestReply, Body: []byte("x"), Properties: map[string]string{
		"CORRELATION_ID": r.id, "traceparent": "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01",
	}})
	return r.Ack(at), err
}

// One span covers a request from the send to the reply. It links to the span of who replied.
func TestRequestSpan(t *testing.T) {
	requests, err := requestreply.New(requestreply.Config{})
	if err != nil {
		t.Fatal(err)
	}
	transport := &repliedTo{}
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
	if found["messaging.operation.name"] != "request" || found["messaging.operation.type"] != "send" || found["messaging.message.conversation_id"] != transport.id {
		t.Errorf("attributes %v", found)
	}
}
