package selector

import (
	"context"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/random"
)

// Healthy adds the avoidance of tried and ailing brokers to a selector that
// knows nothing of them. It keeps inner's choice where that queue has the best
// rank (see the package comment), and otherwise takes the best queue that a lap
// from a random queue finds. Inner is asked once per attempt.
//
// The lap is cheap and not even: the queue behind an ailing broker's queues is found more
// often. A selector that has to keep its shares while brokers ail ranks by itself, as all
// selectors of this package do but those around others.
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
	return avoid(inner, fresh, preference)
}

// AvoidTried adds to a selector that a retry of a call goes to a broker that the call has not
// tried, as long as there is one. A first attempt goes where inner says, whatever its
// broker's health. It is for a selector that judges health by itself, or is not to be
// disturbed by it; [Healthy] heeds both. Where inner's choice was tried, the best queue (see
// the package comment) that a lap from a random queue finds is taken.
//
// Consistency, errors, listeners and a nil inner are as with [Healthy].
func AvoidTried(inner core.SelectorFactory) core.SelectorFactory {
	return avoid(inner, freshDown, core.Setting{Name: "prefers", Value: "brokers that are not tried yet"})
}

// avoid makes a factory of selectors that keep an inner choice as good as kept or better.
func avoid(inner core.SelectorFactory, kept rank, setting core.Setting) core.SelectorFactory {
	if none(inner) {
		return (*outer)(nil)
	}
	o := outer{
		inner: []core.SelectorFactory{inner},
		say: func(inner []core.Description) core.Description {
			d := inner[0]
			if !slices.Contains(d.Settings, preference) {
				d.Settings = append(slices.Clip(d.Settings), setting)
			}
			return d
		},
		around: func(inner []core.QueueSelector) (core.QueueSelector, requirer) {
			consistent := consistencyOf(inner[0])
			return &avoiding{inner[0], consistent, kept}, consistent
		},
	}
	return o.factory()
}

// avoiding is the selector of [Healthy] and [AvoidTried].
type avoiding struct {
	inner      core.QueueSelector
	consistent requirer
	kept       rank // the worst rank at which inner's choice is kept without a look at others
}

// Select implements [core.QueueSelector].
func (s *avoiding) Select(ctx context.Context, sel *core.Selection) (int, error) {
	i, err := s.inner.Select(ctx, sel)
	if err != nil || outside(i, sel) || requires(s.consistent, sel.Message()) {
		return i, err
	}
	own := rankOf(sel, i)
	if own <= s.kept {
		return i, nil
	}
	if other := best(sel, random.IntN(sel.Len())); rankOf(sel, other) < own {
		return other, nil
	}
	return i, nil
}

// outside reports whether a choice is none, which core reports.
func outside(i int, sel *core.Selection) bool { return i < 0 || i >= sel.Len() }
