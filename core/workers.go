package core

import (
	"sync"
	"sync/atomic"
)

// workers runs asynchronous sends. A goroutine that has become idle waits for
// the next task, so that a steady load starts none; beyond maxIdle they end. The
// in-flight limits bound their number.
type workers struct {
	tasks chan task
	quit  chan struct{}
	idle  atomic.Int32
	wg    sync.WaitGroup
}

const maxIdle = 256

// task is what a worker does: a *Call that is sent asynchronously, or a function.
type task interface{ run() }

type taskFunc func()

func (f taskFunc) run() { f() }

func newWorkers() *workers {
	return &workers{tasks: make(chan task), quit: make(chan struct{})}
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
		t.run()
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

// stop ends the idle workers. Nobody may call run any more.
func (w *workers) stop() { close(w.quit) }

// join waits for every worker.
func (w *workers) join() { w.wg.Wait() }
