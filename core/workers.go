package core

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/internal/fifo"
)

// workers runs asynchronous sends. A goroutine that has become idle waits for
// the next task, so that a steady load starts none; beyond maxIdle they end.
//
// Each send that is worked on takes a goroutine and its stack, so it needs a place. The others
// stand in a wait queue, first come, first served, where each takes only the memory of its
// call. A call gives its place back when it has its outcome, before done is called: done is the
// user's code and may wait for another send, which needs a place itself.
//
// There are firstPlaces at first. Each acknowledged send makes one more while others stand in
// the queue, up to `most`; each send that gets no answer takes one away again. So a distant
// broker has as many sends under way as it can answer, and a silent one, which none helps, has
// few.
type workers struct {
	tasks chan task
	quit  chan struct{}
	idle  atomic.Int32
	wg    sync.WaitGroup

	most   int32        // places that there can be
	places atomic.Int32 // that there are
	active atomic.Int32 // of these, taken
	queued atomic.Int32 // length of queue, to look at it without the lock
	late   atomic.Int32 // and of expired
	// tickets are those of the calls that have waited so far.
	tickets atomic.Uint64

	// watcher rings a moment after a call has left its place while others waited. Mostly the
	// goroutine takes one of them itself, when done has returned.
	watcher  *time.Timer
	watching atomic.Bool

	mu      sync.Mutex
	queue   fifo.List[Call]
	expired fifo.List[Call] // those whose time ended in the queue and that wait to fail
	failing int             // goroutines that fail expired calls
}

const (
	firstPlaces = 256
	maxIdle     = 256
	maxFailing  = 256
	// doneTime is how long a place stays empty for a done function to return.
	doneTime = time.Millisecond
)

// task is what a worker does: a *Call that is sent asynchronously, or a function.
type task interface{ run() }

type taskFunc func()

func (f taskFunc) run() { f() }

func newWorkers(most int) *workers {
	w := &workers{tasks: make(chan task), quit: make(chan struct{}), most: int32(min(most, 1<<30))}
	w.places.Store(min(w.most, firstPlaces))
	w.watcher = time.AfterFunc(time.Hour, w.watched)
	w.watcher.Stop()
	return w
}

// send gives c to a worker or, if enough are at work or others wait, queues it.
func (w *workers) send(c *Call) {
	if w.queued.Load() == 0 && w.admit() {
		w.run(c)
		return
	}
	w.wait(c)
	w.look() // a worker may have looked at the queue a moment ago and found it empty
}

// look gives a free place, if there is one, to the first call that waits. It reports whether
// it did.
func (w *workers) look() bool {
	c := w.more()
	if c != nil {
		w.run(c)
	}
	return c != nil
}

// more takes a free place, if there is one, and gives the call for it, if one waits.
func (w *workers) more() *Call {
	if w.late.Load() > 0 {
		if c := w.nextExpired(); c != nil {
			return c
		}
	}
	if w.queued.Load() > 0 && w.admit() {
		return w.next()
	}
	return nil
}

// admit takes a place, if one is free. It never takes one too many, not for a moment
// either: a worker and a sender could refuse each other over that, and leave a call in the
// queue with no worker to come for it.
func (w *workers) admit() bool {
	for {
		n := w.active.Load()
		if n >= w.places.Load() {
			return false
		}
		if w.active.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// next is the first call in the queue, for who has a place. If there is none the place is
// free.
func (w *workers) next() *Call {
	for {
		if w.queued.Load() > 0 {
			var unwatch func() bool
			w.mu.Lock()
			c := w.queue.First()
			if c != nil {
				unwatch = w.dequeue(c)
			}
			w.mu.Unlock()
			if unwatch != nil {
				unwatch()
			}
			if c != nil {
				return c
			}
		}
		w.active.Add(-1)
		if w.queued.Load() == 0 || !w.admit() {
			return nil
		}
	}
}

// leave frees the place of a call that has its outcome.
func (w *workers) leave(expired bool, err error) {
	if expired {
		w.mu.Lock()
		w.failing--
		w.mu.Unlock()
	} else {
		w.active.Add(-1)
		w.resize(err)
	}
	if w.queued.Load()+w.late.Load() > 0 && w.watching.CompareAndSwap(false, true) {
		w.watcher.Reset(doneTime)
	}
}

// watched gives the places that done functions have kept empty to calls that wait.
func (w *workers) watched() {
	w.watching.Store(false)
	for w.look() {
	}
}

// resize makes places after an acknowledged send that others waited behind, and takes one away
// after a send that got no answer.
func (w *workers) resize(err error) {
	n := w.places.Load()
	switch {
	case err == nil:
		if n < w.most && w.queued.Load() > 0 && w.places.CompareAndSwap(n, n+1) {
			w.look()
		}
	case n > firstPlaces && ClassOf(err) == ClassTimeout:
		w.places.CompareAndSwap(n, n-1)
	}
}

// wait puts a call at the end of the queue. Its time goes on: when it ends, or when the
// caller's context does, the call leaves the queue to fail.
//
// The context is the caller's code, so it is asked without the lock: it is watched before the
// call stands in the queue, and asked once more afterwards. If it ends before that, the watch
// finds no call in the queue, and the question finds the end. When wait returns, the call may
// be over and its memory serve another one. So what watches knows the call by its ticket.
func (w *workers) wait(c *Call) {
	ctx, ticket := c.async.ctx, w.tickets.Add(1)
	var stop func() bool
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { w.cancelled(c, ticket) })
	}
	w.mu.Lock()
	c.ticket, c.leftWaiting = ticket, stop
	w.queue.Push(&c.waiting, c)
	w.queued.Add(1)
	left := time.Until(c.deadline)
	if c.overdue == nil {
		c.overdue = time.AfterFunc(left, func() { w.overdue(c) })
	} else {
		c.overdue.Reset(left)
	}
	w.mu.Unlock()
	if stop != nil && ctx.Err() != nil {
		w.cancelled(c, ticket)
	}
}

// dequeue takes a call out of the queue. It is called with the lock held; unwatch is to be
// called without.
func (w *workers) dequeue(c *Call) (unwatch func() bool) {
	w.queue.Remove(&c.waiting)
	w.queued.Add(-1)
	c.overdue.Stop()
	unwatch, c.leftWaiting = c.leftWaiting, nil
	return unwatch
}

// overdue takes a call whose time has ended out of the queue. The timer may ring late, when
// the call's memory serves another call by now, so overdue looks at the time itself.
func (w *workers) overdue(c *Call) {
	w.mu.Lock()
	if !c.waiting.In(&w.queue) || time.Now().Before(c.deadline) {
		w.mu.Unlock()
		return
	}
	w.expire(c)
}

// cancelled takes a call whose context has ended out of the queue, if it is still the one with
// the ticket.
func (w *workers) cancelled(c *Call, ticket uint64) {
	w.mu.Lock()
	if !c.waiting.In(&w.queue) || c.ticket != ticket {
		w.mu.Unlock()
		return
	}
	w.expire(c)
}

// expire takes a call out of the queue to fail. It is called with the lock held and gives it
// back.
func (w *workers) expire(c *Call) {
	unwatch := w.dequeue(c)
	c.async.expired = true
	if w.failing == maxFailing {
		w.expired.Push(&c.waiting, c)
		w.late.Add(1)
		c = nil
	} else {
		w.failing++
	}
	w.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	if c != nil {
		w.run(c) // it fails before it is sent
	}
}

// nextExpired is the next expired call, if one more may be failed now.
func (w *workers) nextExpired() *Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.expired.First()
	if c == nil || w.failing == maxFailing {
		return nil
	}
	w.expired.Remove(&c.waiting)
	w.late.Add(-1)
	w.failing++
	return c
}

// run gives t to an idle worker or to a new one.
func (w *workers) run(t task) {
	select {
	case w.tasks <- t:
	default:
		w.wg.Add(1)
		go w.work(t)
	}
}

// work does t, and then what else there is. A step or callback that ends the goroutine ends
// only the one task.
func (w *workers) work(t task) {
	defer w.wg.Done()
	for {
		t.run()
		if c := w.more(); c != nil {
			t = c
			continue
		}
		if w.idle.Add(1) > maxIdle {
			w.idle.Add(-1)
			return
		}
		select {
		case t = <-w.tasks:
			w.idle.Add(-1)
		case <-w.quit:
			w.idle.Add(-1)
			return
		}
	}
}

// stop ends the idle workers. No send may be given to run any more.
func (w *workers) stop() {
	w.watcher.Stop()
	close(w.quit)
}

// join waits for every worker.
func (w *workers) join() { w.wg.Wait() }
