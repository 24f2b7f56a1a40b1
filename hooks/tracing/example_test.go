package tracing_test

import (
	"context"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func ExampleNew() {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))

	tr, err := tracing.New(tracing.WithTracerProvider(provider), tracing.WithPropagators(propagation.TraceContext{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}, tr.Step()))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer p.Shutdown(ctx)

	if _, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
		fmt.Println(err)
		return
	}
	span := spans.Ended()[0]
	fmt.Println(span.SpanKind(), span.Name(), len(span.Events()), "attempt")
	// Output: producer send Orders 1 attempt
}
