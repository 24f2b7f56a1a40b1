package main

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/tracingfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/fx"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is an OTLP/HTTP endpoint that keeps what it decodes.
type receiver struct {
	mu    sync.Mutex
	spans []received
}

type received struct {
	*otlp.Span
	service, scope, version, schema string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if req.Method != http.MethodPost || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" || err != nil {
			t.Errorf("%s %s %s: %v", req.Method, req.URL, req.Header.Get("Content-Type"), err)
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		r.keep(&export)
		answer, _ := proto.Marshal(&collector.ExportTraceServiceResponse{})
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}))
	t.Cleanup(server.Close)
	t.Setenv(endpoint, server.URL)
	return r
}

func (r *receiver) keep(export *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range export.ResourceSpans {
		service, _ := find(rs.Resource.Attributes, semconv.ServiceNameKey)
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				r.spans = append(r.spans, received{s, service.GetStringValue(), ss.Scope.Name, ss.Scope.Version, ss.SchemaUrl})
			}
		}
	}
}

// named are the spans of one name, oldest first.
func (r *receiver) named(name string) (spans []received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.Name == name {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b received) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	return spans
}

func (r *receiver) children(of received) (spans []received) {
	for _, s := range r.named("attempt Orders") {
		if string(s.ParentSpanId) == string(of.SpanId) {
			spans = append(spans, s)
		}
	}
	return spans
}

func find(attrs []*common.KeyValue, key attribute.Key) (*common.AnyValue, bool) {
	for _, kv := range attrs {
		if kv.Key == string(key) {
			return kv.Value, true
		}
	}
	return nil, false
}

// text is an attribute as text, "" if there is none.
func text(attrs []*common.KeyValue, key attribute.Key) string {
	v, ok := find(attrs, key)
	if !ok {
		return ""
	}
	return plain(v)
}

func plain(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_IntValue:
		return attribute.Int64Value(v.IntValue).String()
	case *common.AnyValue_ArrayValue:
		var items []string
		for _, i := range v.ArrayValue.Values {
			items = append(items, i.GetStringValue())
		}
		return attribute.StringSliceValue(items).String()
	case *common.AnyValue_DoubleValue:
		return attribute.Float64Value(v.DoubleValue).String()
	default:
		return v.(*common.AnyValue_StringValue).StringValue
	}
}

func wantAttrs(t *testing.T, attrs []*common.KeyValue, want ...attribute.KeyValue) {
	t.Helper()
	for _, w := range want {
		if got := text(attrs, w.Key); got != w.Value.String() {
			t.Errorf("%s is %q, want %q", w.Key, got, w.Value.String())
		}
	}
}

// conventional are the attributes of the pinned conventions that may come up.
var conventional = []attribute.Key{
	semconv.MessagingSystemKey, semconv.MessagingClientIDKey, semconv.MessagingOperationNameKey, semconv.MessagingOperationTypeKey,
	semconv.MessagingRocketMQNamespaceKey, semconv.MessagingDestinationNameKey, semconv.MessagingDestinationPartitionIDKey,
	semconv.MessagingMessageIDKey, semconv.MessagingBatchMessageCountKey, semconv.MessagingRocketMQMessageTypeKey,
	semconv.MessagingRocketMQMessageTagKey, semconv.MessagingRocketMQMessageKeysKey,
	semconv.ServerAddressKey, semconv.ServerPortKey, semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey, semconv.ErrorTypeKey,
}

func TestTracesOnTheWire(t *testing.T) {
	r := newReceiver(t)
	var cluster *embeddedfx.Cluster
	var out strings.Builder
	if err := run(t.Context(), &out, fx.Populate(&cluster), tracingfx.With(tracing.WithAttemptSpans(true), tracing.WithMessageKeys())); err != nil {
		t.Fatal(err)
	}
	if want := "an order: sent\nan order that meets a busy broker: sent\nan order without a body: invalid, not-sent\na batch of two: sent\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("the program says\n%s", out.String())
	}
	roots := r.named("checkout")
	sends := r.named("send Orders")
	if len(roots) != 1 || len(sends) != 3 {
		t.Fatalf("%d root and %d send spans arrived, want 1 and 3", len(roots), len(sends))
	}
	root := roots[0]
	addr := map[string]string{} // broker -> address
	for _, b := range cluster.Embedded().Brokers() {
		addr[b.Name()] = b.Addr()
	}

	for i, tag := range []string{"created", "retried", "invalid"} {
		s := sends[i]
		if s.Kind != otlp.Span_SPAN_KIND_PRODUCER || string(s.ParentSpanId) != string(root.SpanId) || string(s.TraceId) != string(root.TraceId) {
			t.Errorf("%s: kind %v, parent %x; want a producer span below %x", tag, s.Kind, s.ParentSpanId, root.SpanId)
		}
		if s.service != "checkout" || s.scope != tracing.ScopeName || s.version != tracing.Version || s.schema != semconv.SchemaURL {
			t.Errorf("%s: service %q, scope %q %q, schema %q", tag, s.service, s.scope, s.version, s.schema)
		}
		wantAttrs(t, s.Attributes, semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName("send"), semconv.MessagingOperationTypeSend,
			semconv.MessagingRocketMQNamespace(""), semconv.MessagingDestinationName("Orders"), semconv.MessagingRocketMQMessageTypeNormal,
			semconv.MessagingRocketMQMessageTag(tag))
	}

	t.Run("call and attempt", func(t *testing.T) {
		call, attempts := sends[0], r.children(sends[0])
		if len(attempts) != 1 {
			t.Fatalf("%d attempts, want 1", len(attempts))
		}
		wantAttrs(t, call.Attributes, semconv.MessagingRocketMQMessageKeys("order-1"))
		if call.Status.GetCode() != otlp.Status_STATUS_CODE_UNSET || attempts[0].Kind != otlp.Span_SPAN_KIND_CLIENT {
			t.Errorf("status %v, attempt's kind %v", call.Status, attempts[0].Kind)
		}
		for _, key := range []attribute.Key{semconv.MessagingDestinationPartitionIDKey, semconv.ServerAddressKey, semconv.ServerPortKey, semconv.NetworkPeerAddressKey} {
			if a, c := text(attempts[0].Attributes, key), text(call.Attributes, key); a != c || a == "" {
				t.Errorf("%s of the attempt is %q, of the call %q", key, a, c)
			}
		}
		checkStored(t, cluster, "created", call)
	})

	t.Run("retry on another broker", func(t *testing.T) {
		call, attempts := sends[1], r.children(sends[1])
		if len(attempts) != 2 {
			t.Fatalf("%d attempts, want 2", len(attempts))
		}
		wantAttrs(t, attempts[0].Attributes, semconv.ErrorTypeKey.String("SYSTEM_BUSY"), attribute.Int("liftoff.attempt", 1))
		wantAttrs(t, attempts[1].Attributes, attribute.Int("liftoff.attempt", 2))
		if c1, c2 := attempts[0].Status.GetCode(), attempts[1].Status.GetCode(); c1 != otlp.Status_STATUS_CODE_ERROR || c2 != otlp.Status_STATUS_CODE_UNSET {
			t.Errorf("statuses %v and %v", c1, c2)
		}
		var brokers []string
		for _, a := range attempts {
			q := text(a.Attributes, semconv.MessagingDestinationPartitionIDKey)
			b := q[:strings.LastIndex(q, "-")]
			brokers = append(brokers, b)
			if got := text(a.Attributes, semconv.ServerAddressKey) + ":" + text(a.Attributes, semconv.ServerPortKey); got != addr[b] {
				t.Errorf("attempt at %s went to %s, want %s", b, got, addr[b])
			}
		}
		if brokers[0] == brokers[1] {
			t.Errorf("both attempts went to %s", brokers[0])
		}
		wantAttrs(t, call.Attributes, attribute.Int("liftoff.attempts", 2))
		if call.Status.GetCode() != otlp.Status_STATUS_CODE_UNSET || text(call.Attributes, semconv.ErrorTypeKey) != "" {
			t.Errorf("the call has status %v", call.Status)
		}
		checkStored(t, cluster, "retried", call)
	})

	t.Run("local validation failure", func(t *testing.T) {
		call := sends[2]
		if n := len(r.children(call)); n != 0 {
			t.Errorf("%d attempts, want none", n)
		}
		wantAttrs(t, call.Attributes, semconv.ErrorTypeKey.String("invalid_message"), attribute.String("liftoff.certainty", "not-sent"))
		if call.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || call.Status.Message == "" || len(call.Events) != 0 {
			t.Errorf("status %v, events %v", call.Status, call.Events)
		}
		for _, key := range []attribute.Key{semconv.ServerAddressKey, semconv.MessagingDestinationPartitionIDKey} {
			if got := text(call.Attributes, key); got != "" {
				t.Errorf("%s is %q, want none", key, got)
			}
		}
	})

	t.Run("batch", func(t *testing.T) {
		creates, batch := r.named("create Invoices"), r.named("send Invoices")
		if len(creates) != 2 || len(batch) != 1 || len(batch[0].Links) != 2 {
			t.Fatalf("%d create and %d send spans", len(creates), len(batch))
		}
		if batch[0].Kind != otlp.Span_SPAN_KIND_CLIENT {
			t.Errorf("the batch is a %v span", batch[0].Kind)
		}
		wantAttrs(t, batch[0].Attributes, semconv.MessagingBatchMessageCount(2), semconv.MessagingOperationTypeSend)
		for i, c := range creates {
			wantAttrs(t, c.Attributes, semconv.MessagingOperationName("create"), semconv.MessagingOperationTypeCreate)
			if string(batch[0].Links[i].SpanId) != string(c.SpanId) {
				t.Errorf("link %d leads to %x, want %x", i, batch[0].Links[i].SpanId, c.SpanId)
			}
		}
	})

	// Whatever is under the conventions' prefixes is of the conventions.
	for _, s := range r.spans {
		for _, kv := range s.Attributes {
			key := attribute.Key(kv.Key)
			if !strings.HasPrefix(kv.Key, "liftoff.") && !slices.Contains(conventional, key) {
				t.Errorf("span %q has the attribute %s", s.Name, kv.Key)
			}
		}
	}
}

// checkStored compares the context in the stored message with the call's span,
// and the message's id with the attribute.
func checkStored(t *testing.T, cluster *embeddedfx.Cluster, tag string, call received) {
	t.Helper()
	stored := cluster.Embedded().Stored("Orders")
	i := slices.IndexFunc(stored, func(m embedded.Stored) bool { return m.Property("TAGS") == tag })
	if i < 0 {
		t.Fatalf("no message %q is stored", tag)
	}
	props := propagation.MapCarrier{"traceparent": stored[i].Property("traceparent")}
	sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), props))
	if sc.TraceID().String() != hex.EncodeToString(call.TraceId) || sc.SpanID().String() != hex.EncodeToString(call.SpanId) || !sc.IsSampled() {
		t.Errorf("the message carries %q, want trace %x and span %x", props["traceparent"], call.TraceId, call.SpanId)
	}
	wantAttrs(t, call.Attributes, semconv.MessagingMessageID(stored[i].Property("UNIQ_KEY")))
}

// Without attempt spans the attempts are events.
func TestAttemptsAsEvents(t *testing.T) {
	r := newReceiver(t)
	if err := run(t.Context(), io.Discard, tracingfx.Module); err != nil {
		t.Fatal(err)
	}
	sends := r.named("send Orders")
	if len(sends) != 3 || len(sends[1].Events) != 2 {
		t.Fatalf("%d spans arrived", len(sends))
	}
	first, second := sends[1].Events[0], sends[1].Events[1]
	wantAttrs(t, first.Attributes, semconv.ErrorTypeKey.String("SYSTEM_BUSY"), attribute.Int("liftoff.response_code", 2))
	a, b := text(first.Attributes, semconv.ServerPortKey), text(second.Attributes, semconv.ServerPortKey)
	if first.Name != "attempt" || second.Name != "attempt" || a == b || a == "" {
		t.Errorf("events %v and %v", first, second)
	}
	if n := len(r.named("attempt Orders")); n != 0 {
		t.Errorf("%d attempt spans", n)
	}
}

func TestWithoutEndpoint(t *testing.T) {
	t.Setenv(endpoint, "")
	var out strings.Builder
	if err := run(t.Context(), &out, tracingfx.Module); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "nothing was exported") {
		t.Errorf("the program says\n%s", out.String())
	}
}

// A collector that refuses everything fails neither the sends nor the stop.
func TestCollectorRefuses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	t.Setenv(endpoint, server.URL)
	if err := run(t.Context(), io.Discard, tracingfx.Module); err != nil {
		t.Fatal(err)
	}
}
