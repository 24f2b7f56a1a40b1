package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// recaller is a transport that takes messages back. A nil do does so with success.
type recaller struct {
	coretest.Transport
	do func(ctx context.Context, op *core.Operation) error
}

func (r *recaller) Recall(ctx context.Context, op *core.Operation, _ string) (string, error) {
	if r.do != nil {
		return "", r.do(ctx, op)
	}
	op.MarkWritten()
	return "ID", nil
}

// handle names a timed message of a topic at a broker.
func handle(topic, broker string) string {
	return rocketmq.RecallHandle{Topic: topic, Broker: broker, DeliverAt: time.UnixMilli(1), MessageID: "ID"}.String()
}

// recallRig is a rig whose transport can recall.
func recallRig(t *testing.T, do func(context.Context, *core.Operation) error, steps []core.Step, opts ...tracing.Option) *rig {
	t.Helper()
	return newRig(t, func(c *core.Config) {
		c.Transport = &recaller{do: do}
		c.Steps = append(c.Steps, steps...)
	}, opts...)
}

func TestRecallSpan(t *testing.T) {
	ns, err := namespace.New("ns")
	if err != nil {
		t.Fatal(err)
	}
	var inTransport trace.SpanContext
	r := recallRig(t, func(ctx context.Context, op *core.Operation) error {
		op.MarkWritten()
		inTransport = trace.SpanContextFromContext(ctx)
		return nil
	}, []core.Step{ns.Step()}, tracing.WithNamespace("ns"), tracing.WithClientID("client@1"))
	begun := time.Now()
	if _, err := r.producer.Recall(parent(t, trace.FlagsSampled, ""), "Orders", handle("ns%Orders", "broker-b")); err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 1)[0]
	if s.Name() != "recall Orders" || s.SpanKind() != trace.SpanKindClient || s.Parent().SpanID() != (trace.SpanID{4, 5}) {
		t.Errorf("got %v span %q below %v, want a client span", s.SpanKind(), s.Name(), s.Parent().SpanID())
	}
	if s.SpanContext().SpanID() != inTransport.SpanID() {
		t.Error("the transport did not run below the span")
	}
	if s.StartTime().Before(begun) || len(s.Events()) != 0 || len(s.Links()) != 0 || s.Status().Code != codes.Unset {
		t.Errorf("began %v, events %v, links %v, status %v", s.StartTime(), s.Events(), s.Links(), s.Status())
	}
	wantAttrs(t, s.Attributes(), semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName("recall"),
		semconv.MessagingDestinationName("Orders"), semconv.MessagingRocketMQNamespace("ns"), semconv.MessagingClientID("client@1"),
		semconv.ServerAddress("broker-b"), semconv.ServerPort(10911))
	wantNone(t, s.Attributes(), semconv.ErrorTypeKey, semconv.MessagingOperationTypeKey, "liftoff.certainty",
		"liftoff.response_code", "liftoff.attempts", semconv.MessagingMessageIDKey)
}

// word is a code of a protocol that has no numbers.
type word string

func (w word) String() string { return string(w) }

// A failed recall says what is known: the same as the error that the caller gets.
func TestRecallFailures(t *testing.T) {
	answer := func(err error) func(context.Context, *core.Operation) error {
		return func(_ context.Context, op *core.Operation) error {
			op.MarkWritten()
			return err
		}
	}
	tests := []struct {
		name      string
		do        func(context.Context, *core.Operation) error
		handle    string
		errorType string
		certainty string
		code      any
		asked     bool
	}{
		{
			name: "refused", do: answer(refusal.Of(rocketmq.CodeSystemBusy, "slow down", "x")), handle: handle("T", "broker-a"),
			errorType: "SYSTEM_BUSY", certainty: "not-stored", code: int64(2), asked: true,
		},
		{
			name: "refused in words", do: answer(&core.BrokerError{Code: word("TOO_LATE"), Class: core.ClassRejected, Certainty: core.NotStored}),
			handle: handle("T", "broker-a"), errorType: "TOO_LATE", certainty: "not-stored", asked: true,
		},
		{
			name: "refused without a code", do: answer(&core.BrokerError{Class: core.ClassUnavailable}),
			handle: handle("T", "broker-a"), errorType: "unavailable", certainty: "maybe-stored", asked: true,
		},
		{
			name: "answer lost", do: answer(fmt.Errorf("x: %w", core.ErrConnectionLost)),
			handle: handle("T", "broker-a"), errorType: "network", certainty: "maybe-stored", asked: true,
		},
		{
			name: "no connection", do: func(context.Context, *core.Operation) error { return core.ErrConnect },
			handle: handle("T", "broker-a"), errorType: "network", certainty: "not-sent", asked: true,
		},
		{
			name: "the transport panics", do: func(context.Context, *core.Operation) error { panic("boom") },
			handle: handle("T", "broker-a"), errorType: "plugin", certainty: "not-sent", asked: true,
		},
		{name: "no handle", handle: "nonsense", errorType: "invalid_message", certainty: "not-sent"},
		{name: "another topic's handle", handle: handle("U", "broker-a"), errorType: "invalid_message", certainty: "not-sent"},
		{name: "unknown broker", handle: handle("T", "broker-z"), errorType: "no_route", certainty: "not-sent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := recallRig(t, tt.do, nil)
			_, err := r.producer.Recall(t.Context(), "T", tt.handle)
			var oe *core.OperationError
			if !errors.As(err, &oe) || oe.Certainty.String() != tt.certainty || oe.ErrorType() != tt.errorType {
				t.Fatalf("got %v", err)
			}
			s := r.ended(t, 1)[0]
			wantErrorType(t, s.Attributes(), tt.errorType)
			wantAttrs(t, s.Attributes(), attribute.String("liftoff.certainty", tt.certainty))
			if got := value(t, s.Attributes(), "liftoff.response_code"); got != tt.code {
				t.Errorf("response code %v, want %v", got, tt.code)
			}
			if asked := value(t, s.Attributes(), semconv.ServerAddressKey) == "broker-a"; asked != tt.asked {
				t.Errorf("server address %v", value(t, s.Attributes(), semconv.ServerAddressKey))
			}
			if s.Status().Code != codes.Error || s.Status().Description == "" {
				t.Errorf("status %v", s.Status())
			}
		})
	}
}

// Below a span that its sampler left out there is no span, unless the sampler is to decide.
func TestRecallBelowAnUnsampledParent(t *testing.T) {
	for _, ask := range []bool{false, true} {
		asked := 0
		provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(samplerFunc(func(sdktrace.SamplingParameters) { asked++ })))
		r := recallRig(t, nil, nil, tracing.WithTracerProvider(provider), tracing.WithUnsampledParents(ask))
		if _, err := r.producer.Recall(parent(t, 0, ""), "T", handle("T", "broker-a")); err != nil {
			t.Fatal(err)
		}
		if (asked == 1) != ask {
			t.Errorf("WithUnsampledParents(%v): the sampler was asked %d times", ask, asked)
		}
	}
}

// What shapes spans of sends shapes those of recalls; the filter is about calls alone.
func TestRecallOptions(t *testing.T) {
	r := recallRig(t, nil, nil,
		tracing.WithSpanNameFormatter(func(op string, m *core.Message) string { return m.Topic + "/" + op }),
		tracing.WithAttributesFn(func(_ context.Context, op string, m *core.Message) []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("tenant", op+m.Properties["tenant"])}
		}),
		tracing.WithFilter(func(context.Context, *core.Call) bool { return false }))
	if _, err := r.producer.Recall(t.Context(), "T", handle("T", "broker-a")); err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 1)[0]
	if s.Name() != "T/recall" {
		t.Errorf("span %q", s.Name())
	}
	wantAttrs(t, s.Attributes(), attribute.String("tenant", "recall"))
}

// A step that ends the goroutine of a recall ends the span too.
func TestRecallGoexit(t *testing.T) {
	r := recallRig(t, func(context.Context, *core.Operation) error {
		runtime.Goexit()
		return nil
	}, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := r.producer.Recall(context.Background(), "T", handle("T", "broker-a"))
		t.Errorf("the recall returned: %v", err)
	}()
	<-done
	s := r.ended(t, 1)[0]
	wantErrorType(t, s.Attributes(), "plugin")
	if s.Status().Code != codes.Error {
		t.Errorf("status %v", s.Status())
	}
}
