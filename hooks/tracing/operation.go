package tracing

import (
	"context"
	"errors"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/internal/conventions"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// InterceptOperation makes the span of an operation. It has one attempt and carries no
// message, so there is nothing below the span and nothing is injected. Where the broker asks,
// about a transaction, the span's kind is server.
func (t *Tracing) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	if t.unwanted(ctx) {
		return next(ctx, op)
	}
	// Formatters get a message, so that those written for sends work here too.
	about, kind := &core.Message{Topic: op.Topic()}, conventions.Operation(op.Kind().String())
	side := trace.SpanKindClient
	if op.Kind() == core.OperationTransactionCheck {
		side = trace.SpanKindServer
	}
	ctx, span := t.tracer.Start(ctx, t.name(kind, about), trace.WithTimestamp(op.Start()),
		trace.WithSpanKind(side), trace.WithAttributes(t.attrs(ctx, kind, about, op.ClientID())...))
	// A step below may end the goroutine; the span must end then too.
	outcome := errGoexit
	defer func() { endOperation(span, op, outcome) }()
	outcome = next(ctx, op)
	return outcome
}

// endOperation ends the span with the outcome.
func endOperation(span trace.Span, op *core.Operation, err error) {
	if span.IsRecording() {
		const room = 8
		attrs := make([]attribute.KeyValue, 0, room)
		if end := op.Transaction(); end != nil {
			attrs = append(attrs, conventions.MessageID(end.MessageID),
				conventions.DecisionKey.String(end.Decision.String()), conventions.CheckKey.Bool(end.FromCheck))
		}
		if addr := op.Addr(); addr != "" {
			attrs = conventions.AppendServer(attrs, addr)
			attrs = conventions.AppendPeer(attrs, addr)
		}
		if err != nil {
			attrs = append(attrs, conventions.ErrorType(err), conventions.CertaintyKey.String(certainty(op, err).String()))
			attrs = conventions.AppendResponseCode(attrs, err)
			span.SetStatus(codes.Error, conventions.StatusText(err))
		}
		span.SetAttributes(attrs...)
	}
	span.End()
}

// certainty is what the error of an operation will say when the producer has made it an
// *[core.OperationError], which happens further out than any step.
func certainty(op *core.Operation, err error) core.Certainty {
	var be *core.BrokerError
	switch {
	case !op.Entered():
		return core.NotSent // a name server's answer in err is not about the request
	case errors.As(err, &be):
		if be.Certainty == core.CertaintyUnknown {
			return core.MaybeStored
		}
		return be.Certainty
	case op.Written():
		return core.MaybeStored
	default:
		return core.NotSent
	}
}
