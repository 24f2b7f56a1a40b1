package core

import (
	"sync"
	"sync/atomic"
)

// workers runs asynchronous sends. A goroutine that has become idle waits for
// the next task, so that a steady load starts none; beyond maxIdle they end. The
// in-flight limits bound their number.
type workers struct {
	tasks chan func()
	quit  chan struct{}
	idle  atomic.Int32
	wg    sync.WaitGroup
}

const maxIdle = 256

func newWorkers() *workers {
	return &workers{tasks: make(chan func()), quit: make(chan struct{})}
}

// run gives f to an idle worker or to a new one.
func (w *workers) run(f func()) {
	select {
	case w.tasks <- f:
	default:
		w.wg.Add(1)
		go w.work(f)
	}
}

func (w *workers) work(f func()) {
	defer w.wg.Done()
	for {
		f()
		if w.idle.Add(1) > maxIdle {
			w.idle.Add(-1)
			return
		}
		select {
		case f = <-w.tasks:
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
