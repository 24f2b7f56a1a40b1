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

// A request is measured under its own name, also one that failed, and its message counts as sent if it was.
func TestRequests(t *testing.T) {
	requests, err := requestreply.New(requestreply.Config{})
	if err != nil {
		t.Fatal(err)
	}
	transport := &coretest.ReplyingTransport{}
	r := newRig(t, func(c *core.Config) {
		c.Transport = transport
		c.Steps = append(c.Steps, requests.Step())
	})
	for range 3 {
		if _, err := requests.Request(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	transport.Unwritten = true
	transport.Do = func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }
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
