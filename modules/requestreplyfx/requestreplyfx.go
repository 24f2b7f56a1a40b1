// Package requestreplyfx provides a *requestreply.Requester to an fx application and makes it a
// step of the application's producer. It takes a requestreply.Config from the graph, if that has
// one.
//
// A requester belongs to one producer, so in an application with several named ones the second
// is not made: give each its own then, with liftoff.WithHooks.
package requestreplyfx

import (
	"cmp"
	"fmt"
	"log/slog"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.uber.org/fx"
)

// Module provides the requester and adds it to the producer. The producer of rocketmqfx.Module is
// made with it, also where the program takes the requester alone, which can do nothing without.
var Module = fx.Module("liftoff.requestreply",
	fx.Provide(New),
	rocketmqfx.AsHook(func(r *requestreply.Requester) *requestreply.Requester { return r }),
	fx.Invoke(func(owner) {}))

// owner is the producer, if the application has one without a name.
type owner struct {
	fx.In

	Producer *core.Producer `optional:"true"`
}

// Params are what the requester is made of.
type Params struct {
	fx.In

	Config requestreply.Config `optional:"true"`
	Logger *slog.Logger        `optional:"true"` // for a Config that has none
}

// New makes the requester. It unpacks what the codecs of hooks/compress packed.
func New(p Params) (*requestreply.Requester, error) {
	p.Config.Logger = cmp.Or(p.Config.Logger, p.Logger)
	r, err := liftoff.NewRequester(p.Config)
	if err != nil {
		return nil, fmt.Errorf("requestreplyfx: %w", err)
	}
	return r, nil
}
