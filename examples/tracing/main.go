// Tracing is an fx application whose sends are traced with OpenTelemetry and
// exported over OTLP/HTTP:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 go run .
//
// Without that variable it runs untraced. It is a module of its own, so that the
// exporter and what it brings stay out of the programs that only send.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/modules/tracingfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/fx"
)

func main() {
	// Attempts as spans of their own show in a trace viewer; with tracingfx.Module alone
	// they are events of the send's span.
	traced := tracingfx.With(tracing.WithAttemptSpans(true), tracing.WithMessageKeys()) // <- the one line that adds tracing
	if err := run(context.Background(), os.Stdout, traced); err != nil {
		log.Fatal(err)
	}
}

// run runs the application with more options, tracing among them.
func run(ctx context.Context, w io.Writer, more ...fx.Option) error {
	var shop *Shop
	options := []fx.Option{
		fx.NopLogger,
		rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "checkout"}),
		embeddedfx.Module, // remotingfx.Module for a real cluster
		fx.Supply(embedded.Config{Brokers: embedded.BrokerNames(2)}),
		fx.Provide(NewShop, func() io.Writer { return w }, NewProvider),
		fx.Populate(&shop),
	}
	app := fx.New(append(options, more...)...)
	if err := app.Start(ctx); err != nil {
		return err
	}
	shop.Checkout(ctx)
	if err := app.Stop(ctx); err != nil {
		return err
	}
	if os.Getenv(endpoint) == "" {
		fmt.Fprintf(w, "nothing was exported: %s is not set\n", endpoint)
	}
	return nil
}

// Shop is the application.
type Shop struct {
	producer *liftoff.Producer
	cluster  *embeddedfx.Cluster
	tracer   trace.Tracer
	out      io.Writer
}

// NewShop makes the shop.
func NewShop(p *liftoff.Producer, c *embeddedfx.Cluster, tp trace.TracerProvider, out io.Writer) *Shop {
	return &Shop{p, c, tp.Tracer("example/checkout"), out}
}

// Checkout is one request of a customer: a span of the application, with the
// sends below it.
func (s *Shop) Checkout(ctx context.Context) {
	ctx, span := s.tracer.Start(ctx, "checkout")
	defer span.End()
	fmt.Fprintf(s.out, "trace %v\n", span.SpanContext().TraceID())

	s.send(ctx, "an order", &liftoff.Message{Topic: "Orders", Tag: "created", Keys: []string{"order-1"}, Body: []byte("one book")})

	s.cluster.Embedded().ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
		return embedded.Reply(rocketmq.CodeSystemBusy, "scripted")
	})
	s.send(ctx, "an order that meets a busy broker", &liftoff.Message{Topic: "Orders", Tag: "retried", Body: []byte("two books")})

	s.send(ctx, "an order without a body", &liftoff.Message{Topic: "Orders", Tag: "invalid"})

	_, err := s.producer.SendBatch(ctx, []*liftoff.Message{
		{Topic: "Invoices", Tag: "first", Body: []byte("page one")}, {Topic: "Invoices", Tag: "second", Body: []byte("page two")},
	})
	fmt.Fprintf(s.out, "a batch of two: %v\n", outcome(err))
}

func (s *Shop) send(ctx context.Context, what string, m *liftoff.Message) {
	_, err := s.producer.Send(ctx, m)
	fmt.Fprintf(s.out, "%s: %v\n", what, outcome(err))
}

func outcome(err error) string {
	if err == nil {
		return "sent"
	}
	return fmt.Sprintf("%v, %v", core.ClassOf(err), liftoff.CertaintyOf(err))
}
