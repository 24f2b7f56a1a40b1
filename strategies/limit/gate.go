package limit

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/fifo"
)

// gate lets a limited number of attempts at one broker be under way. Nobody waits while there is
// room: whatever makes room, or widens the limit, lets those in that wait.
type gate struct {
	at   core.Broker
	mark uint64 // one bit, which tells it from most other gates

	mu      sync.Mutex
	limit   int
	under   int               // attempts under way
	peak    int               // the most of them that one found when it came, itself included
	entered uint64            // attempts that were let in
	line    fifo.List[waiter] // attempts that wait, in order of arrival
}

// waiter is an attempt that waits for room. It is in its gate's line until it got room or
// gave up. The lock of the gate guards that.
type waiter struct {
	ready  chan struct{} // has room for one
	number uint64        // set before ready
	node   fifo.Node[waiter]
}

// try lets an attempt in and gives its number, unless there is no room.
func (g *gate) try() (number uint64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.under >= g.limit {
		return 0, false
	}
	return g.take(), true
}

// take lets an attempt in; there is room.
func (g *gate) take() uint64 {
	g.under++
	g.peak = max(g.peak, g.under)
	g.entered++
	return g.entered
}

// leave ends an attempt that was let in.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.under--
	g.admit()
}

// admit lets those in that wait and have room now.
func (g *gate) admit() {
	for g.line.Len() > 0 && g.under < g.limit {
		w := g.line.First()
		g.line.Remove(&w.node)
		w.number = g.take()
		w.ready <- struct{}{}
	}
}

// queue puts w at the end of the line, unless it need not wait after all.
func (g *gate) queue(w *waiter) (waits bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.under < g.limit {
		w.number = g.take()
		return false
	}
	g.line.Push(&w.node, w)
	return true
}

// giveUp takes a waiter out. If it got room at the same moment, that goes to another.
func (g *gate) giveUp(w *waiter, why error) error {
	g.mu.Lock()
	listed := g.line.Remove(&w.node)
	err := g.full(why)
	g.mu.Unlock()
	if !listed {
		<-w.ready
		g.leave()
	}
	return err
}

// full makes the error of an attempt that does not get in; mu is held.
func (g *gate) full(why error) error {
	return &Error{Broker: g.at.Name, Addr: g.at.Addr, Limit: g.limit, UnderWay: g.under, Err: why}
}

func (g *gate) status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Status{Broker: g.at.Name, Addr: g.at.Addr, Limit: g.limit, UnderWay: g.under, Waiting: g.line.Len()}
}

// guard is what the limits of brokers have in common: how an attempt passes a gate.
type guard struct {
	waiters sync.Pool         // of *waiter
	refused core.Slot[uint64] // the marks of the gates that refused the call
	gates   atomic.Uint32     // made so far
}

func newGuard(name string) *guard {
	return &guard{
		waiters: sync.Pool{New: func() any { return &waiter{ready: make(chan struct{}, 1)} }},
		refused: core.NewSlot[uint64](name),
	}
}

// newGate makes the gate of a broker.
func (d *guard) newGate(at core.Broker, limit int) gate {
	return gate{at: at, limit: limit, mark: 1 << (d.gates.Add(1) % 64)}
}

// enter lets an attempt in, or says why not. Whoever was let in has to leave.
func (d *guard) enter(ctx context.Context, at *core.Attempt, g *gate) (number uint64, err error) {
	if number, ok := g.try(); ok {
		return number, nil
	}
	if !at.LastResort() && d.refuses(at.Call(), g) {
		g.mu.Lock()
		defer g.mu.Unlock()
		return 0, g.full(core.ErrTooManyInFlight)
	}
	w := d.waiters.Get().(*waiter)
	defer d.waiters.Put(w)
	if !g.queue(w) {
		return w.number, nil
	}
	if why := at.Wait(ctx, w.ready); why != nil {
		return 0, g.giveUp(w, why)
	}
	return w.number, nil
}

// refuses reports whether the gate sends the call on to another broker. It does so once: a
// selector that comes back does not know better, and core ends a call that is refused more
// often than there are brokers. Two gates may have one mark. Then the second one lets the call
// wait, which does no harm.
func (d *guard) refuses(c *core.Call, g *gate) bool {
	marks, _ := d.refused.Get(c)
	if marks&g.mark != 0 {
		return false
	}
	d.refused.Set(c, marks|g.mark)
	return true
}
