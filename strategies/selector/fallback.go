package selector

import (
	"context"

	"github.com/liftoff-mq/liftoff/core"
)

// Fallback takes the choice of the first selector, or where that is no good choice, the
// second's. No good choice is an error, or a queue whose broker was tried by the call or is
// down. Where the second has no better one (see the package comment), the first's stays. So
// Fallback fails only where both do.
//
// It is for a first selector that has not always an answer, such as a [Filter] on queues
// which may be gone. It costs what the first costs, and in trouble what the second does too.
// Its distribution is theirs. A selector that counts the attempts under way and whose choice is not
// taken counts the attempt for its own choice until the attempt ends.
//
// A choice that the first requires to be consistent is kept, and its error too: the key must
// not move. The second's consistency does not count, because the first decides for such
// messages as well. Listeners are told as with [Healthy]. If one of both is nil, so is the result.
func Fallback(first, second core.SelectorFactory) core.SelectorFactory {
	if none(first, second) {
		return (*outer)(nil)
	}
	o := outer{
		inner: []core.SelectorFactory{first, second},
		say: func(inner []core.Description) core.Description {
			return core.Description{Summary: "a selector, or another where it fails or its broker was tried or is down", Settings: []core.Setting{
				{Name: "first", Value: inner[0].String()},
				{Name: "second", Value: inner[1].String()},
			}}
		},
		around: func(inner []core.QueueSelector) (core.QueueSelector, requirer) {
			consistent := consistencyOf(inner[0])
			return &fallback{inner[0], inner[1], consistent}, consistent
		},
	}
	return o.factory()
}

type fallback struct {
	first, second core.QueueSelector
	consistent    requirer
}

// Select implements [core.QueueSelector].
func (s *fallback) Select(ctx context.Context, sel *core.Selection) (int, error) {
	i, err := s.first.Select(ctx, sel)
	own := worst
	switch {
	case requires(s.consistent, sel.Message()):
		return i, err
	case err == nil && outside(i, sel):
		return i, nil // a fault, which core reports by name
	case err == nil:
		if own = rankOf(sel, i); own < freshDown {
			return i, nil
		}
	}
	j, second := s.second.Select(ctx, sel)
	switch {
	case second != nil && err != nil:
		return 0, second
	case second != nil:
		return i, nil
	case err != nil || outside(j, sel) || rankOf(sel, j) < own:
		return j, nil
	}
	return i, nil
}
