package metrics_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// repliedTo is a transport that brings a reply to each request once it is acknowledged.
type repliedTo struct {
	coretest.Transport
	inbox  *core.Inbox
	reject error // instead of an acknowledgement
}

func (r *repliedTo) ClientID() string { return "client@1" }

func (r *repliedTo) RegisterGroup(_ context.Context, reg core.Registration) error {
	r.inbox = reg.Inbox
	return nil
}

func (r *repliedTo) UnregisterGroup(context.Context, string) error { return nil }

func (r *repliedTo) RoundTrip(_ context.Context, at *core.Attempt) (*core.Result, error) {
	if r.reject != nil {
		return nil, r.reject
	}
	at.MarkWritten()
	id, _ := at.Call().Outgoing().Property("CORRELATION_ID")
	err := r.inbox.Deliver(&core.ServerRequest{
		Kind: core.RequestReply, Body: []byte("x"), Properties: map[string]string{"CORRELATION_ID": id},
	})
	return r.Ack(at), err
}

// A request is measured under its own name, also one that failed, and its message counts as sent if it was.
func TestRequests(t *testing.T) {
	requests, err := requestreply.New(requestreply.Config{})
	if err != nil {
		t.Fatal(err)
	}
	transport := &repliedTo{}
	r := newRig(t, func(c *core.Config) {
		c.Transport = transport
		c.Steps = append(c.Steps, requests.Step())
	})
	for range 3 {
		if _, err := requests.Request(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	transport.reject = core.ErrConnect
	if _, err := requests.Request(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrConnect) {
		t.Errorf("got %v", err)
	}
	request := func(more ...attribute.KeyValue) []attribute.KeyValue {
		return slices.Concat([]attribute.KeyValue{
			semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName("request"), semconv.MessagingDestinationName("T"),
			semconv.ServerAddress("broker-a"), semconv.ServerPort(10911),
		}, more)
	}
	lost := failed("network")
	durations, sent := r.collect(t)
	if len(durations) != 2 {
		t.Errorf("%d series of durations, want 2", len(durations))
	}
	wantDuration(t, durations, 3, request()...)
	wantDuration(t, durations, 1, request(lost)...)
	wantSent(t, sent, map[attribute.Distinct]int64{distinct(request()): 3})
}
