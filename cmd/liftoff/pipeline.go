package main

import (
	"context"
	"encoding/json"
	"fmt"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
)

// pipelineCmd are the flags of "liftoff pipeline".
type pipelineCmd struct {
	Trace bool `help:"With the tracing step (OpenTelemetry)."`
	JSON  bool `name:"json" help:"Print one JSON object instead of text."`
}

// Help is the long help of "liftoff pipeline".
func (pipelineCmd) Help() string {
	return `Prints what the default producer does with a message, from which one can tell what happens when a broker hangs, is busy or refuses it. Nothing is sent or connected.

First the chain, outermost step first, with the settings of each step: the steps of message scope (call) run once a call, those of attempt scope once a try, and between them lie message id, route, queue selection and retry. Then the limits, with what happens beyond them. Then each policy with the topics that it serves: times, queue selector, retry policy, retry budget, the view of the brokers' health, and how a send ends under each kind of failure.

A program prints the same for its own producer with fmt.Print(producer.Pipeline()), or as JSON with json.Marshal.

With --json the object has steps, transport, limits and policies. Durations are text there, such as "1.5s".

Examples:

    liftoff pipeline
    liftoff pipeline --trace
    liftoff pipeline --json | jq '.policies[].failures[] | select(.name == "broker hangs")'`
}

// Run describes a producer that is made but never started.
func (c *pipelineCmd) Run(_ context.Context, con console) error {
	var opts []liftoff.Option
	if c.Trace {
		t, err := tracing.New(tracing.WithTracerProvider(noop.NewTracerProvider()))
		if err != nil {
			return err
		}
		opts = append(opts, liftoff.WithHooks(t))
	}
	p, err := liftoff.New(liftoff.Config{Group: "liftoff_pipeline", NameServers: []string{"127.0.0.1:9876"}}, opts...)
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(con.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(p.Pipeline())
	}
	_, err = fmt.Fprint(con.out, p.Pipeline())
	return err
}
