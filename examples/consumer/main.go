// Consumer shows the other side of a traced send: a consumer, made with the official Go client
// (github.com/apache/rocketmq-client-go), whose span joins the trace of the message's producer.
//
//	go run .
//
// The cluster is embedded. The part to copy is [Traced]. This is a module of its own, so that
// the official client stays out of programs that only send.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const topic = "Orders"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	provider := sdktrace.NewTracerProvider()
	defer provider.Shutdown(context.Background())
	if err := run(ctx, os.Stdout, provider); err != nil {
		log.Fatal(err)
	}
}

// Handler consumes one message.
type Handler func(ctx context.Context, msg *primitive.MessageExt) error

// Traced makes what a push consumer subscribes with. Each message has a span of its own, a child
// of the producer's span. The producer put its trace context into the message's properties,
// under the names of the propagator: "traceparent" and "tracestate" for W3C's. A message
// without one begins a trace of its own.
func Traced(tracer trace.Tracer, group string, handle Handler) func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	propagator := propagation.TraceContext{} // the one that the producer has
	return func(ctx context.Context, msgs ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, msg := range msgs {
			ctx := propagator.Extract(ctx, propagation.MapCarrier(msg.GetProperties()))
			ctx, span := tracer.Start(ctx, "process "+msg.Topic, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
				semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
				semconv.MessagingDestinationName(msg.Topic), semconv.MessagingConsumerGroupName(group), semconv.MessagingMessageID(msg.MsgId),
			))
			err := handle(ctx, msg)
			if err != nil {
				span.RecordError(err)
			}
			span.End()
			if err != nil {
				return consumer.ConsumeRetryLater, err
			}
		}
		return consumer.ConsumeSuccess, nil
	}
}

// run sends a message below a span of the application and waits until it is consumed.
func run(ctx context.Context, w io.Writer, provider trace.TracerProvider) (err error) {
	rlog.SetLogLevel("fatal") // the official client logs to the standard output
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		return err
	}
	defer cluster.Close()

	traced, err := tracing.New(tracing.WithTracerProvider(provider), tracing.WithPropagators(propagation.TraceContext{}))
	if err != nil {
		return err
	}
	producer, err := liftoff.New(liftoff.Config{Group: "checkout", NameServers: cluster.NameServers()}, liftoff.WithHooks(traced))
	if err != nil {
		return err
	}
	if err := producer.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Shutdown(context.WithoutCancel(ctx))) }()

	tracer := provider.Tracer("example/consumer")
	requestCtx, request := tracer.Start(ctx, "checkout")
	_, err = producer.Send(requestCtx, &liftoff.Message{Topic: topic, Body: []byte("one book")})
	request.End()
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "sent in trace    ", request.SpanContext().TraceID())

	consumed := make(chan trace.TraceID, 16)
	const group = "shipping"
	c, err := rocketmq.NewPushConsumer(
		consumer.WithGroupName(group), consumer.WithNameServer(cluster.NameServers()), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	err = c.Subscribe(topic, consumer.MessageSelector{}, Traced(tracer, group, func(ctx context.Context, _ *primitive.MessageExt) error {
		consumed <- trace.SpanContextFromContext(ctx).TraceID()
		return nil
	}))
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	defer c.Shutdown()
	select {
	case id := <-consumed:
		fmt.Fprintln(w, "consumed in trace", id)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
