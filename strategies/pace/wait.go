package pace

import (
	"context"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/fifo"
)

// waiter is an attempt that waits for its place. It is in its broker's wait queue until it
// got one or gave up. The lock of the broker guards that.
type waiter struct {
	ready  chan struct{} // has room for one
	ticket ticket        // set before ready
	node   fifo.Node[waiter]
}

func newWaiter() *waiter { return &waiter{ready: make(chan struct{}, 1)} }

// wait waits for a place at the broker, no longer than the attempt may.
func (p *Pacer) wait(ctx context.Context, at *core.Attempt, b *broker) (ticket, error) {
	w := p.waiters.Get().(*waiter)
	defer p.waiters.Put(w)
	if !b.queue(w) {
		return w.ticket, nil
	}
	if why := at.Wait(ctx, w.ready); why != nil {
		return ticket{}, b.leave(w, why)
	}
	return w.ticket, nil
}

// queue puts w at the end of the wait queue, unless it need not wait after all.
func (b *broker) queue(w *waiter) (waits bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting.Len() == 0 && b.room() {
		w.ticket = b.take()
		return false
	}
	b.waiting.Push(&w.node, w)
	return true
}

// leave takes a waiter out that gave up. If it got its place at the same moment,
// the place goes to another.
func (b *broker) leave(w *waiter, why error) error {
	b.mu.Lock()
	listed := b.waiting.Remove(&w.node)
	err := &Error{Broker: b.at.Name, Addr: b.at.Addr, Window: b.window, Unconfirmed: b.unconfirmed(), Err: why}
	b.mu.Unlock()
	if !listed {
		<-w.ready
		b.takeBack(w.ticket)
	}
	return err
}
