package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
)

// pipelineCmd are the flags of "liftoff pipeline".
type pipelineCmd struct {
	Trace bool `help:"With the tracing step (OpenTelemetry)."`
}

// Help is the long help of "liftoff pipeline".
func (pipelineCmd) Help() string {
	return `Prints the chain of the default producer, outermost step first: the steps of message scope (call) run once a message, those of attempt scope once a try, and between them lie message id, route, queue selection and retry. Nothing is sent or connected.

Examples:

    liftoff pipeline
    liftoff pipeline --trace`
}

// Run prints the chain of a producer that is made but never started.
func (c *pipelineCmd) Run(_ context.Context, con console) error {
	var opts []liftoff.Option
	if c.Trace {
		opts = append(opts, liftoff.WithSteps(tracing.New(tracing.WithTracerProvider(noop.NewTracerProvider())).Step()))
	}
	p, err := liftoff.New(liftoff.Config{Group: "liftoff_pipeline", NameServers: []string{"127.0.0.1:9876"}}, opts...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(con.out, p.Pipeline())
	return err
}
