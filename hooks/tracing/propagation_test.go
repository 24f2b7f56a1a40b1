package tracing_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	createdParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	createdSpan   = "b7ad6b7169203331"
)

// parent is a span context from elsewhere, with tracestate and baggage in ctx.
func parent(t *testing.T, flags trace.TraceFlags, bag string) context.Context {
	t.Helper()
	state, err := trace.ParseTraceState("vendor=value")
	if err != nil {
		t.Fatal(err)
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: flags, TraceState: state, Remote: true,
	})
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), sc)
	if bag != "" {
		member, err := baggage.NewMemberRaw("user", bag)
		if err != nil {
			t.Fatal(err)
		}
		b, err := baggage.New(member)
		if err != nil {
			t.Fatal(err)
		}
		ctx = baggage.ContextWithBaggage(ctx, b)
	}
	return ctx
}

func TestInjection(t *testing.T) {
	r := newRig(t, nil)
	ctx := parent(t, trace.FlagsSampled, "alice")
	if _, err := r.producer.Send(ctx, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 1)[0]
	props := r.transport.wire(0)
	if props["tracestate"] != "vendor=value" || props["baggage"] != "user=alice" {
		t.Errorf("message carries %v", props)
	}
	if got := remote(props); got.SpanID() != s.SpanContext().SpanID() || got.TraceID() != (trace.TraceID{1, 2, 3}) {
		t.Errorf("message carries %v", props["traceparent"])
	}
	if s.Parent().SpanID() != (trace.SpanID{4, 5}) {
		t.Errorf("parent is %v", s.Parent().SpanID())
	}
}

func TestUnsampledParent(t *testing.T) {
	for _, batch := range []bool{false, true} {
		r := newRig(t, nil)
		ctx := parent(t, 0, "alice")
		own := &core.Message{Topic: "T", Body: []byte("x"), Properties: map[string]string{"traceparent": createdParent}}
		var err error
		if batch {
			_, err = r.producer.SendBatch(ctx, []*core.Message{coretest.Message("x"), own})
		} else {
			_, err = r.producer.Send(ctx, coretest.Message("x"))
		}
		if err != nil {
			t.Fatal(err)
		}
		r.ended(t, 0)
		props := r.transport.wire(0)
		got := remote(props)
		if got.SpanID() != (trace.SpanID{4, 5}) || got.IsSampled() || props["baggage"] != "user=alice" {
			t.Errorf("batch=%v: message carries %v, want the unsampled parent", batch, props)
		}
	}
}

// A sampler that drops a root still names the trace to the consumer.
func TestDroppedRoot(t *testing.T) {
	r := newRig(t, nil, tracing.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))))
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if got := remote(r.transport.wire(0)); !got.IsValid() || got.IsSampled() {
		t.Errorf("message carries %v, want an unsampled context", got)
	}
}

func TestUsersContextStays(t *testing.T) {
	tests := []struct {
		name  string
		props map[string]string
		kept  bool
	}{
		{"valid", map[string]string{"traceparent": createdParent, "k": "v"}, true},
		{"invalid", map[string]string{"traceparent": "junk", "k": "v"}, false},
		{"none", map[string]string{"k": "v"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			before := maps.Clone(tt.props)
			m := &core.Message{Topic: "T", Body: []byte("x"), Properties: tt.props}
			if _, err := r.producer.Send(parent(t, trace.FlagsSampled, "alice"), m); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(m.Properties, before) {
				t.Errorf("the user's properties became %v", m.Properties)
			}
			s := r.ended(t, 1)[0]
			props := r.transport.wire(0)
			if !tt.kept {
				if remote(props).SpanID() != s.SpanContext().SpanID() || len(s.Links()) != 0 || s.SpanKind() != trace.SpanKindProducer {
					t.Errorf("message carries %v, links %v", props, s.Links())
				}
				return
			}
			if props["traceparent"] != createdParent || props["tracestate"] != "" || props["baggage"] != "" {
				t.Errorf("message carries %v, want only the user's context", props)
			}
			if len(s.Links()) != 1 || s.Links()[0].SpanContext.SpanID().String() != createdSpan || s.SpanKind() != trace.SpanKindClient {
				t.Errorf("%v span with links %v, want a client span linked to the user's context", s.SpanKind(), s.Links())
			}
		})
	}
}

func TestUsersBaggageStays(t *testing.T) {
	r := newRig(t, nil)
	m := &core.Message{Topic: "T", Body: []byte("x"), Properties: map[string]string{"baggage": "own=1"}}
	if _, err := r.producer.Send(parent(t, trace.FlagsSampled, "alice"), m); err != nil {
		t.Fatal(err)
	}
	props := r.transport.wire(0)
	if props["baggage"] != "own=1" || remote(props).SpanID() != r.ended(t, 1)[0].SpanContext().SpanID() {
		t.Errorf("message carries %v", props)
	}
}

func TestPropertiesLimit(t *testing.T) {
	// What an empty message takes, to fill up exactly.
	r := newRig(t, nil)
	fill := func(n int) *core.Message {
		return &core.Message{Topic: "T", Body: []byte("x"), Properties: map[string]string{"f": strings.Repeat("v", n)}}
	}
	if _, err := r.producer.Send(t.Context(), fill(1)); err != nil {
		t.Fatal(err)
	}
	bare := r.transport.encoded(0) - 1 - len("traceparent\x01"+createdParent+"\x02")
	const (
		traceparent = len("traceparent\x01" + createdParent + "\x02")
		tracestate  = len("tracestate\x01vendor=value\x02")
		bag         = len("baggage\x01user=alice\x02")
	)
	tests := []struct {
		name                         string
		room                         int
		hasParent, hasState, hasBags bool
	}{
		{"all fit", traceparent + tracestate + bag, true, true, true},
		{"no baggage", traceparent + tracestate + bag - 1, true, true, false},
		{"no state", traceparent + tracestate - 1, true, false, false},
		{"nothing", traceparent - 1, false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			m := fill(rocketmq.MaxPropertiesLength - bare - tt.room)
			if _, err := r.producer.Send(parent(t, trace.FlagsSampled, "alice"), m); err != nil {
				t.Fatal(err)
			}
			props := r.transport.wire(0)
			got := [3]bool{props["traceparent"] != "", props["tracestate"] != "", props["baggage"] != ""}
			if got != [3]bool{tt.hasParent, tt.hasState, tt.hasBags} {
				t.Errorf("parent, state, baggage present: %v", got)
			}
			if tt.name == "all fit" && r.transport.encoded(0) != rocketmq.MaxPropertiesLength {
				t.Errorf("properties have %d bytes, want the limit", r.transport.encoded(0))
			}
		})
	}
}

// oddPropagator writes what RocketMQ cannot encode.
type oddPropagator struct{ propagation.TraceContext }

func (oddPropagator) Inject(_ context.Context, c propagation.TextMapCarrier) {
	c.Set("empty", "")
	c.Set("one", "a\x01b")
	c.Set("two", "a\x02b")
	c.Set("good", "first")
	c.Set("good", c.Get("good")+strings.Join(c.Keys(), ","))
}

func TestOddPropagator(t *testing.T) {
	r := newRig(t, nil, tracing.WithPropagators(oddPropagator{}))
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	props := r.transport.wire(0)
	delete(props, "UNIQ_KEY")
	if !maps.Equal(props, map[string]string{"good": "firstgood"}) {
		t.Errorf("message carries %v", props)
	}
}

// batchWire gives each message's properties as the outgoing views have them.
func batchRig(t *testing.T, opts ...tracing.Option) (*rig, func() []map[string]string) {
	var seen []map[string]string
	r := newRig(t, nil, opts...)
	r.transport.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		seen = nil
		for out := range at.Call().All() {
			props := map[string]string{}
			for name, value := range out.Properties() {
				props[name] = value.String()
			}
			seen = append(seen, props)
		}
		return at.Result(), nil
	}
	return r, func() []map[string]string { return seen }
}

func TestBatchWithCreateSpans(t *testing.T) {
	r, seen := batchRig(t, tracing.WithBodySize())
	msgs := []*core.Message{
		{Topic: "T", Body: []byte("a"), Tag: "one"},
		{Topic: "T", Body: []byte("bb"), Properties: map[string]string{"traceparent": createdParent}},
		{Topic: "T", Body: []byte("ccc")},
	}
	results, err := r.producer.SendBatch(parent(t, trace.FlagsSampled, ""), msgs)
	if err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 3)
	first, third, send := s[0], s[1], s[2]
	for i, c := range []sdktrace.ReadOnlySpan{first, third} {
		at := 2 * i
		if c.Name() != "create T" || c.SpanKind() != trace.SpanKindProducer || c.Parent().SpanID() != (trace.SpanID{4, 5}) {
			t.Errorf("got %v %q, want a producer span \"create T\"", c.SpanKind(), c.Name())
		}
		wantAttrs(t, c.Attributes(), semconv.MessagingOperationName("create"), semconv.MessagingOperationTypeCreate,
			semconv.MessagingMessageID(results.At(at).MessageID.String()), semconv.MessagingMessageBodySize(at+1))
		if got := remote(seen()[at]); got.SpanID() != c.SpanContext().SpanID() {
			t.Errorf("message %d carries %v, want its create span", at, got.SpanID())
		}
	}
	if seen()[1]["traceparent"] != createdParent {
		t.Errorf("message 1 carries %v, want the user's context", seen()[1])
	}
	if send.Name() != "send T" || send.SpanKind() != trace.SpanKindClient {
		t.Errorf("got %v %q, want a client span \"send T\"", send.SpanKind(), send.Name())
	}
	var links []string
	for _, l := range send.Links() {
		links = append(links, l.SpanContext.SpanID().String())
	}
	if want := []string{first.SpanContext().SpanID().String(), createdSpan, third.SpanContext().SpanID().String()}; strings.Join(links, " ") != strings.Join(want, " ") {
		t.Errorf("links %v, want %v", links, want)
	}
	wantAttrs(t, send.Attributes(), semconv.MessagingBatchMessageCount(3), semconv.MessagingOperationTypeSend,
		attribute.Int("liftoff.attempts", 1))
	wantNone(t, send.Attributes(), semconv.MessagingMessageIDKey, semconv.MessagingRocketMQMessageTagKey, semconv.MessagingMessageBodySizeKey)
}

func TestBatchWithoutCreateSpans(t *testing.T) {
	r, seen := batchRig(t, tracing.WithCreateSpans(false))
	msgs := []*core.Message{coretest.Message("a"), {Topic: "T", Body: []byte("bb"), Properties: map[string]string{"traceparent": createdParent}}}
	if _, err := r.producer.SendBatch(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	s := r.ended(t, 1)[0]
	if s.SpanKind() != trace.SpanKindProducer || len(s.Links()) != 1 {
		t.Errorf("%v span with %d links, want a producer span with one", s.SpanKind(), len(s.Links()))
	}
	if remote(seen()[0]).SpanID() != s.SpanContext().SpanID() || seen()[1]["traceparent"] != createdParent {
		t.Errorf("messages carry %v", seen())
	}
}

func TestOneMessageFromManyGoroutines(t *testing.T) {
	r := newRig(t, nil)
	m := &core.Message{Topic: "T", Body: []byte("x"), Properties: map[string]string{"k": "v"}}
	const senders, sends = 8, 25
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range sends {
				if _, err := r.producer.Send(context.Background(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(m.Properties) != 1 {
		t.Errorf("the message became %v", m.Properties)
	}
	ids := map[trace.SpanID]bool{}
	for i := range r.transport.sent {
		ids[remote(r.transport.wire(i)).SpanID()] = true
	}
	if len(ids) != senders*sends {
		t.Errorf("%d different contexts for %d sends", len(ids), senders*sends)
	}
}
