// Package msgtracefx provides a *msgtrace.Trace to an fx application and makes it a step of the
// application's producer, which then writes RocketMQ's message trace. It takes a
// msgtrace.Config from the graph, if that has one.
//
// A trace belongs to one producer, so in an application with several named ones the second is not
// made: give each its own then, with liftoff.WithHooks.
package msgtracefx

import (
	"cmp"
	"fmt"
	"log/slog"

	"github.com/liftoff-mq/liftoff/hooks/msgtrace"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.uber.org/fx"
)

// Module provides the trace and adds it to the producer.
var Module = fx.Module("liftoff.msgtrace",
	fx.Provide(New),
	rocketmqfx.AsHook(func(t *msgtrace.Trace) *msgtrace.Trace { return t }))

// Params are what the trace is made of.
type Params struct {
	fx.In

	Config msgtrace.Config `optional:"true"`
	Logger *slog.Logger    `optional:"true"` // for a Config that has none
}

// New makes the trace.
func New(p Params) (*msgtrace.Trace, error) {
	p.Config.Logger = cmp.Or(p.Config.Logger, p.Logger)
	t, err := msgtrace.New(p.Config)
	if err != nil {
		return nil, fmt.Errorf("msgtracefx: %w", err)
	}
	return t, nil
}
