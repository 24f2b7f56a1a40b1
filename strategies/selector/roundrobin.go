package selector

import (
	"context"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/random"
)

// RoundRobin gives each topic's messages to its queues in turn, and neighbours
// in that turn to different brokers. It begins at a random queue, so that many
// producers that start together do not all begin at the same one.
//
// Java goes through all queues of a broker before it goes on to the next; then a
// hung broker is met by sends for as long as its queues last, instead of at once.
func RoundRobin() core.SelectorFactory {
	return &factory{
		core.Description{Summary: "round-robin over queues, neighbours on different brokers", Settings: []core.Setting{preference}},
		func() core.QueueSelector { return newRoundRobin() },
	}
}

// roundRobin hands out tickets; a ticket stands for a queue, modulo their number.
type roundRobin struct{ next atomic.Uint64 }

func newRoundRobin() *roundRobin {
	r := new(roundRobin)
	// Far from the overflow, after which the turn would jump.
	r.next.Store(random.Uint64() >> 32)
	return r
}

// Select implements [core.QueueSelector].
func (r *roundRobin) Select(_ context.Context, sel *core.Selection) (int, error) {
	ticket := r.next.Add(1) - 1
	n := sel.Len()
	at := int(ticket % uint64(n))
	first := sel.Spread(at)
	if rankOf(sel, first) == fresh {
		return first, nil
	}
	// Neighbours are on different brokers: so many steps meet nearly all.
	for k := 1; k < min(n, 2*sel.Brokers()); k++ {
		if i := sel.Spread((at + k) % n); rankOf(sel, i) == fresh {
			r.advance(ticket + uint64(k) + 1)
			return i, nil
		}
	}
	return best(sel, first), nil
}

// advance makes next the ticket to hand out, unless a later one is due already.
// Without it the queue behind a down broker's queues would get the share of all
// of them; and each pick of that share would walk past them again. Since it goes
// to a place, not by a distance, many calls that skip the same queues together
// skip them once.
func (r *roundRobin) advance(next uint64) {
	for {
		now := r.next.Load()
		if now >= next || r.next.CompareAndSwap(now, next) {
			return
		}
	}
}
