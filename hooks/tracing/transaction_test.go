package tracing_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
)

// transactional is a transport that carries transactions and brings what brokers ask.
type transactional struct {
	coretest.Transport
	inbox *core.Inbox
	fails error
}

func (tr *transactional) RegisterGroup(_ context.Context, r core.Registration) error {
	tr.inbox = r.Inbox
	return nil
}

func (*transactional) UnregisterGroup(context.Context, string) error { return nil }

func (tr *transactional) EndTransaction(_ context.Context, op *core.Operation) error {
	op.MarkWritten()
	return tr.fails
}

func (*transactional) ParseCheck(r *core.ServerRequest) (*core.TransactionCheck, error) {
	return &core.TransactionCheck{Message: &core.Message{Topic: "T"}, MessageID: "ID", Target: "T", Addr: r.Addr}, nil
}

// A half message, its end and a question each have a span, and say what was decided.
func TestTransactionSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		step, err := tracing.New(tracing.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
		if err != nil {
			t.Fatal(err)
		}
		tr := &transactional{}
		cfg := coretest.Config(&tr.Transport, step.Step())
		cfg.Transport = tr
		cfg.TransactionChecker = core.TransactionCheckerFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) {
			return core.TransactionRollback, nil
		})
		p := coretest.Start(t, cfg)
		commit := func(context.Context, *core.Result) (core.TransactionDecision, error) {
			return core.TransactionCommit, nil
		}
		res, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, commit)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.inbox.Deliver(&core.ServerRequest{Kind: core.RequestTransactionCheck, Group: "test", Addr: "b:1"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		tr.fails = core.ErrConnectionLost
		if _, err := p.SendTransaction(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}, commit); !errors.Is(err, core.ErrConnectionLost) {
			t.Fatal(err)
		}
		ended := spans.Ended()
		want := []struct {
			name string
			kind trace.SpanKind
			has  []attribute.KeyValue
			code codes.Code
		}{
			{"send T", trace.SpanKindProducer, []attribute.KeyValue{semconv.MessagingRocketMQMessageTypeTransaction}, codes.Unset},
			{"end-transaction T", trace.SpanKindClient, []attribute.KeyValue{
				semconv.MessagingMessageID(res.MessageID.String()), attribute.String("liftoff.transaction", "commit"), attribute.Bool("liftoff.transaction.check", false),
				semconv.ServerAddress("broker-a"),
			}, codes.Unset},
			{"transaction-check T", trace.SpanKindServer, []attribute.KeyValue{
				semconv.MessagingMessageID("ID"), attribute.String("liftoff.transaction", "rollback"), attribute.Bool("liftoff.transaction.check", true), semconv.ServerAddress("b"),
			}, codes.Unset},
			{"end-transaction T", trace.SpanKindClient, []attribute.KeyValue{
				attribute.String("liftoff.transaction", "rollback"), attribute.Bool("liftoff.transaction.check", true),
			}, codes.Unset},
			{"send T", trace.SpanKindProducer, nil, codes.Unset},
			{"end-transaction T", trace.SpanKindClient, []attribute.KeyValue{attribute.String("liftoff.certainty", "maybe-stored")}, codes.Error},
		}
		if len(ended) != len(want) {
			t.Fatalf("%d spans", len(ended))
		}
		for i, w := range want {
			if s := ended[i]; s.Name() != w.name || s.SpanKind() != w.kind || s.Status().Code != w.code {
				t.Errorf("span %d is %q of kind %v, %v", i, s.Name(), s.SpanKind(), s.Status())
			} else {
				wantAttrs(t, s.Attributes(), w.has...)
			}
		}
	})
}
