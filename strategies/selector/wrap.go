package selector

import (
	"context"
	"reflect"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// What selectors around others have in common: who is wrapped hears what he would hear by
// himself, once, and a choice that must be consistent is kept.

// outer is a factory of selectors around those of inner factories.
type outer struct {
	inner []core.SelectorFactory
	say   func(inner []core.Description) core.Description
	// around makes a selector of inner ones, with what says when its choice must be consistent,
	// nil for never.
	around func(inner []core.QueueSelector) (s core.QueueSelector, consistent requirer)
}

// requirer is the half of [core.ConsistentSelector] that says when.
type requirer interface {
	RequiresConsistency(m *core.Message) bool
}

// none reports whether one of the factories is nil.
func none(fs ...core.SelectorFactory) bool {
	return slices.ContainsFunc(fs, func(f core.SelectorFactory) bool { return absent.Is(f) })
}

// factory is o as a listener for what the inner factories listen to.
func (o *outer) factory() core.SelectorFactory {
	attempts, routes := listeners[core.AttemptListener](o.inner), listeners[core.RouteListener](o.inner)
	switch {
	case len(attempts) > 0 && len(routes) > 0:
		return &struct {
			*outer
			audience
			routeAudience
		}{o, attempts, routes}
	case len(attempts) > 0:
		return &struct {
			*outer
			audience
		}{o, attempts}
	case len(routes) > 0:
		return &struct {
			*outer
			routeAudience
		}{o, routes}
	}
	return o
}

// Describe implements [core.Describer].
func (o *outer) Describe() core.Description {
	inner := make([]core.Description, len(o.inner))
	for i, f := range o.inner {
		inner[i] = core.Describe(f)
	}
	return o.say(inner)
}

// ForTopic implements [core.SelectorFactory].
func (o *outer) ForTopic(topic string) core.QueueSelector {
	inner := make([]core.QueueSelector, len(o.inner))
	for i, f := range o.inner {
		if inner[i] = f.ForTopic(topic); absent.Is(inner[i]) {
			return nil // core reports it
		}
	}
	// A factory that is its own selector listens already.
	hears := slices.DeleteFunc(listeners[core.AttemptListener](inner), func(l core.AttemptListener) bool {
		return slices.ContainsFunc(o.inner, func(f core.SelectorFactory) bool { return same(f, l) })
	})
	s, consistent := o.around(inner)
	if _, itself := s.(core.ConsistentSelector); itself && len(hears) == 0 {
		return s
	}
	switch {
	case consistent != nil && len(hears) > 0:
		return &consistentListener{keeper{s, consistent}, hears}
	case consistent != nil:
		return &keeper{s, consistent}
	case len(hears) > 0:
		return &listener{s, hears}
	}
	return s
}

// keeper is a selector with the consistency of the one that it wraps.
type keeper struct {
	core.QueueSelector
	requirer
}

// listener is a selector that tells those that it wraps.
type listener struct {
	core.QueueSelector
	audience
}

type consistentListener struct {
	keeper
	audience
}

// consistencyOf gives what says when s must be consistent, nil if it never must.
func consistencyOf(s core.QueueSelector) requirer {
	if cs, ok := s.(core.ConsistentSelector); ok {
		return cs
	}
	return nil
}

// requires reports whether the choice for m must be consistent.
func requires(r requirer, m *core.Message) bool { return r != nil && r.RequiresConsistency(m) }

// audience are those who are told the end of each attempt.
type audience []core.AttemptListener

// AttemptDone implements [core.AttemptListener]. One who panics keeps it from nobody.
func (a audience) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	if len(a) > 1 {
		defer a[1:].AttemptDone(ctx, r)
	}
	a[0].AttemptDone(ctx, r)
}

// routeAudience are those who are told changes of routes.
type routeAudience []core.RouteListener

// RouteChanged implements [core.RouteListener]. One who panics keeps it from nobody.
func (a routeAudience) RouteChanged(r *core.RouteReport) {
	if len(a) > 1 {
		defer a[1:].RouteChanged(r)
	}
	a[0].RouteChanged(r)
}

// listeners are those of parts that are listeners of a kind, each once.
func listeners[L, P any](parts []P) []L {
	var out []L
	for _, p := range parts {
		l, ok := any(p).(L)
		if ok && !slices.ContainsFunc(out, func(o L) bool { return same(o, p) }) {
			out = append(out, l)
		}
	}
	return out
}

// same reports whether two interfaces hold one value.
func same(a, b any) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
