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
// Each send under way takes a goroutine and its stack, so at most `most` are worked on at
// a time. The others stand in a wait queue, first come, first served, where each takes
// only the memory of its call.
type workers struct {
	tasks chan task
	quit  chan struct{}
	idle  atomic.Int32
	wg    sync.WaitGroup

	most   int32        // calls worked on at a time
	active atomic.Int32 // now
	queued atomic.Int32 // length of queue, to look at it without the lock

	mu      sync.Mutex
	queue   fifo.List[Call]
	expired fifo.List[Call] // those whose time ended in the queue
	failing int             // goroutines that fail expired calls
}

const (
	maxIdle    = 256
	maxFailing = 256
)

// task is what a worker does: a *Call that is sent asynchronously, or a function.
type task interface{ run() }

type taskFunc func()

func (f taskFunc) run() { f() }

func newWorkers(most int) *workers {
	return &workers{tasks: make(chan task), quit: make(chan struct{}), most: int32(min(most, 1<<30))}
}

// send gives c to a worker or, if enough are at work, queues it.
func (w *workers) send(c *Call) {
	if w.admit() {
		w.run(c)
		return
	}
	w.mu.Lock()
	w.enqueue(c)
	w.mu.Unlock()
	// A worker may have looked at the queue a moment ago and found it empty.
	if w.admit() {
		if next := w.next(); next != nil {
			w.run(next)
		}
	}
}

// admit counts one more call at work, if there may be one. It never counts one too
// many, not for a moment either: a worker and a sender could refuse each other
// over that, and leave a call in the queue with no worker to come for it.
func (w *workers) admit() bool {
	for {
		n := w.active.Load()
		if n >= w.most {
			return false
		}
		if w.active.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// next is the first call in the queue, for a worker that has ended one. If there is
// none the worker no longer counts as at work.
func (w *workers) next() *Call {
	for {
		if w.queued.Load() > 0 {
			w.mu.Lock()
			c := w.queue.First()
			if c != nil {
				w.dequeue(c)
			}
			w.mu.Unlock()
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

// enqueue puts a call at the end of the queue. Its time goes on: when it ends, or
// when the caller's context does, the call leaves the queue to fail. It is called
// with the lock held.
func (w *workers) enqueue(c *Call) {
	w.queue.Push(&c.waiting, c)
	w.queued.Add(1)
	left := time.Until(c.deadline)
	if c.overdue == nil {
		c.overdue = time.AfterFunc(left, func() { w.expire(c) })
	} else {
		c.overdue.Reset(left)
	}
	if ctx := c.async.ctx; ctx.Done() != nil {
		c.leftWaiting = context.AfterFunc(ctx, func() { w.expire(c) })
	}
}

// dequeue takes a call out of the queue. It is called with the lock held.
func (w *workers) dequeue(c *Call) {
	w.queue.Remove(&c.waiting)
	w.queued.Add(-1)
	c.overdue.Stop()
	if c.leftWaiting != nil {
		c.leftWaiting()
		c.leftWaiting = nil
	}
}

// expire takes a call whose time has ended out of the queue. The timer may ring late, when
// the call's memory serves another call by now, so expire looks at the time itself.
func (w *workers) expire(c *Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.waiting.In(&w.queue) || time.Now().Before(c.deadline) && c.async.ctx.Err() == nil {
		return
	}
	w.dequeue(c)
	w.expired.Push(&c.waiting, c)
	if w.failing < maxFailing {
		w.failing++
		w.wg.Add(1)
		go w.failExpired()
	}
}

// failExpired runs calls whose time has ended. They fail before they are sent. A step
// that ends the goroutine ends only the one call.
func (w *workers) failExpired() {
	defer w.wg.Done()
	returned := false
	defer unlessReturned(&returned, func() {
		w.wg.Add(1)
		go w.failExpired()
	})
	for {
		w.mu.Lock()
		c := w.expired.First()
		if c == nil {
			w.failing--
			w.mu.Unlock()
			returned = true
			return
		}
		w.expired.Remove(&c.waiting)
		w.mu.Unlock()
		c.run()
	}
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

func (w *workers) work(t task) {
	defer w.wg.Done()
	for {
		w.finish(t)
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

// finish does t and, after a call, those in the queue. A step that ends the goroutine
// ends only the one call.
func (w *workers) finish(t task) {
	c, ok := t.(*Call)
	if !ok {
		t.run()
		return
	}
	returned := false
	defer unlessReturned(&returned, func() {
		if c := w.next(); c != nil {
			w.run(c)
		}
	})
	for ; c != nil; c = w.next() {
		c.run()
	}
	returned = true
}

// stop ends the idle workers. No send may be given to run any more.
func (w *workers) stop() { close(w.quit) }

// join waits for every worker.
func (w *workers) join() { w.wg.Wait() }
