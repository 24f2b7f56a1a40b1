package rocketmqfx

import (
	"log/slog"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"go.uber.org/fx"
)

// Params are the parts that the application's graph has for its producers. What the graph
// does not have is nil, and means the default of liftoff.New.
type Params struct {
	fx.In

	Lifecycle fx.Lifecycle
	Logger    *slog.Logger `optional:"true"` // for a Config that has none

	// Transport and Routes replace the producer's own client of a real cluster. The
	// producer does not start or stop them.
	Transport core.Transport   `optional:"true"`
	Routes    core.RouteSource `optional:"true"`

	Selector   core.SelectorFactory `optional:"true"`
	Retry      core.RetryPolicy     `optional:"true"`
	Budget     core.RetryBudget     `optional:"true"`
	Health     core.HealthView      `optional:"true"`
	Policies   core.PolicySource    `optional:"true"`
	Breaker    *breaker.Breakers    `optional:"true"`
	Compressor core.Compressor      `optional:"true"`
	Order      core.Order           `optional:"true"`

	// Hooks, Steps and Options are what AsHook, AsStep and AsOption add. The options are
	// applied last.
	Hooks   []liftoff.Stepper `group:"rocketmq.hooks"`
	Steps   []core.Step       `group:"rocketmq.steps"`
	Options []liftoff.Option  `group:"rocketmq.options"`

	// Step and Option are those that were provided without the helpers.
	Step   core.Step      `optional:"true"`
	Option liftoff.Option `optional:"true"`
}

func (p *Params) options() []liftoff.Option {
	options := []liftoff.Option{liftoff.WithHooks(p.Hooks...), liftoff.WithSteps(p.Steps...), liftoff.WithOrder(p.Order)}
	if p.Step.Name() != "" {
		options = append(options, liftoff.WithSteps(p.Step))
	}
	if p.Transport != nil || p.Routes != nil {
		options = append(options, liftoff.WithTransport(p.Transport, p.Routes))
	}
	give(&options, p.Selector, liftoff.WithSelector)
	give(&options, p.Retry, liftoff.WithRetry)
	give(&options, p.Budget, liftoff.WithBudget)
	give(&options, p.Health, liftoff.WithHealth)
	give(&options, p.Policies, liftoff.WithPolicies)
	give(&options, p.Breaker, liftoff.WithBreaker)
	give(&options, p.Compressor, liftoff.WithCompressor)
	options = append(options, p.Options...)
	if p.Option != nil {
		options = append(options, p.Option)
	}
	return options
}

// give adds the option of a part, if the graph has the part.
func give[T comparable](to *[]liftoff.Option, part T, option func(T) liftoff.Option) {
	var none T
	if part != none {
		*to = append(*to, option(part))
	}
}
