package metrics_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// recaller is a transport that takes messages back. A nil do does so with success.
type recaller struct {
	coretest.Transport
	do func(op *core.Operation) error
}

func (r *recaller) Recall(_ context.Context, op *core.Operation, _ string) (string, error) {
	op.MarkWritten()
	if r.do != nil {
		return "", r.do(op)
	}
	return "ID", nil
}

func recallRig(t *testing.T, do func(*core.Operation) error, opts ...metrics.Option) *rig {
	t.Helper()
	return newRig(t, func(c *core.Config) { c.Transport = &recaller{do: do} }, opts...)
}

// handle names a timed message of a topic at a broker.
func handle(topic, broker string) string {
	return rocketmq.RecallHandle{Topic: topic, Broker: broker, DeliverAt: time.UnixMilli(1), MessageID: "ID"}.String()
}

// recall are the attributes of a recall, which has no operation type.
func recall(more ...attribute.KeyValue) []attribute.KeyValue {
	return slices.Concat([]attribute.KeyValue{semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName("recall")}, more)
}

func wantRecalls(t *testing.T, got []metricdata.HistogramDataPoint[float64], count uint64, attrs ...attribute.KeyValue) {
	t.Helper()
	want := attribute.NewSet(attrs...)
	for _, p := range got {
		if p.Attributes.Equals(&want) {
			if p.Count != count || p.Sum < 0 {
				t.Errorf("%d durations, %v s together, with %v, want %d", p.Count, p.Sum, want.ToSlice(), count)
			}
			return
		}
	}
	t.Errorf("no duration with %v in %v", want.ToSlice(), got)
}

// A recall is measured under its own name, beside the sends, and counts as no message.
func TestRecalls(t *testing.T) {
	r := recallRig(t, nil)
	for range 3 {
		if _, err := r.producer.Recall(t.Context(), "T", handle("T", "broker-b")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.producer.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	durations, sent := r.collect(t)
	if len(durations) != 2 {
		t.Errorf("%d series of durations, want 2", len(durations))
	}
	topic := semconv.MessagingDestinationName("T")
	wantRecalls(t, durations, 3, recall(topic, semconv.ServerAddress("broker-b"), semconv.ServerPort(10911))...)
	wantDuration(t, durations, 1, at("broker-a")...)
	wantSent(t, sent, map[attribute.Distinct]int64{distinct(at("broker-a")): 1})
}

func TestFailedRecalls(t *testing.T) {
	topic := semconv.MessagingDestinationName("T")
	broker := []attribute.KeyValue{topic, semconv.ServerAddress("broker-a"), semconv.ServerPort(10911)}
	for _, tt := range []struct {
		name   string
		do     func(*core.Operation) error
		handle string
		want   []attribute.KeyValue
	}{
		{
			"refused", func(op *core.Operation) error { return refusal.Of(rocketmq.CodeSystemBusy, "", op.Addr()) },
			handle("T", "broker-a"), append(slices.Clone(broker), failed("SYSTEM_BUSY")),
		},
		{
			"lost", func(*core.Operation) error { return core.ErrConnectionLost },
			handle("T", "broker-a"), append(slices.Clone(broker), failed("network")),
		},
		{"unknown broker", nil, handle("T", "broker-z"), []attribute.KeyValue{topic, failed("no_route")}},
		// Its topic may be anything, and each would be a series of its own.
		{"no handle", nil, "nonsense", []attribute.KeyValue{failed("invalid_message")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := recallRig(t, tt.do)
			if _, err := r.producer.Recall(t.Context(), "T", tt.handle); err == nil {
				t.Fatal("no error")
			}
			durations, sent := r.collect(t)
			wantRecalls(t, durations, 1, recall(tt.want...)...)
			wantSent(t, sent, nil)
		})
	}
}

// A step that ends the goroutine of a recall still leaves one measurement.
func TestRecallGoexit(t *testing.T) {
	r := recallRig(t, func(*core.Operation) error {
		runtime.Goexit()
		return nil
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := r.producer.Recall(context.Background(), "T", handle("T", "broker-a"))
		t.Errorf("the recall returned: %v", err)
	}()
	<-done
	durations, _ := r.collect(t)
	wantRecalls(t, durations, 1, recall(semconv.MessagingDestinationName("T"), semconv.ServerAddress("broker-a"),
		semconv.ServerPort(10911), failed("plugin"))...)
}

func TestNewRefusesNilOptions(t *testing.T) {
	m, err := metrics.New(nil, metrics.WithNamespace("ns"), nil)
	if m != nil || err == nil || !strings.Contains(err.Error(), "metrics: option 0 is nil") || !strings.Contains(err.Error(), "option 2 is nil") {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		opts []metrics.Option
		want string
	}{
		{nil, "OpenTelemetry metrics (duration in 14 buckets from 0.005 s to 10 s)"},
		{
			[]metrics.Option{metrics.WithDurationBuckets(0.5, 1, 2), metrics.WithDestination(strings.ToLower)},
			"OpenTelemetry metrics (duration in 3 buckets from 0.5 s to 2 s, topics mapped by a function)",
		},
	} {
		m, err := metrics.New(tt.opts...)
		if err != nil {
			t.Fatal(err)
		}
		p, err := core.Resolve(core.Order{}, m.Step())
		if err != nil {
			t.Fatal(err)
		}
		s := p.Steps()[0]
		if s.Name != metrics.StepName || s.Scope != "call" || s.Stage != "observe" || s.Description.String() != tt.want {
			t.Errorf("got %+v: %s\nwant %s", s, s.Description, tt.want)
		}
	}
}
