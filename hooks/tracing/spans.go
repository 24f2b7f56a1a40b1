package tracing

import (
	"cmp"
	"context"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/internal/conventions"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// start makes the send span, and in a batch the create spans. It puts their contexts into the
// messages if they still go somewhere.
func (t *Tracing) start(ctx context.Context, call *core.Call, goes bool) (context.Context, trace.Span) {
	m := call.Message()
	opts := make([]trace.SpanStartOption, 0, 4)
	// The span begins when the user called: an asynchronous send may have waited.
	opts = append(opts, trace.WithTimestamp(call.Start()))
	links := make([]trace.Link, 0, call.Len())
	injects := false // whether the send span's context goes into a message
	for out := range call.All() {
		created := t.created(out.Message())
		if !created.IsValid() && call.Batch() && t.createSpans {
			created = t.create(ctx, call, out, goes)
		}
		if created.IsValid() {
			links = append(links, trace.Link{SpanContext: created})
		} else {
			injects = true
		}
	}
	kind := trace.SpanKindClient
	if injects {
		kind = trace.SpanKindProducer
	}
	if len(links) > 0 {
		opts = append(opts, trace.WithLinks(links...))
	}
	ctx, span := t.startSpan(ctx, kind, call, m, opts)
	if injects && goes {
		for out := range call.All() {
			if !t.created(out.Message()).IsValid() {
				t.inject(ctx, out)
			}
		}
	}
	return ctx, span
}

// create makes the span of one message of a batch. It ends at once: what becomes
// of the message is the send span's to tell.
func (t *Tracing) create(ctx context.Context, call *core.Call, out *core.Outgoing, goes bool) trace.SpanContext {
	m := out.Message()
	attrs := t.attrs(ctx, conventions.Create, m, call.ClientID())
	attrs = t.appendMessage(attrs, m, m.Type(), out.MessageID())
	ctx, span := t.tracer.Start(ctx, t.name(conventions.Create, m),
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attrs...))
	if goes {
		t.inject(ctx, out)
	}
	span.End()
	return span.SpanContext()
}

// startSpan starts the send span with all that is known before the send:
// samplers see only these attributes.
func (t *Tracing) startSpan(ctx context.Context, kind trace.SpanKind, call *core.Call, m *core.Message, opts []trace.SpanStartOption) (context.Context, trace.Span) {
	op := conventions.OfCall(call)
	attrs := t.attrs(ctx, op, m, call.ClientID())
	attrs = append(attrs, conventions.ModeKey.String(call.Mode().String()))
	if m.Queue != nil {
		attrs = append(attrs, conventions.Partition(*m.Queue))
	}
	if call.Batch() {
		attrs = append(attrs, conventions.BatchCount(call.Len()))
	} else {
		attrs = t.appendMessage(attrs, m, call.Type(), call.MessageID())
	}
	opts = append(opts, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	return t.tracer.Start(ctx, t.name(op, m), opts...)
}

// appendMessage appends what describes one message.
func (t *Tracing) appendMessage(attrs []attribute.KeyValue, m *core.Message, typ core.MessageType, id core.MessageID) []attribute.KeyValue {
	attrs = conventions.AppendMessage(attrs, m, typ, id)
	if t.keys {
		attrs = conventions.AppendKeys(attrs, m)
	}
	if t.bodySize {
		attrs = append(attrs, conventions.BodySize(len(m.Body)))
	}
	return attrs
}

// attrs are the attributes that all operations have.
func (t *Tracing) attrs(ctx context.Context, op conventions.Operation, m *core.Message, clientID string) []attribute.KeyValue {
	const room = 16
	attrs := conventions.AppendOperation(make([]attribute.KeyValue, 0, room), op, t.namespace, m.Topic)
	if id := cmp.Or(t.clientID, clientID); id != "" {
		attrs = append(attrs, conventions.ClientID(id))
	}
	if t.attributes != nil && op != conventions.Attempt {
		attrs = append(attrs, t.attributes(ctx, string(op), m)...)
	}
	return attrs
}

func (t *Tracing) name(op conventions.Operation, m *core.Message) string {
	switch {
	case t.spanName != nil:
		return t.spanName(string(op), m)
	case m.Topic == "":
		return string(op)
	default:
		return string(op) + " " + m.Topic
	}
}
