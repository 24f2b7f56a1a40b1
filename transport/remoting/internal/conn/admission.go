package conn

import (
	"time"

	"github.com/liftoff-mq/liftoff/internal/fifo"
)

// Admission bounds the memory of the frames that are queued or being written. It is
// backpressure: a peer that takes nothing makes callers wait, not memory grow.
//
//	            queued bytes below the limit, no other waits
//	 caller ────────────────────────────────────────────────▶ admitted: its bytes count
//	   │                                                             ▲
//	   └──▶ waits in the queue ──────────────────────────────────────┘
//	          │                  bytes were written or withdrawn
//	          └──▶ gives up at its deadline or with its context: not sent
//
// Each waiting caller is woken when there is room for it, and not before. To wake them
// all at every write would wake most of a hundred thousand for nothing.
//
// The race: the caller gives up just when another goroutine admits it. Both hold the
// lock, so one is first. If the caller is first it leaves the queue, and the other
// admits the next one. If the other goroutine is first the request is out of the queue
// and its bytes count; the caller sees that, receives from done, and frees the bytes
// again, which admits the next one.

// admission counts the queued bytes of a connection. The connection's lock guards it.
type admission struct {
	limit   int // at so many bytes requests begin to wait
	bytes   int // of frames in the send queue and in the write under way
	waiters fifo.List[Request]
}

// admits reports whether a request need not wait: there is room, and no other waits.
func (a *admission) admits() bool { return a.waiters.Len() == 0 && a.room() }

// room reports whether one more frame, of whatever size, may be queued.
func (a *admission) room() bool { return a.bytes < a.limit }

// add counts the bytes of a frame.
func (a *admission) add(bytes int) { a.bytes += bytes }

// free takes the bytes of frames off that are written or withdrawn, and admits requests
// that wait for the room.
func (a *admission) free(bytes int) {
	a.bytes -= bytes
	for a.waiters.Len() > 0 && a.room() {
		a.admitFirst()
	}
}

// admitFirst ends the wait of the request that has waited longest.
func (a *admission) admitFirst() {
	r := a.waiters.First()
	a.waiters.Remove(&r.waiting)
	a.add(r.size)
	r.done <- struct{}{}
}

// admitAll ends every wait: the connection takes no more requests, which each of them
// finds out when it goes on.
func (a *admission) admitAll() {
	for a.waiters.Len() > 0 {
		a.admitFirst()
	}
}

// admit counts a request's bytes as queued. If there is no room it waits, for which it
// gives the lock back. It is called with the lock held. After an error nothing is counted.
func (c *Conn) admit(r *Request) error {
	a := &c.admission
	switch {
	case c.phase != phaseOpen:
		return ErrStale
	case a.admits():
		a.add(r.size)
		return nil
	}
	a.waiters.Push(&r.waiting, r)
	// A caller that waits here does not read. A peer whose answers are not read stops to
	// take requests, and then there is never room. So the reader goroutine has to read.
	if c.read.leads(r) {
		c.read.handOver()
	}
	c.mu.Unlock()
	err := r.Until(r.done)
	c.mu.Lock()
	if err != nil {
		c.leaveQueue(r)
		return err
	}
	r.admitted = time.Now()
	switch c.phase {
	case phaseRetired:
		a.free(r.size)
		return ErrStale
	case phaseEnded:
		return ErrStale
	}
	return nil
}

// leaveQueue ends the wait of a request that is given up. If it was admitted at the same
// moment, the next one gets its room. It is called with the lock held.
func (c *Conn) leaveQueue(r *Request) {
	if c.admission.waiters.Remove(&r.waiting) {
		return
	}
	<-r.done
	if c.phase != phaseEnded {
		c.admission.free(r.size)
	}
}
