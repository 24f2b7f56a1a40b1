package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// change is a breaker's change of state, or a panic of the user's Trip.
type change struct {
	broker   *broker
	from, to State
	when     time.Time
	panicked any
}

// maxChanges bounds the changes that wait while a user's callback blocks.
const maxChanges = 1024

// changes carries state changes out of gobreaker's lock, under which they
// happen, to the user's code, which must not run there. There is no goroutine: each send
// that the breakers take part in delivers what has come up, in order, one at a time.
type changes struct {
	mu         sync.Mutex
	queue      []change
	waiting    atomic.Int32 // len(queue)
	delivering atomic.Bool
}

// push runs under gobreaker's lock and does nothing else than append.
func (cs *changes) push(c change) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.queue) == maxChanges {
		cs.queue = append(cs.queue[:0], cs.queue[1:]...) // the oldest says least
	}
	cs.queue = append(cs.queue, c)
	cs.waiting.Store(int32(len(cs.queue)))
}

func (cs *changes) pop() (c change, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.queue) == 0 {
		return change{}, false
	}
	c = cs.queue[0]
	cs.queue = append(cs.queue[:0], cs.queue[1:]...)
	cs.waiting.Store(int32(len(cs.queue)))
	return c, true
}

// deliver calls f for what is waiting, unless another goroutine is at it. The
// loop looks again after it gave the turn back, because a change that came up
// just before found the turn taken and its pusher went away.
func (cs *changes) deliver(f func(change)) {
	for cs.waiting.Load() > 0 && cs.delivering.CompareAndSwap(false, true) {
		cs.drain(f)
	}
}

func (cs *changes) drain(f func(change)) {
	defer cs.delivering.Store(false) // also if f ends the goroutine
	for {
		c, ok := cs.pop()
		if !ok {
			return
		}
		f(c)
	}
}
