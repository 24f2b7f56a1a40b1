package rocketmqfx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"go.uber.org/fx"
)

// Module provides the application's *core.Producer, made by [New] of a liftoff.Config.
// fx makes it only if something takes it.
var Module = fx.Module("liftoff.rocketmq", fx.Provide(New))

// Named provides one more *core.Producer, under a name: consumers take it with the tag
// `name:"..."`. constructor returns a *core.Producer and perhaps an error. It takes
// [Params], which hold what is given to all producers, changes them for this one, and
// calls [New]. It may take anything else from the graph. A step or strategy that is a
// core.Service is started by its producer, so it is made in this function.
func Named(name string, constructor any) fx.Option {
	if name == "" {
		return fx.Error(errors.New("rocketmqfx: Named is given no name: the producer without one is Module's"))
	}
	return fx.Module("liftoff.rocketmq."+name, fx.Provide(fx.Annotated{Name: name, Target: constructor}))
}

// New makes a producer of a configuration and parts and ties it to the application's
// lifecycle. When the application stops the producer shuts down within half of the time that
// is left then, so that the hooks that stop after it have theirs. What it could not wait for
// is the error of the stop, and a line of the configuration's logger: fx drops the errors of
// hooks if a later one overruns the time.
func New(cfg liftoff.Config, p Params) (*core.Producer, error) {
	cfg.Logger = cmp.Or(cfg.Logger, p.Logger)
	options, partsErr := p.options()
	producer, err := liftoff.New(cfg, options...)
	if err := errors.Join(partsErr, err); err != nil {
		return nil, fmt.Errorf("rocketmqfx: %w", err)
	}
	p.Lifecycle.Append(fx.Hook{
		OnStart: producer.Start,
		OnStop: func(ctx context.Context) error {
			ctx, cancel := half(ctx)
			defer cancel()
			err := producer.Shutdown(ctx)
			if err != nil && cfg.Logger != nil {
				cfg.Logger.Warn("producer did not shut down cleanly", "group", producer.Group(), "err", err)
			}
			return err
		},
	})
	return producer, nil
}

// half is the first half of the time: fx has one time-out for all hooks.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}
