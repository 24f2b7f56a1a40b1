package selector

import (
	"context"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
)

// Filter lets a selector choose only among the queues for which keep is true. To inner the
// others do not exist: it divides the messages among those that are kept as it would among
// all, and the brokers of others are no way out when the kept ones are down. [Fallback] can
// be one. Where keep is true of no queue, sends fail with [core.ErrNoRoute].
//
// Keep must depend on the queue alone: it is asked once for each queue of a route, by several
// goroutines at a time, and the answer is kept for as long as the route stays. A pick costs
// what inner's costs, and no walk over the queues.
//
// A choice that inner requires to be consistent is consistent among the queues that are kept.
// Listeners are told as with [Healthy]. If inner or keep is nil, so is the result.
func Filter(inner core.SelectorFactory, keep func(q core.Queue) bool) core.SelectorFactory {
	if none(inner) || keep == nil {
		return (*outer)(nil)
	}
	o := outer{
		inner: []core.SelectorFactory{inner},
		say: func(inner []core.Description) core.Description {
			d := inner[0]
			d.Settings = append([]core.Setting{{Name: "only", Value: "queues that the program keeps"}}, d.Settings...)
			return d
		},
		around: func(inner []core.QueueSelector) (core.QueueSelector, requirer) {
			s := &filter{inner: inner[0]}
			s.kept.make = func(r *core.Route) *kept {
				in, _ := split(r, keep)
				if in.empty() {
					return &kept{err: fmt.Errorf("%w: the filter keeps none of its %d queues", core.ErrNoRoute, r.Len())}
				}
				return &kept{part: in}
			}
			return s, consistencyOf(inner[0])
		},
	}
	return o.factory()
}

type filter struct {
	inner core.QueueSelector
	kept  perRoute[kept]
}

// kept are the queues that are kept, or why there is nothing to choose from.
type kept struct {
	part
	err error
}

// Select implements [core.QueueSelector].
func (s *filter) Select(ctx context.Context, sel *core.Selection) (int, error) {
	kept := s.kept.of(sel.Route())
	if kept.err != nil {
		return 0, kept.err
	}
	return kept.choose(ctx, s.inner, sel)
}
