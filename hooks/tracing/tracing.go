package tracing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/internal/conventions"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const (
	// StepName is the name of the step in the pipeline.
	StepName = "otel.trace"
	// ScopeName is the instrumentation scope of the spans.
	ScopeName = "github.com/liftoff-mq/liftoff/hooks/tracing"
	// Version is the version of that scope.
	Version = conventions.Version
	// SchemaURL names the version of the conventions in use.
	SchemaURL = conventions.SchemaURL
)

// Tracing is the tracing step. It is safe for concurrent use, also by several
// producers.
type Tracing struct {
	config
	tracer   trace.Tracer
	calls    core.Slot[trace.Span]
	carriers sync.Pool // of *carrier
	// none is in the slot of a call that was seen and has no open span. It is a
	// pointer: a noop.Span cannot be compared.
	none trace.Span
}

var (
	_ core.Interceptor          = (*Tracing)(nil)
	_ core.AttemptInterceptor   = (*Tracing)(nil)
	_ core.OperationInterceptor = (*Tracing)(nil)
	_ core.CallListener         = (*Tracing)(nil)
	_ core.Describer            = (*Tracing)(nil)
)

// New makes the step. Without options it uses OpenTelemetry's global provider and
// propagator, also if the program sets them later. An option that is nil is an error.
func New(opts ...Option) (*Tracing, error) {
	t := &Tracing{config: config{createSpans: true}, calls: core.NewSlot[trace.Span](StepName), none: new(noop.Span)}
	var errs []error
	for i, o := range opts {
		if o == nil {
			errs = append(errs, fmt.Errorf("tracing: option %d is nil", i))
			continue
		}
		o.apply(&t.config)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if t.provider == nil {
		t.provider = otel.GetTracerProvider()
	}
	if t.propagators == nil {
		t.propagators = otel.GetTextMapPropagator()
	}
	t.tracer = t.provider.Tracer(ScopeName,
		trace.WithInstrumentationVersion(Version), trace.WithSchemaURL(SchemaURL))
	t.carriers.New = func() any { return new(carrier) }
	return t, nil
}

// Describe says what has a span.
func (t *Tracing) Describe() core.Description {
	attempts, messages := "events of it", "no spans of their own"
	if t.attemptSpans {
		attempts = "a span each"
	}
	if t.createSpans {
		messages = "a span each"
	}
	d := core.Description{Summary: "OpenTelemetry spans", Settings: []core.Setting{
		{Name: "calls", Value: "a span each"},
		{Name: "attempts", Value: attempts},
		{Name: "messages of a batch", Value: messages},
	}}
	if t.filter != nil {
		d.Settings[0].Value = "a span each that the filter lets pass"
	}
	if t.keys {
		d.Settings = append(d.Settings, core.Setting{Name: "message keys", Value: "in the spans"})
	}
	if t.unsampled {
		d.Settings = append(d.Settings, core.Setting{Name: "below unsampled spans", Value: "as the sampler decides"})
	}
	return d
}

// Step is the step for a pipeline: it observes in both scopes.
func (t *Tracing) Step() core.Step {
	return core.CallStep(StepName, core.StageObserve, t).WithAttempt(core.AttemptObserve, t)
}

// Intercept makes the span of a call and puts its context into the messages.
func (t *Tracing) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	t.calls.Set(call, t.none)
	if t.filter != nil && !t.filter(ctx, call) {
		return next(ctx, call)
	}
	if t.unwanted(ctx) {
		for out := range call.All() {
			if !t.created(out.Message()).IsValid() {
				t.inject(ctx, out)
			}
		}
		return next(ctx, call)
	}

	ctx, span := t.start(ctx, call, true)
	if !span.IsRecording() {
		defer span.End()
		return next(ctx, call)
	}
	t.calls.Set(call, span)
	// A step below may end the goroutine; the span must end then too.
	outcome := errGoexit
	var res *core.Result
	defer func() {
		t.calls.Set(call, t.none)
		t.linkReply(span, call)
		end(span, call, res, outcome)
	}()
	res, outcome = next(ctx, call)
	return res, outcome
}

// unwanted reports whether the sampler decided against ctx's span, so that spans below it
// are not wanted either.
func (t *Tracing) unwanted(ctx context.Context) bool {
	if t.unsampled {
		return false
	}
	parent := trace.SpanFromContext(ctx)
	sc := parent.SpanContext()
	return sc.IsValid() && !sc.IsSampled() && !parent.IsRecording()
}

// CallDone makes the span of a call that failed before the pipeline began: one that found no
// room in flight, or was refused.
func (t *Tracing) CallDone(ctx context.Context, r *core.CallReport) {
	if _, seen := t.calls.Get(r.Call); seen || r.Err == nil || t.unwanted(ctx) {
		return
	}
	if t.filter != nil && !t.filter(ctx, r.Call) {
		return
	}
	_, span := t.start(ctx, r.Call, false)
	end(span, r.Call, nil, r.Err)
}

// linkReply links the span of a request to the context that the reply's message carries.
func (t *Tracing) linkReply(span trace.Span, call *core.Call) {
	reply := requestreply.ReplyOf(call)
	if reply == nil {
		return
	}
	// Background: the span of the caller's context must not pass for the reply's.
	ctx := t.propagators.Extract(context.Background(), propagation.MapCarrier(reply.Properties))
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		span.AddLink(trace.Link{SpanContext: sc})
	}
}

// errGoexit is the outcome of a call whose goroutine ended below.
var errGoexit = fmt.Errorf("%w: a step ended the goroutine", core.ErrContract)

// end ends the call's span with its outcome.
func end(span trace.Span, call *core.Call, res *core.Result, err error) {
	const room = 8
	attrs := make([]attribute.KeyValue, 0, room)
	attrs = append(attrs, conventions.AttemptsKey.Int(call.Attempts()))
	// The namespace is set further in, after the span began.
	if ns, ok := call.Outgoing().Property(rocketmq.PropertyInstanceID); ok {
		attrs = append(attrs, conventions.Namespace(ns))
	}
	if id, ok := call.Outgoing().Property(rocketmq.PropertyCorrelationID); ok {
		attrs = append(attrs, conventions.Conversation(id))
	}
	if queue, addr := call.Last(); addr != "" {
		attrs = append(attrs, conventions.Partition(queue))
		attrs = conventions.AppendServer(attrs, addr)
		attrs = conventions.AppendPeer(attrs, addr)
	}
	if err != nil {
		attrs = append(attrs, conventions.ErrorType(err), conventions.CertaintyKey.String(certaintyOf(call, err).String()))
		span.SetStatus(codes.Error, conventions.StatusText(err))
	} else {
		attrs = append(attrs, conventions.SendStatusKey.String(res.Status.String()))
	}
	span.SetAttributes(attrs...)
	span.End()
}

// certaintyOf is what err says of the call's message. An error that a step made itself says
// nothing; then it is certain only that a call without attempts sent nothing.
func certaintyOf(call *core.Call, err error) core.Certainty {
	if c := core.CertaintyOf(err); c != core.CertaintyUnknown || call.Attempts() > 0 {
		return c
	}
	return core.NotSent
}

// InterceptAttempt reports an attempt to the call's span, or makes a span of it.
func (t *Tracing) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	span, _ := t.calls.Get(at.Call())
	if span == nil || span == t.none {
		return next(ctx, at)
	}
	if t.attemptSpans {
		return t.attemptSpan(ctx, at, next)
	}
	start := time.Now()
	outcome := errGoexit
	defer func() {
		attrs := describe(at, outcome)
		attrs = append(attrs, conventions.AttemptTimeKey.Float64(time.Since(start).Seconds()))
		span.AddEvent(string(conventions.Attempt), trace.WithAttributes(attrs...))
	}()
	var res *core.Result
	res, outcome = next(ctx, at)
	return res, outcome
}

// attemptSpan makes a span of its own for the attempt.
func (t *Tracing) attemptSpan(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	m := at.Call().Message()
	ctx, span := t.tracer.Start(ctx, t.name(conventions.Attempt, m), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(t.attrs(ctx, conventions.Attempt, m, at.Call().ClientID())...))
	outcome := errGoexit
	defer func() {
		span.SetAttributes(describe(at, outcome)...)
		span.SetAttributes(conventions.AppendPeer(nil, at.Addr())...)
		if outcome != nil {
			span.SetStatus(codes.Error, conventions.StatusText(outcome))
		}
		span.End()
	}()
	var res *core.Result
	res, outcome = next(ctx, at)
	return res, outcome
}

// describe gives the attributes of an attempt.
func describe(at *core.Attempt, err error) []attribute.KeyValue {
	const room = 8
	attrs := append(make([]attribute.KeyValue, 0, room),
		conventions.AttemptKey.Int(at.Number()), conventions.Partition(at.Queue()))
	attrs = conventions.AppendServer(attrs, at.Addr())
	if err != nil {
		attrs = append(attrs, conventions.ErrorType(err))
		attrs = conventions.AppendResponseCode(attrs, err)
	}
	return attrs
}
