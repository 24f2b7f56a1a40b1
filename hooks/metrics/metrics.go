package metrics

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/internal/conventions"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const (
	// StepName is the name of the step in the pipeline.
	StepName = "otel.metrics"
	// ScopeName is the instrumentation scope of the instruments.
	ScopeName = "github.com/liftoff-mq/liftoff/hooks/metrics"
	// Version is the version of that scope.
	Version = conventions.Version
	// SchemaURL names the version of the conventions in use.
	SchemaURL = conventions.SchemaURL
)

// Metrics is the metrics step. It is safe for concurrent use, also by several
// producers.
type Metrics struct {
	duration metric.Float64Histogram
	sent     metric.Int64Counter
	sets     sets
	buckets  []float64
	seen     core.Slot[bool] // of calls that came through Intercept
}

var (
	_ core.Interceptor          = (*Metrics)(nil)
	_ core.OperationInterceptor = (*Metrics)(nil)
	_ core.AttemptListener      = (*Metrics)(nil)
	_ core.CallListener         = (*Metrics)(nil)
	_ core.Describer            = (*Metrics)(nil)
)

// New makes the step. Without options it uses OpenTelemetry's global provider,
// also if the program sets it later. It fails if an option is nil, the provider refuses
// an instrument or the buckets do not ascend.
func New(opts ...Option) (*Metrics, error) {
	var c config
	var errs []error
	for i, o := range opts {
		if o == nil {
			errs = append(errs, fmt.Errorf("metrics: option %d is nil", i))
			continue
		}
		o.apply(&c)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(c.buckets) == 0 {
		c.buckets = DefaultBuckets()
	}
	for i := 1; i < len(c.buckets); i++ {
		if !(c.buckets[i-1] < c.buckets[i]) {
			return nil, fmt.Errorf("metrics: duration buckets do not ascend: %v, %v", c.buckets[i-1], c.buckets[i])
		}
	}
	if c.provider == nil {
		c.provider = otel.GetMeterProvider()
	}
	meter := c.provider.Meter(ScopeName,
		metric.WithInstrumentationVersion(Version), metric.WithSchemaURL(SchemaURL))
	m := &Metrics{
		buckets: c.buckets,
		seen:    core.NewSlot[bool](StepName),
		sets:    sets{namespace: c.namespace, destination: c.destination, more: c.attributes, known: map[key]*set{}},
	}
	var err error
	if m.duration, err = conventions.Duration(meter, c.buckets); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if m.sent, err = conventions.Sent(meter); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}

// Describe gives the histogram's buckets, and whether topics are mapped.
func (m *Metrics) Describe() core.Description {
	seconds := func(s float64) string { return strconv.FormatFloat(s, 'g', -1, 64) + " s" }
	first, last := m.buckets[0], m.buckets[len(m.buckets)-1]
	d := core.Description{Summary: "OpenTelemetry metrics", Settings: []core.Setting{
		{Name: "duration", Value: fmt.Sprintf("in %d buckets from %s to %s", len(m.buckets), seconds(first), seconds(last))},
	}}
	if m.sets.destination != nil {
		d.Settings = append(d.Settings, core.Setting{Name: "topics", Value: "mapped by a function"})
	}
	return d
}

// Step is the step for a pipeline. It observes calls, inside the span of
// tracing, so that its values carry exemplars of it.
func (m *Metrics) Step() core.Step {
	return core.CallStep(StepName, core.StageObserve, m).After("otel.trace?")
}

// Intercept measures the call.
func (m *Metrics) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	m.seen.Set(call, true)
	// A step below may end the goroutine; that is an outcome too.
	outcome := core.ErrContract
	defer func() { m.record(ctx, call, outcome) }()
	var res *core.Result
	res, outcome = next(ctx, call)
	return res, outcome
}

// CallDone measures a call that failed before the pipeline began: one that found no room in
// flight, or was refused.
func (m *Metrics) CallDone(ctx context.Context, r *core.CallReport) {
	if seen, _ := m.seen.Get(r.Call); !seen {
		m.record(ctx, r.Call, r.Err)
	}
}

func (m *Metrics) record(ctx context.Context, call *core.Call, err error) {
	if !m.duration.Enabled(ctx) {
		return
	}
	_, addr := call.Last()
	m.measure(ctx, call.Start(), key{conventions.OfCall(call), call.Message().Topic, addr, failure(err)}, err)
}

// InterceptOperation measures an operation. It sends no message, so it counts none.
func (m *Metrics) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	// A step below may end the goroutine; that is an outcome too.
	outcome := core.ErrContract
	defer func() {
		if m.duration.Enabled(ctx) {
			kind := conventions.Operation(op.Kind().String())
			m.measure(ctx, op.Start(), key{kind, op.Topic(), op.Addr(), failure(outcome)}, outcome)
		}
	}()
	outcome = next(ctx, op)
	return outcome
}

// measure records a duration.
func (m *Metrics) measure(ctx context.Context, start time.Time, k key, err error) {
	if core.ClassOf(err) == core.ClassInvalid {
		k.topic = "" // it may be no topic's name, but anything, and each its own series
	}
	m.duration.Record(ctx, time.Since(start).Seconds(), m.sets.get(k).record...)
}

// AttemptDone counts the messages of an attempt that was written.
func (m *Metrics) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	if !r.Written || !m.sent.Enabled(ctx) {
		return
	}
	call := r.Attempt.Call()
	k := key{conventions.OfCall(call), call.Message().Topic, r.Attempt.Addr(), failure(r.Err)}
	m.sent.Add(ctx, int64(call.Len()), m.sets.get(k).add...)
}

// failure is the error type, "" for success.
func failure(err error) string {
	if err == nil {
		return ""
	}
	return conventions.ErrorType(err).Value.AsString()
}
