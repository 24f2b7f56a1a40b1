// Package breakerfx configures the circuit breakers of an fx application and
// provides them as *breaker.Breakers, for whoever wants to look at their state.
// Without it each producer has breakers of its own with the default numbers.
//
// It needs a breaker.Config. All producers of the application then share one
// breaker per broker; given to rocketmqfx.Named directly, [Module] makes breakers
// for that producer alone.
package breakerfx

import (
	"fmt"
	"log/slog"

	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"go.uber.org/fx"
)

// Module provides the breakers and gives them to the producers.
var Module = rocketmqfx.Join(
	rocketmqfx.Provide(New),
	rocketmqfx.AsBreaker(func(b *breaker.Breakers) *breaker.Breakers { return b }),
)

// Params are what the breakers are made of.
type Params struct {
	fx.In

	Config breaker.Config
	// Logger is used if Config has none. Its absence is harmless.
	Logger *slog.Logger `optional:"true"`
}

// Result is what Module provides.
type Result struct {
	fx.Out

	Breakers *breaker.Breakers
}

// New makes the breakers.
func New(p Params) (Result, error) {
	if p.Config.Logger == nil {
		p.Config.Logger = p.Logger
	}
	b, err := breaker.New(p.Config)
	if err != nil {
		return Result{}, fmt.Errorf("breakerfx: %w", err)
	}
	return Result{Breakers: b}, nil
}
