package pace

import (
	"context"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// waiter is an attempt that waits for its place. It is in its broker's list until
// it got one or gave up.
type waiter struct {
	ready      chan struct{}
	timer      *time.Timer
	ticket     ticket // set before ready
	listed     bool
	prev, next *waiter
}

func newWaiter() *waiter { return &waiter{ready: make(chan struct{}, 1)} }

// waiters is a list in order of arrival, under the lock of the broker.
type waiters struct {
	first, last *waiter
	len         int
}

func (l *waiters) push(w *waiter) {
	w.listed, w.prev, w.next = true, l.last, nil
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.len++
}

func (l *waiters) pop() *waiter {
	w := l.first
	l.remove(w)
	return w
}

func (l *waiters) remove(w *waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.listed, w.prev, w.next = false, nil, nil
	l.len--
}

// wait waits for a place at the broker, no longer than the attempt may.
func (p *Pacer) wait(ctx context.Context, at *core.Attempt, b *broker) (ticket, error) {
	w := p.waiters.Get().(*waiter)
	defer p.waiters.Put(w)
	if !b.queue(w) {
		return w.ticket, nil
	}
	left := time.Until(at.Deadline())
	if w.timer == nil {
		w.timer = time.NewTimer(left)
	} else {
		w.timer.Reset(left)
	}
	defer w.timer.Stop()
	var why error
	select {
	case <-w.ready:
		return w.ticket, nil
	case <-ctx.Done():
		why = core.ContextError(ctx)
	case <-w.timer.C:
		why = core.ErrTimeout
	case <-at.Aborted():
		why = core.ErrAborted
	}
	return ticket{}, b.leave(w, why)
}

// queue puts w at the end of the list, unless it need not wait after all.
func (b *broker) queue(w *waiter) (waits bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting.len == 0 && b.room() {
		w.ticket = b.take()
		return false
	}
	b.waiting.push(w)
	return true
}

// leave takes a waiter out that gave up. If it got its place at the same moment,
// the place goes to somebody else.
func (b *broker) leave(w *waiter, why error) error {
	b.mu.Lock()
	listed := w.listed
	if listed {
		b.waiting.remove(w)
	}
	err := &Error{Broker: b.name, Window: b.window, Unconfirmed: b.unconfirmed(), Err: why}
	b.mu.Unlock()
	if !listed {
		<-w.ready
		b.unsent(w.ticket)
	}
	return err
}
