package core

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// workers runs asynchronous sends. A goroutine that has become idle waits for
// the next task, so that a steady load starts none; beyond maxIdle they end.
//
// Each send under way takes a goroutine and its stack, so only so many are worked
// on at a time; the others stand in line, first come, first served. What is small
// enough waits there by the hundred thousand.
type workers struct {
	tasks chan task
	quit  chan struct{}
	idle  atomic.Int32
	wg    sync.WaitGroup

	most   int32        // calls worked on at a time
	active atomic.Int32 // now
	length atomic.Int32 // of the line

	mu   sync.Mutex
	line callList
	late callList // those whose time ended in the line
	rush int      // goroutines that work on late
}

const (
	maxIdle = 256
	maxRush = 256
)

// task is what a worker does: a *Call that is sent asynchronously, or a function.
type task interface{ run() }

type taskFunc func()

func (f taskFunc) run() { f() }

func newWorkers(most int) *workers {
	return &workers{tasks: make(chan task), quit: make(chan struct{}), most: int32(min(most, 1<<30))}
}

// send gives c to a worker or, if enough are at work, puts it in line.
func (w *workers) send(c *Call) {
	if w.admit() {
		w.run(c)
		return
	}
	w.mu.Lock()
	w.stand(c)
	w.mu.Unlock()
	// A worker may have looked at the line a moment ago.
	if w.admit() {
		if next := w.next(); next != nil {
			w.run(next)
		}
	}
}

// admit counts one more call at work, if there may be one. It never counts one too
// many, not for a moment either: a worker and a sender could refuse each other
// over that, and leave a call in line with nobody at work.
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

// next is the first call in line, for a worker that has ended one. If there is
// none the worker no longer counts as at work.
func (w *workers) next() *Call {
	for {
		if w.length.Load() > 0 {
			w.mu.Lock()
			c := w.line.first
			if c != nil {
				w.leave(c)
			}
			w.mu.Unlock()
			if c != nil {
				return c
			}
		}
		w.active.Add(-1)
		if w.length.Load() == 0 || !w.admit() {
			return nil
		}
	}
}

// stand puts a call at the end of the line. Its time goes on: when it ends, or
// when the caller's context does, the call leaves the line to fail. It is called
// with the lock held.
func (w *workers) stand(c *Call) {
	w.line.push(c)
	w.length.Add(1)
	left := time.Until(c.deadline)
	if c.overdue == nil {
		c.overdue = time.AfterFunc(left, func() { w.expire(c) })
	} else {
		c.overdue.Reset(left)
	}
	if ctx := c.async.ctx; ctx.Done() != nil {
		c.forsake = context.AfterFunc(ctx, func() { w.expire(c) })
	}
}

// leave takes a call out of the line. It is called with the lock held.
func (w *workers) leave(c *Call) {
	w.line.remove(c)
	w.length.Add(-1)
	c.overdue.Stop()
	if c.forsake != nil {
		c.forsake()
		c.forsake = nil
	}
}

// expire takes a call whose time has ended out of the line. It may come late, when
// the call is another one by now: so it looks at the time itself.
func (w *workers) expire(c *Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.list != &w.line || time.Now().Before(c.deadline) && c.async.ctx.Err() == nil {
		return
	}
	w.leave(c)
	w.late.push(c)
	if w.rush < maxRush {
		w.rush++
		w.wg.Add(1)
		go w.hurry()
	}
}

// hurry runs calls whose time has ended. They fail before they are sent. A step
// that ends the goroutine ends only the one call.
func (w *workers) hurry() {
	defer w.wg.Done()
	ended := false
	defer func() {
		if !ended { // runtime.Goexit
			w.wg.Add(1)
			go w.hurry()
		}
	}()
	for {
		w.mu.Lock()
		c := w.late.first
		if c == nil {
			ended = true
			w.rush--
			w.mu.Unlock()
			return
		}
		w.late.remove(c)
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
			return
		}
	}
}

// finish does t and, after a call, those in line. A step that ends the goroutine
// ends only the one call.
func (w *workers) finish(t task) {
	c, ok := t.(*Call)
	if !ok {
		t.run()
		return
	}
	ended := false
	defer func() {
		if !ended { // runtime.Goexit
			if c := w.next(); c != nil {
				w.run(c)
			}
		}
	}()
	for ; c != nil; c = w.next() {
		c.run()
	}
	ended = true
}

// stop ends the idle workers. Nobody may call run any more.
func (w *workers) stop() { close(w.quit) }

// join waits for every worker.
func (w *workers) join() { w.wg.Wait() }

// callList is a list of calls, each in one list at most.
type callList struct{ first, last *Call }

func (l *callList) push(c *Call) {
	c.list, c.before, c.after = l, l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.after = c
	}
	l.last = c
}

func (l *callList) remove(c *Call) {
	if c.before == nil {
		l.first = c.after
	} else {
		c.before.after = c.after
	}
	if c.after == nil {
		l.last = c.before
	} else {
		c.after.before = c.before
	}
	c.list, c.before, c.after = nil, nil, nil
}
