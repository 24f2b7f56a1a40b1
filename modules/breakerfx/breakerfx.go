// Package breakerfx provides the circuit breakers of an fx application as a
// *breaker.Breakers, made of a breaker.Config. All producers of the application share one
// breaker for each broker, and whoever wants to look at their state can take them. Without it
// each producer has breakers of its own with the default numbers.
package breakerfx

import (
	"cmp"
	"fmt"
	"log/slog"

	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"go.uber.org/fx"
)

// Module provides the breakers.
var Module = fx.Module("liftoff.breaker", rocketmqfx.Use[*breaker.Breakers](New))

// Params are what the breakers are made of.
type Params struct {
	fx.In

	Config breaker.Config
	Logger *slog.Logger `optional:"true"` // for a Config that has none
}

// New makes the breakers.
func New(p Params) (*breaker.Breakers, error) {
	p.Config.Logger = cmp.Or(p.Config.Logger, p.Logger)
	b, err := breaker.New(p.Config)
	if err != nil {
		return nil, fmt.Errorf("breakerfx: %w", err)
	}
	return b, nil
}
