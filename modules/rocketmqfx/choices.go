package rocketmqfx

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"go.uber.org/fx"
)

// Choice replaces one part of the default producer. The helpers make choices.
//
// They travel in a value group and not as optional dependencies: of those fx
// drops the ones whose own dependencies are missing, and a producer with the
// default in place of what was asked for would start without a word.
type Choice struct {
	// Part says what is replaced, "selector" for example; By who replaces it.
	Part, By string
	Scope    Scope
	Option   liftoff.Option
}

// AsSelector replaces the queue selector: ctor returns a core.SelectorFactory, as
// any type, and perhaps an error.
func AsSelector(ctor any) Part { return choose("AsSelector", ctor, "selector", liftoff.WithSelector) }

// AsRetry replaces the retry policy: ctor returns a core.RetryPolicy.
func AsRetry(ctor any) Part { return choose("AsRetry", ctor, "retry", liftoff.WithRetry) }

// AsBudget replaces the retry budget: ctor returns a core.RetryBudget.
func AsBudget(ctor any) Part { return choose("AsBudget", ctor, "budget", liftoff.WithBudget) }

// AsHealth replaces the view of the brokers' health: ctor returns a
// core.HealthView. The breakers stay; see [WithoutBreaker].
func AsHealth(ctor any) Part { return choose("AsHealth", ctor, "health", liftoff.WithHealth) }

// AsCompressor replaces the codec: ctor returns a core.Compressor.
func AsCompressor(ctor any) Part {
	return choose("AsCompressor", ctor, "compressor", liftoff.WithCompressor)
}

// AsBreaker replaces the circuit breakers: ctor returns a *breaker.Breakers. The
// package breakerfx makes them of a configuration.
func AsBreaker(ctor any) Part {
	return choose[*breaker.Breakers]("AsBreaker", ctor, "breaker", liftoff.WithBreaker)
}

// WithoutBreaker leaves the circuit breakers out.
func WithoutBreaker() Part { return decide("breaker", "WithoutBreaker", liftoff.WithoutBreaker()) }

// WithoutCompression sends every body as it is.
func WithoutCompression() Part {
	return decide("compressor", "WithoutCompression", liftoff.WithoutCompression())
}

// Limits changes the limits of validation.
func Limits(limits ...validate.Option) Part {
	return decide("limits", "Limits", liftoff.WithLimits(limits...))
}

// Order fixes the order of the steps outright.
func Order(order core.Order) Part { return decide("order", "Order", liftoff.WithOrder(order)) }

func choose[T any](helper string, ctor any, part string, option func(T) liftoff.Option) Part {
	return convert(helper, ctor, part, groupChoices, func(s Scope, by string, v T) (Choice, error) {
		// To liftoff's options nil means the default, which nobody asked for here.
		if reflect.ValueOf(&v).Elem().IsNil() {
			return Choice{}, fmt.Errorf("rocketmqfx: %s: %s returned nil", helper, by)
		}
		return Choice{Part: part, By: by, Scope: s, Option: option(v)}, nil
	})
}

func decide(part, by string, option liftoff.Option) Part {
	return newPart(func(s Scope, private []any) fx.Option {
		choice := func() Choice { return Choice{Part: part, By: by, Scope: s, Option: option} }
		return provide(private, fx.Annotate(choice, fx.ResultTags(groupChoices)))
	})
}

// pick takes one choice for each part: the producer's own before the
// application's. Two in one scope are an error that names both.
func pick(scope Scope, choices []Choice) ([]liftoff.Option, error) {
	picked := map[string]Choice{}
	var errs []error
	for _, s := range []Scope{scope, ""} {
		here := map[string][]Choice{}
		for _, c := range choices {
			if c.Scope == s {
				here[c.Part] = append(here[c.Part], c)
			}
		}
		for _, part := range slices.Sorted(maps.Keys(here)) {
			cs := here[part]
			if len(cs) > 1 {
				var by []string
				for _, c := range cs {
					by = append(by, c.By)
				}
				slices.Sort(by) // value groups come in any order
				errs = append(errs, fmt.Errorf("%s is given %d times: by %v", part, len(cs), by))
			}
			if _, ok := picked[part]; !ok {
				picked[part] = cs[0]
			}
		}
		if scope == "" {
			break
		}
	}
	var options []liftoff.Option
	for _, part := range slices.Sorted(maps.Keys(picked)) {
		options = append(options, picked[part].Option)
	}
	return options, errors.Join(errs...)
}
