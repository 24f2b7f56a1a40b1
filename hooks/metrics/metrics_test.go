package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"
)

type rig struct {
	reader    *sdkmetric.ManualReader
	transport *coretest.Transport
	producer  *core.Producer
}

func newRig(t *testing.T, change func(*core.Config), opts ...metrics.Option) *rig {
	t.Helper()
	r := &rig{reader: sdkmetric.NewManualReader(), transport: &coretest.Transport{}}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader), sdkmetric.WithCardinalityLimit(0))
	m, err := metrics.New(append([]metrics.Option{metrics.WithMeterProvider(provider)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	cfg := coretest.Config(r.transport, m.Step())
	cfg.Timeout = time.Minute // a busy machine must not end a call
	if change != nil {
		change(&cfg)
	}
	r.producer = coretest.Start(t, cfg)
	return r
}

// collect gives the points of both instruments.
func (r *rig) collect(t *testing.T) (durations []metricdata.HistogramDataPoint[float64], sent []metricdata.DataPoint[int64]) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	for _, sm := range rm.ScopeMetrics {
		if sm.Scope.Name != metrics.ScopeName || sm.Scope.Version != metrics.Version || sm.Scope.SchemaURL != semconv.SchemaURL {
			t.Errorf("scope %+v", sm.Scope)
		}
		for _, m := range sm.Metrics {
			switch m.Name {
			case messagingconv.ClientOperationDuration{}.Name():
				if m.Unit != "s" {
					t.Errorf("unit %q", m.Unit)
				}
				durations = m.Data.(metricdata.Histogram[float64]).DataPoints
			case messagingconv.ClientSentMessages{}.Name():
				if m.Unit != "{message}" {
					t.Errorf("unit %q", m.Unit)
				}
				sent = m.Data.(metricdata.Sum[int64]).DataPoints
			default:
				t.Errorf("unexpected instrument %s", m.Name)
			}
		}
	}
	return durations, sent
}

var common = []attribute.KeyValue{
	semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName("send"), semconv.MessagingDestinationName("T"),
}

func at(broker string, more ...attribute.KeyValue) []attribute.KeyValue {
	return slices.Concat(common, []attribute.KeyValue{semconv.ServerAddress(broker), semconv.ServerPort(10911)}, more)
}

func failed(name string) attribute.KeyValue { return semconv.ErrorTypeKey.String(name) }

// wantSent compares the counter's points: attributes and values.
func wantSent(t *testing.T, got []metricdata.DataPoint[int64], want map[attribute.Distinct]int64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %d points of sent messages, want %d: %v", len(got), len(want), got)
	}
	for _, p := range got {
		if n, ok := want[p.Attributes.Equivalent()]; !ok || p.Value != n {
			t.Errorf("%d messages with %v, want %d", p.Value, p.Attributes.ToSlice(), n)
		}
	}
}

func distinct(kvs []attribute.KeyValue) attribute.Distinct {
	set := attribute.NewSet(kvs...)
	return set.Equivalent()
}

func wantDuration(t *testing.T, got []metricdata.HistogramDataPoint[float64], count uint64, attrs ...attribute.KeyValue) {
	t.Helper()
	want := attribute.NewSet(append(attrs, semconv.MessagingOperationTypeSend)...)
	for _, p := range got {
		if p.Attributes.Equals(&want) {
			if p.Count != count {
				t.Errorf("%d durations with %v, want %d", p.Count, want.ToSlice(), count)
			}
			return
		}
	}
	t.Errorf("no duration with %v", want.ToSlice())
}

func TestEveryMode(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	r.producer.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := r.producer.SendOneway(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.producer.SendBatch(t.Context(), []*core.Message{coretest.Message("x"), coretest.Message("y")}); err != nil {
		t.Fatal(err)
	}
	durations, sent := r.collect(t)
	if len(durations) != 1 {
		t.Errorf("%d series of durations, want 1", len(durations))
	}
	wantDuration(t, durations, 4, at("broker-a")...)
	wantSent(t, sent, map[attribute.Distinct]int64{distinct(at("broker-a")): 5})
}

func TestRetriesCountAgain(t *testing.T) {
	r := newRig(t, func(c *core.Config) { c.Retry = coretest.Retry(2) })
	r.transport.Do = func(_ context.Context, a *core.Attempt) (*core.Result, error) {
		if a.Number() == 1 {
			return nil, coretest.Refuse(a, rocketmq.CodeSystemBusy, "")
		}
		return a.Result(), nil
	}
	for range 3 {
		if _, err := r.producer.SendBatch(t.Context(), []*core.Message{coretest.Message("x"), coretest.Message("y")}); err != nil {
			t.Fatal(err)
		}
	}
	durations, sent := r.collect(t)
	wantDuration(t, durations, 3, at("broker-b")...)
	wantSent(t, sent, map[attribute.Distinct]int64{
		distinct(at("broker-a", failed("SYSTEM_BUSY"))): 6,
		distinct(at("broker-b")):                        6,
	})
}

// A broker that invents answer codes, or a program that makes up topics, made a time series for
// each of them.
func TestSeriesAreBounded(t *testing.T) {
	r := newRig(t, nil)
	code := 0
	r.transport.Do = func(_ context.Context, a *core.Attempt) (*core.Result, error) {
		code++
		return nil, coretest.Refuse(a, rocketmq.ResponseCode(100_000+code), "")
	}
	const codes, topics = 300, 4300
	for range codes {
		if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err == nil {
			t.Fatal("no error")
		}
	}
	durations, sent := r.collect(t)
	wantDuration(t, durations, codes, at("broker-a", failed("UNKNOWN_CODE"))...)
	wantSent(t, sent, map[attribute.Distinct]int64{distinct(at("broker-a", failed("UNKNOWN_CODE"))): codes})

	r.transport.Do = nil
	for i := range topics {
		m := coretest.Message("x")
		m.Topic = fmt.Sprint("T", i)
		if _, err := r.producer.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	durations, sent = r.collect(t)
	var count uint64
	for _, p := range durations {
		count += p.Count
	}
	var messages int64
	for _, p := range sent {
		messages += p.Value
	}
	if most := 4096 + 1; len(durations) > most || len(sent) > most {
		t.Errorf("%d and %d series, want at most %d", len(durations), len(sent), most)
	}
	if count != codes+topics || messages != codes+topics {
		t.Errorf("%d calls and %d messages are counted, want %d", count, messages, codes+topics)
	}
}

// kind is an error of the program's own that names any number of kinds.
type kind string

func (k kind) Error() string     { return string(k) }
func (k kind) ErrorType() string { return string(k) }

func TestKindsOfFailureAreBounded(t *testing.T) {
	n := 0
	r := newRig(t, func(c *core.Config) {
		c.Steps = append(c.Steps, core.CallStep("fail", core.StageGuard, core.InterceptorFunc(func(context.Context, *core.Call, core.Handler) (*core.Result, error) {
			n++
			return nil, kind(fmt.Sprint("kind ", n))
		})))
	})
	const calls = 5500
	for range calls {
		if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err == nil {
			t.Fatal("no error")
		}
	}
	durations, _ := r.collect(t)
	var count, other uint64
	for _, p := range durations {
		count += p.Count
		if v, _ := p.Attributes.Value(semconv.ErrorTypeKey); v.AsString() == "_OTHER" {
			other += p.Count
		}
	}
	if most := 4096 + 1024 + 1; len(durations) > most || count != calls || other == 0 {
		t.Errorf("%d series of %d calls, %d of them of other kinds", len(durations), count, other)
	}
}

func TestUnsentMessagesAreNotCounted(t *testing.T) {
	fail := func(c *core.Config, err error) {
		c.Steps = append(c.Steps, core.CallStep("guard", core.StageGuard, core.InterceptorFunc(func(context.Context, *core.Call, core.Handler) (*core.Result, error) { return nil, err })))
	}
	tests := []struct {
		name   string
		change func(*core.Config)
		want   []attribute.KeyValue
	}{
		{"invalid", func(c *core.Config) { fail(c, core.ErrInvalidMessage) }, append(slices.Clone(common[:2]), failed("invalid_message"))},
		{"no route", func(c *core.Config) {
			c.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return nil, core.ErrNoRoute })
		}, append(slices.Clone(common), failed("no_route"))},
		{"no connection", func(c *core.Config) {
			c.Transport = &coretest.Transport{
				Unwritten: true,
				Do:        func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect },
			}
		}, at("broker-a", failed("network"))},
		{"vetoed attempt", func(c *core.Config) {
			c.Steps = append(c.Steps, core.AttemptStep("veto", core.AttemptGuard, core.AttemptInterceptorFunc(func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
				return nil, core.ErrForbidden
			})))
		}, at("broker-a", failed("forbidden"))},
		{
			"somebody else's error", func(c *core.Config) { fail(c, fmt.Errorf("wrapped: %w", errors.New("x"))) },
			append(slices.Clone(common), failed("*errors.errorString")),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.change)
			if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err == nil {
				t.Fatal("no error")
			}
			durations, sent := r.collect(t)
			wantDuration(t, durations, 1, tt.want...)
			wantSent(t, sent, nil)
		})
	}
}

func TestNoRoomInFlight(t *testing.T) {
	r := newRig(t, func(c *core.Config) { c.MaxInFlight = 1 })
	release, entered := make(chan struct{}), make(chan struct{})
	r.transport.Do = func(_ context.Context, a *core.Attempt) (*core.Result, error) {
		close(entered)
		<-release
		return a.Result(), nil
	}
	first, second := make(chan error, 1), make(chan error, 1)
	r.producer.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { first <- err })
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.producer.SendAsync(ctx, coretest.Message("x"), func(_ core.Result, err error) { second <- err })
	if err := <-second; !errors.Is(err, core.ErrTooManyInFlight) {
		t.Fatal(err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	durations, sent := r.collect(t)
	wantDuration(t, durations, 1, append(slices.Clone(common), failed("in_flight"))...)
	wantDuration(t, durations, 1, at("broker-a")...)
	wantSent(t, sent, map[attribute.Distinct]int64{distinct(at("broker-a")): 1})
}

// A step that ends the goroutine still leaves one measurement.
func TestGoexit(t *testing.T) {
	r := newRig(t, func(c *core.Config) {
		c.Steps = append(c.Steps, core.CallStep("exit", core.StageGuard, core.InterceptorFunc(func(context.Context, *core.Call, core.Handler) (*core.Result, error) {
			runtime.Goexit()
			return nil, nil
		})))
	})
	done := make(chan error, 1)
	r.producer.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { done <- err })
	if err := <-done; err == nil {
		t.Fatal("no error")
	}
	durations, _ := r.collect(t)
	wantDuration(t, durations, 1, append(slices.Clone(common), failed("plugin"))...)
}

func TestBuckets(t *testing.T) {
	advised := []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	tests := []struct {
		name string
		opts []metrics.Option
		want []float64
	}{
		{"default", nil, advised},
		{"none", []metrics.Option{metrics.WithDurationBuckets()}, advised},
		{"own", []metrics.Option{metrics.WithDurationBuckets(1, 2)}, []float64{1, 2}},
		{"low latency", []metrics.Option{metrics.WithDurationBuckets(metrics.LowLatencyBuckets()...)}, metrics.LowLatencyBuckets()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil, tt.opts...)
			if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			durations, _ := r.collect(t)
			if got := durations[0].Bounds; !slices.Equal(got, tt.want) {
				t.Errorf("bounds %v, want %v", got, tt.want)
			}
		})
	}
	if b := metrics.LowLatencyBuckets(); b[0] != 0.0005 || !slices.IsSorted(b) {
		t.Errorf("low latency buckets %v", b)
	}
	for _, bad := range [][]float64{{1, 1}, {2, 1}, {1, math.NaN()}} {
		if _, err := metrics.New(metrics.WithMeterProvider(noop.NewMeterProvider()), metrics.WithDurationBuckets(bad...)); err == nil {
			t.Errorf("buckets %v were accepted", bad)
		}
	}
}

func TestDestinationAndNamespace(t *testing.T) {
	r := newRig(t, nil, metrics.WithNamespace("ns"), metrics.WithDestination(func(topic string) string {
		if topic == "T" {
			return ""
		}
		return "orders-*"
	}))
	for _, topic := range []string{"T", "orders-1", "orders-2"} {
		if _, err := r.producer.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	base := []attribute.KeyValue{
		semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName("send"),
		semconv.MessagingRocketMQNamespace("ns"), semconv.ServerAddress("broker-a"), semconv.ServerPort(10911),
	}
	_, sent := r.collect(t)
	wantSent(t, sent, map[attribute.Distinct]int64{
		distinct(base): 1,
		distinct(append(slices.Clone(base), semconv.MessagingDestinationName("orders-*"))): 2,
	})
}

func TestManyTopicsStayRight(t *testing.T) {
	const topics = 5000 // more than are kept
	r := newRig(t, nil)
	r.transport.Forget = true
	for i := range topics {
		if _, err := r.producer.Send(t.Context(), &core.Message{Topic: fmt.Sprintf("t%d", i), Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	_, sent := r.collect(t)
	var total int64
	for _, p := range sent {
		total += p.Value
	}
	if total != topics {
		t.Errorf("%d messages counted, want %d", total, topics)
	}
}

// The step stands inside tracing, so that a value leads to the call's span.
func TestExemplars(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tr, err := tracing.New(tracing.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *core.Config) { c.Steps = append(c.Steps, tr.Step()) })
	if got, _ := r.producer.Pipeline().Names(); !slices.Equal(got, []string{"otel.trace", "otel.metrics"}) {
		t.Fatalf("steps are %v", got)
	}
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	durations, sent := r.collect(t)
	want := spans.Ended()[0].SpanContext().SpanID()
	if e := durations[0].Exemplars; len(e) != 1 || !slices.Equal(e[0].SpanID, want[:]) {
		t.Errorf("exemplars of the duration %v, want span %v", e, want)
	}
	if e := sent[0].Exemplars; len(e) != 1 || !slices.Equal(e[0].SpanID, want[:]) {
		t.Errorf("exemplars of the counter %v, want span %v", e, want)
	}
	metricdatatest.AssertHasAttributes(t, durations[0], semconv.MessagingSystemRocketMQ)
}

// Topics that are none make no series of their own.
func TestInvalidTopicsAreOneSeries(t *testing.T) {
	r := newRig(t, func(c *core.Config) {
		c.Steps = append(c.Steps, core.CallStep("refuse", core.StageGuard, core.InterceptorFunc(
			func(context.Context, *core.Call, core.Handler) (*core.Result, error) {
				return nil, core.ErrInvalidMessage
			},
		)))
	})
	for i := range 100 {
		if _, err := r.producer.Send(t.Context(), &core.Message{Topic: fmt.Sprintf("bad topic %d", i), Body: []byte("x")}); err == nil {
			t.Fatal("no error")
		}
	}
	durations, _ := r.collect(t)
	if len(durations) != 1 || durations[0].Count != 100 {
		t.Errorf("%d series", len(durations))
	}
}

func TestAttributes(t *testing.T) {
	id := semconv.MessagingClientID("a@1")
	r := newRig(t, nil, metrics.WithAttributes(id), metrics.WithAttributes(attribute.String("team", "x")))
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	durations, sent := r.collect(t)
	want := at("broker-a", id, attribute.String("team", "x"))
	wantDuration(t, durations, 1, want...)
	wantSent(t, sent, map[attribute.Distinct]int64{distinct(want): 1})
}

// A send that shares a request knows the broker of that request.
func TestAccumulatedSends(t *testing.T) {
	together, err := accumulate.New(accumulate.Config{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *core.Config) {
			c.Steps = append(c.Steps, together.Step())
			slow := &coretest.Transport{}
			slow.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
				time.Sleep(time.Millisecond)
				return slow.Ack(at), nil
			}
			c.Transport = slow
		})
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() {
				if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		durations, sent := r.collect(t)
		wantDuration(t, durations, 9, at("broker-a")...)
		wantSent(t, sent, map[attribute.Distinct]int64{distinct(at("broker-a")): 9})
	})
}
