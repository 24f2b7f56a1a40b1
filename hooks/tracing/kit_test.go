package tracing_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

func propagators() propagation.TextMapPropagator {
	return propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
}

func newTracing(tb testing.TB, opts ...tracing.Option) *tracing.Tracing {
	tb.Helper()
	tr, err := tracing.New(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return tr
}

// rig is a producer with the tracing step and what came out at both ends.
type rig struct {
	spans     *tracetest.SpanRecorder
	provider  *sdktrace.TracerProvider
	transport *recorder
	producer  *core.Producer
}

func newRig(t *testing.T, change func(*core.Config), opts ...tracing.Option) *rig {
	t.Helper()
	r := &rig{spans: tracetest.NewSpanRecorder(), transport: &recorder{}}
	r.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans))
	all := append([]tracing.Option{tracing.WithTracerProvider(r.provider), tracing.WithPropagators(propagators())}, opts...)
	cfg := coretest.Config(r.transport, newTracing(t, all...).Step())
	if change != nil {
		change(&cfg)
	}
	r.producer = coretest.Start(t, cfg)
	return r
}

// ended are the ended spans; there must be want of them.
func (r *rig) ended(t *testing.T, want int) []sdktrace.ReadOnlySpan {
	t.Helper()
	got := r.spans.Ended()
	if len(got) != want {
		var names []string
		for _, s := range got {
			names = append(names, s.Name())
		}
		t.Fatalf("got %d spans %v, want %d", len(got), names, want)
	}
	if started := len(r.spans.Started()); started != want {
		t.Fatalf("%d spans started, %d ended", started, want)
	}
	return got
}

// recorder is a transport that remembers the properties of each attempt's message.
type recorder struct {
	coretest.Transport
	mu   sync.Mutex
	sent [][]core.Property
}

func (r *recorder) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	var props []core.Property
	for name, value := range at.Call().Outgoing().Properties() {
		props = append(props, core.Property{Name: name, Value: value.String()})
	}
	r.mu.Lock()
	r.sent = append(r.sent, props)
	r.mu.Unlock()
	return r.Transport.RoundTrip(ctx, at)
}

// wire are the properties of attempt i as they went out.
func (r *recorder) wire(i int) map[string]string {
	props := map[string]string{}
	for _, p := range r.sent[i] {
		props[p.Name] = p.Value
	}
	return props
}

// encoded is how many bytes the properties of attempt i take on the wire.
func (r *recorder) encoded(i int) (n int) {
	for _, p := range r.sent[i] {
		n += rocketmq.PropertyLength(len(p.Name), len(p.Value))
	}
	return n
}

// remote is the span context that a consumer would find in the properties.
func remote(props map[string]string) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier(props))
	return trace.SpanContextFromContext(ctx)
}

func value(t *testing.T, attrs []attribute.KeyValue, key attribute.Key) any {
	t.Helper()
	i := slices.IndexFunc(attrs, func(kv attribute.KeyValue) bool { return kv.Key == key })
	if i < 0 {
		return nil
	}
	return attrs[i].Value.AsInterface()
}

func wantAttrs(t *testing.T, got []attribute.KeyValue, want ...attribute.KeyValue) {
	t.Helper()
	for _, w := range want {
		if g := value(t, got, w.Key); !equal(g, w.Value.AsInterface()) {
			t.Errorf("attribute %s is %v, want %v", w.Key, g, w.Value.AsInterface())
		}
	}
}

func wantNone(t *testing.T, got []attribute.KeyValue, keys ...attribute.Key) {
	t.Helper()
	for _, k := range keys {
		if g := value(t, got, k); g != nil {
			t.Errorf("attribute %s is %v, want none", k, g)
		}
	}
}

func equal(a, b any) bool {
	as, ok1 := a.([]string)
	bs, ok2 := b.([]string)
	if ok1 && ok2 {
		return slices.Equal(as, bs)
	}
	return a == b
}

func wantErrorType(t *testing.T, attrs []attribute.KeyValue, want string) {
	t.Helper()
	wantAttrs(t, attrs, semconv.ErrorTypeKey.String(want))
}

// guard is a step that stands inside tracing in message scope.
func guard(f core.InterceptorFunc) core.Step {
	return core.CallStep("guard", core.StageGuard, f)
}

// busyOnce refuses the first attempt of each call.
func busyOnce(_ context.Context, at *core.Attempt) (*core.Result, error) {
	if at.Number() == 1 {
		return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]")
	}
	r := at.Result()
	r.Queue = at.Queue()
	if at.Call().Mode() == core.Oneway {
		r.Status = core.Written
	}
	return r, nil
}
