package core

import (
	"context"
	"time"
)

// wait is something that a call waits for: a channel, a time, or either. The engine hands
// its waits out instead of blocking in many places, so that they stand in one list: a route,
// the pause before a retry, a refreshed route. Elsewhere a call waits for room in flight
// (async.go), for a worker (workers.go), in its steps, and in the transport.
//
// The zero wait means that the call is over; there is nothing to wait for.
type wait struct {
	ready <-chan struct{} // closed or sent to when the call may go on; nil for never
	until time.Time       // when the wait ends anyway
	pause bool            // the end at until is what is waited for, and no timeout
}

// await is where the engine's own waits block. Besides what w names, it ends with ctx ([ContextError]), with the producer's abort ([ErrAborted]) and at
// w.until, which is [ErrTimeout] unless the wait is a pause.
func (c *Call) await(ctx context.Context, w wait) error {
	select {
	case <-w.ready:
		return nil
	default:
	}
	timer := c.arm(time.Until(w.until))
	defer timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-timer.C:
		if w.pause {
			return nil
		}
		return ErrTimeout
	case <-ctx.Done():
		return ContextError(ctx)
	case <-c.engine.aborted:
		return ErrAborted
	}
}

// arm starts the call's timer, which serves all its waits.
func (c *Call) arm(d time.Duration) *time.Timer {
	if c.timer == nil {
		c.timer = time.NewTimer(d)
	} else {
		c.timer.Reset(d)
	}
	return c.timer
}

// ended says why the call must not go on, or nil.
func (c *Call) ended(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ContextError(ctx)
	case <-c.engine.aborted:
		return ErrAborted
	default:
	}
	if !time.Now().Before(c.deadline) {
		return ErrTimeout
	}
	return nil
}

// bound gives a context that ends with ctx, at the deadline and with an abort.
func (e *engine) bound(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	ctx, over := context.WithDeadlineCause(ctx, deadline, ErrTimeout)
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.life, func() { end(ErrAborted) })
	return ctx, func() {
		stop()
		end(nil)
		over()
	}
}

// take takes a token of a channel that is a lock, also with a context that has ended if the
// token is free. Locks that are held while something is waited for are channels and no
// mutexes, so that the wait obeys a context and tests in virtual time see it.
func take(ctx context.Context, token chan<- struct{}) error {
	select {
	case token <- struct{}{}:
		return nil
	default:
	}
	select {
	case token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
