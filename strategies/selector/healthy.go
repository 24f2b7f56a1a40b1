package selector

import (
	"context"
	"reflect"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/random"
)

// Healthy adds the avoidance of tried and ailing brokers to a selector that
// knows nothing of them. It keeps inner's choice where that queue has the best
// rank (see the package comment), and otherwise takes the best queue that a lap
// from a random queue finds. Inner is asked once per attempt.
//
// A choice that inner requires to be consistent is kept whatever the health.
// Inner's errors, and indices that are out of range, pass through. Listeners
// for attempts and routes that inner or its selectors implement stay subscribed. Other
// roles of inner are not passed on: an inner that is a [core.Service] has to be started
// by itself ([core.Config].Own).
//
// A nil inner is a mistake: the result is nil then, and a producer refuses it by the name
// of its field.
func Healthy(inner core.SelectorFactory) core.SelectorFactory {
	if absent.Is(inner) {
		return (*healthyFactory)(nil)
	}
	f := healthyFactory{inner}
	attempt, isAttempt := inner.(core.AttemptListener)
	route, isRoute := inner.(core.RouteListener)
	switch {
	case isAttempt && isRoute:
		return &struct {
			healthyFactory
			core.AttemptListener
			core.RouteListener
		}{f, attempt, route}
	case isAttempt:
		return &struct {
			healthyFactory
			core.AttemptListener
		}{f, attempt}
	case isRoute:
		return &struct {
			healthyFactory
			core.RouteListener
		}{f, route}
	default:
		return &f
	}
}

type healthyFactory struct{ inner core.SelectorFactory }

// Describe implements [core.Describer]: what inner says of itself, and the avoidance.
func (f healthyFactory) Describe() core.Description {
	d := core.Describe(f.inner)
	if !slices.Contains(d.Settings, preference) {
		d.Settings = append(slices.Clip(d.Settings), preference)
	}
	return d
}

// ForTopic implements [core.SelectorFactory].
func (f healthyFactory) ForTopic(topic string) core.QueueSelector {
	inner := f.inner.ForTopic(topic)
	if absent.Is(inner) {
		return nil // core reports it
	}
	consistent, isConsistent := inner.(core.ConsistentSelector)
	attempt, isAttempt := inner.(core.AttemptListener)
	if isAttempt && reflect.ValueOf(inner).Comparable() && any(inner) == any(f.inner) {
		isAttempt = false // the factory is its own selector and listens already
	}
	s := healthy{inner: inner, consistent: consistent}
	switch {
	case isConsistent && isAttempt:
		return &struct {
			consistentHealthy
			core.AttemptListener
		}{consistentHealthy{s}, attempt}
	case isConsistent:
		return &consistentHealthy{s}
	case isAttempt:
		return &struct {
			healthy
			core.AttemptListener
		}{s, attempt}
	default:
		return &s
	}
}

type healthy struct {
	inner      core.QueueSelector
	consistent core.ConsistentSelector // inner, or nil
}

// Select implements [core.QueueSelector].
func (s healthy) Select(ctx context.Context, sel *core.Selection) (int, error) {
	i, err := s.inner.Select(ctx, sel)
	switch {
	case err != nil || i < 0 || i >= sel.Len():
		return i, err
	case s.consistent != nil && s.consistent.RequiresConsistency(sel.Message()):
		return i, nil
	}
	own := rankOf(sel, i)
	if own == fresh {
		return i, nil
	}
	other := best(sel, random.IntN(sel.Len()))
	if rankOf(sel, other) < own {
		return other, nil
	}
	return i, nil
}

type consistentHealthy struct{ healthy }

// RequiresConsistency implements [core.ConsistentSelector].
func (s consistentHealthy) RequiresConsistency(m *core.Message) bool {
	return s.consistent.RequiresConsistency(m)
}
