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
	attempts, routes := audienceOf(o.inner), listeners(o.inner, membersOfRoutes)
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
	already := audienceOf(o.inner)
	hears := slices.DeleteFunc(audienceOf(inner), func(l core.AttemptListener) bool { return holds(already, l) })
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

// audienceOf are those of parts, and inside them, who listen to attempts.
func audienceOf[P any](parts []P) audience { return listeners(parts, membersOf) }

// members are those whom a part tells that is a selector of this file; the others are asked
// for themselves.
func (a audience) members() []core.AttemptListener         { return a }
func (a routeAudience) routeMembers() []core.RouteListener { return a }

func membersOf(part any) []core.AttemptListener {
	if a, ok := part.(interface{ members() []core.AttemptListener }); ok {
		return a.members()
	}
	return nil
}

func membersOfRoutes(part any) []core.RouteListener {
	if a, ok := part.(interface{ routeMembers() []core.RouteListener }); ok {
		return a.routeMembers()
	}
	return nil
}

// listeners are those of parts that are listeners of a kind, each once. For one that tells
// others they stand themselves: one value may be in several of the parts.
func listeners[L, P any](parts []P, members func(part any) []L) []L {
	var out []L
	for _, p := range parts {
		all := members(p)
		if l, ok := any(p).(L); ok && all == nil {
			all = []L{l}
		}
		for _, l := range all {
			if !holds(out, l) {
				out = append(out, l)
			}
		}
	}
	return out
}

// holds reports whether l is among ls.
func holds[L any](ls []L, l L) bool {
	return reflect.ValueOf(l).Comparable() && slices.ContainsFunc(ls, func(o L) bool {
		return reflect.ValueOf(o).Comparable() && any(o) == any(l)
	})
}
