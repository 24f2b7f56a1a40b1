package selector

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
)

// perRoute keeps what a selector works out of a route, for as long as the route stays. It
// takes no lock: where a route has just changed, several calls may work it out, and calls
// with the old route and with the new one displace each other's value for a moment.
type perRoute[T any] struct {
	make func(r *core.Route) *T
	kept atomic.Pointer[routed[T]]
}

type routed[T any] struct {
	route *core.Route
	value *T
}

// of is what was worked out of r.
func (p *perRoute[T]) of(r *core.Route) *T {
	if k := p.kept.Load(); k != nil && k.route == r {
		return k.value
	}
	v := p.make(r)
	p.kept.Store(&routed[T]{r, v})
	return v
}

// forget has the value worked out anew.
func (p *perRoute[T]) forget() { p.kept.Store(nil) }

// group is a broker of a route with the indices of its queues there, at least one.
type group struct {
	broker core.Broker
	queues []int
}

// groupsOf are the brokers of a route that have queues, in the order of their first ones.
func groupsOf(r *core.Route) []group {
	var groups []group
	at := map[core.Broker]int{}
	for i := range r.Len() {
		b := r.Broker(i)
		g, known := at[b]
		if !known {
			g = len(groups)
			at[b] = g
			groups = append(groups, group{broker: b})
		}
		groups[g].queues = append(groups[g].queues, i)
	}
	return groups
}

// part is some of a route's queues, as a route of their own.
type part struct {
	route *core.Route
	index []int // of its queues in the whole route
}

// empty reports whether no queue is in it.
func (p *part) empty() bool { return len(p.index) == 0 }

// split parts a route into the queues for which in is true and the others.
func split(r *core.Route, in func(core.Queue) bool) (inside, outside part) {
	for i := range r.Len() {
		p := &outside
		if in(r.Queue(i)) {
			p = &inside
		}
		p.index = append(p.index, i)
	}
	inside.route, outside.route = r.Subset(inside.index), r.Subset(outside.index)
	return inside, outside
}

// rank is the best rank of the part's queues, of which there is one at least.
func (p *part) rank(whole *core.Selection) rank {
	top, broker := worst, ""
	for k, i := range p.index {
		b := whole.Queue(i).Broker
		if k > 0 && b == broker {
			continue
		}
		broker = b
		if top = min(top, rankOf(whole, i)); top == fresh {
			break
		}
	}
	return top
}

// choose lets s choose among the part's queues, and gives the index in the whole. An index
// out of range becomes -1, which is out of range too.
func (p *part) choose(ctx context.Context, s core.QueueSelector, whole *core.Selection) (int, error) {
	sel := selections.Get().(*core.Selection)
	defer func() {
		*sel = core.Selection{} // it is valid no longer
		selections.Put(sel)
	}()
	*sel = whole.Over(p.route)
	i, err := s.Select(ctx, sel)
	switch {
	case err != nil:
		return 0, err
	case outside(i, sel):
		return -1, nil
	}
	return p.index[i], nil
}

// selections are handed to inner selectors one after the other: each would be an allocation
// at each pick.
var selections = sync.Pool{New: func() any { return new(core.Selection) }}
