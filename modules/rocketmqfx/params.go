package rocketmqfx

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
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
	// Credentials are those of the producer's own client. A client that the graph has takes
	// them itself.
	Credentials acl.Provider `optional:"true"`

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

// options are the parts as options, without those that are nil, which the error has.
func (p *Params) options() ([]liftoff.Option, error) {
	var errs []error
	hooks := there(p.Hooks, "AsHook", &errs)
	options := []liftoff.Option{liftoff.WithHooks(hooks...), liftoff.WithSteps(p.Steps...), liftoff.WithOrder(p.Order)}
	if p.Step.Name() != "" {
		options = append(options, liftoff.WithSteps(p.Step))
	}
	if p.Transport != nil || p.Routes != nil {
		options = append(options, liftoff.WithTransport(p.Transport, p.Routes))
	} else {
		give(&options, p.Credentials, liftoff.WithCredentials)
	}
	give(&options, p.Selector, liftoff.WithSelector)
	give(&options, p.Retry, liftoff.WithRetry)
	give(&options, p.Budget, liftoff.WithBudget)
	give(&options, p.Health, liftoff.WithHealth)
	give(&options, p.Policies, liftoff.WithPolicies)
	give(&options, p.Breaker, liftoff.WithBreaker)
	give(&options, p.Compressor, liftoff.WithCompressor)
	options = append(options, there(p.Options, "AsOption", &errs)...)
	if p.Option != nil {
		options = append(options, p.Option)
	}
	return options, errors.Join(errs...)
}

// there are the members of a group that are not nil. fx gives a group in any order, so the
// place of one that is nil says nothing, and it is reported by the helper that adds such
// members.
func there[T any](group []T, helper string, errs *[]error) []T {
	return slices.DeleteFunc(slices.Clone(group), func(member T) bool {
		v := reflect.ValueOf(member)
		switch {
		case !v.IsValid(), v.Kind() == reflect.Func && v.IsNil():
			*errs = append(*errs, fmt.Errorf("a constructor given to %s returned nil", helper))
		case v.Kind() == reflect.Pointer && v.IsNil():
			*errs = append(*errs, fmt.Errorf("a constructor given to %s returned a nil %v", helper, v.Type()))
		default:
			return false
		}
		return true
	})
}

// give adds the option of a part, if the graph has the part.
func give[T comparable](to *[]liftoff.Option, part T, option func(T) liftoff.Option) {
	var none T
	if part != none {
		*to = append(*to, option(part))
	}
}
