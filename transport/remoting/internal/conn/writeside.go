package conn

import (
	"runtime"
	"time"
)

// The write side is the right to write to the socket. One goroutine has it at a time.
// Mostly that is the goroutine of a caller, which writes what it queued itself and what
// others queued meanwhile: that saves a switch to another goroutine for every request.
// It never waits for the kernel, because its request has a deadline. What the kernel does
// not take at once it hands over to the writer goroutine, which may wait.
//
//	              a caller queued a frame, and a flush is due
//	   ┌────────────────────────────────────────────────────────┐
//	   │                                                        ▼
//	┌──┴───┐     nothing is left to write, or too little   ┌───────────┐
//	│ idle │◀──────────────────────────────────────────────┤ by caller │
//	└──┬───┘                                               └────┬──────┘
//	 ▲ │                         the kernel is full, or the     │
//	 │ │                         caller has written for others  │
//	 │ │                         often enough                   ▼
//	 │ │ the flush timer fired,  ┌───────────┐          ┌─────────────┐
//	 │ │ or a flush is due       │ by writer │◀─────────┤ handed over │
//	 │ └────────────────────────▶│           │  wakes   └─────────────┘
//	 └───────────────────────────┴───────────┘
//	   nothing is left to write, or too little
//
//	idle ── a flush is due, and the connection is no plain socket ──▶ handed over
//	any ── Close ──▶ ended
//
// In the state idle the send queue may hold frames: they are being coalesced, and the
// flush timer runs. The timer may fire in every state.
//
// The races, step by step:
//
// A frame is queued while another goroutine writes. The caller queues it with the lock
// held, sees that the state is not idle, and leaves. The goroutine that writes takes the
// lock before it makes the state idle, and looks at the queue then. One of the two sees
// the frame, whichever had the lock first.
//
// The caller hands over while the writer goroutine is busy with an earlier wake-up. The
// state becomes handed over first, then the wake-up is put into a channel with one place.
// If the place is taken, the writer goroutine has still to come, and will see the state
// when it does. A wake-up too many finds nothing to do.
//
// A flush that was due no longer is when the writer goroutine comes. On a connection that is
// no plain socket the caller hands over, and the answers may come quicker a moment later, so
// that more frames are worth waiting for. The state handed over tells the writer goroutine to
// write all the same: it does not judge again, since no timer runs that would bring it back.
//
// The flush timer fires while a caller writes. The writer goroutine notes that the timer
// no longer runs, sees that the state is by caller, and goes back to sleep. Before the
// caller makes the state idle it looks at the queue, and starts the timer anew if a frame
// stays there.
//
// A request is given up while its frame may be written. The frame is taken out of the
// queue for a write with the lock held, and so it is for the withdrawal. If the withdrawal
// is first, no byte of the request leaves. If the write is first, the request counts as
// written from then on, before the first byte is given to the kernel.
//
// The connection ends while a goroutine writes. Close makes the state ended and empties
// the queue. The batch under way belongs to the goroutine that writes: it finds out when
// its write returns, and stops.

// writeState says which goroutine may write.
type writeState uint8

const (
	writeIdle       writeState = iota // none does
	writeByCaller                     // a caller, which does not wait for the kernel
	writeHandedOver                   // the writer goroutine, which has not woken up yet
	writeByWriter                     // the writer goroutine, which waits for the kernel
	writeEnded                        // none, for good
)

const (
	// maxWrite is how many bytes of small frames go out in one system call.
	maxWrite = 64 << 10
	// maxStride is how many bytes a peer has to take within Config.WriteTimeout. TLS
	// cannot go on after a write that took too long, so each has to be a small one.
	maxStride = 64 << 10
	// maxCallerWrites is how many writes a caller makes for others after its own.
	maxCallerWrites = 4
	// yieldAbove is above how many requests under way a goroutine that is about to write
	// first lets other goroutines run: with fewer there is hardly another that wants to send.
	yieldAbove = 2
)

// writeSide is the state of the write side. The connection's lock guards state, queue and
// timer. Batch, data and joined belong to the goroutine that the state names.
type writeSide struct {
	state writeState
	queue sendQueue
	timer flushTimer
	wake  chan struct{} // to the writer goroutine; has a place for one

	batch  []entry // being written
	data   []byte  // the bytes of batch that the kernel has not taken
	joined []byte  // the memory of data for a batch of several frames
}

func newWriteSide() writeSide {
	return writeSide{timer: newFlushTimer(), wake: make(chan struct{}, 1)}
}

// The transitions. They are called with the lock held, in the state that they start from.

// acquireByCaller: idle to by caller.
func (w *writeSide) acquireByCaller() { w.state = writeByCaller }

// acquireByWriter: idle or handed over to by writer.
func (w *writeSide) acquireByWriter() { w.state = writeByWriter }

// handOver: by caller to handed over, or idle to handed over where callers do not write. The
// writer goroutine is woken.
func (w *writeSide) handOver() {
	w.state = writeHandedOver
	w.wakeUp()
}

// release: by caller or by writer to idle.
func (w *writeSide) release() { w.state = writeIdle }

// end: any state to ended. It returns the frames that are queued; a batch that is being
// written stays with the goroutine that writes it.
func (w *writeSide) end() []entry {
	w.state = writeEnded
	return w.queue.removeAll()
}

// wakeUp wakes the writer goroutine, in whatever state.
func (w *writeSide) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (c *Conn) wakeWriter() { c.write.wakeUp() }

// startWrite is called with the lock held, after a request's frame was queued. It
// reports whether the caller has the write side now, and so has to flush.
func (c *Conn) startWrite() bool {
	w := &c.write
	switch {
	case w.state != writeIdle: // the goroutine that writes looks at the queue before it leaves
		return false
	case !c.flushDue():
		w.timer.start()
		return false
	case c.socket == nil: // to write might block
		w.handOver()
		return false
	}
	w.acquireByCaller()
	return true
}

// WriteLoop is the writer goroutine. It writes what callers cannot: frames whose time to
// be coalesced is over, and what the kernel does not take at once. It returns when the
// connection has ended.
func (c *Conn) WriteLoop() {
	returned := false
	defer func() {
		if !returned {
			c.Close(endedGoroutine("Write"))
		}
	}()
	for c.writeOnce() {
	}
	returned = true
}

// writeOnce waits until there is something to do for the writer goroutine and does it. It
// returns false when the connection has ended.
func (c *Conn) writeOnce() bool {
	w := &c.write
	timeout := false
	select {
	case <-w.wake:
	case <-w.timer.c():
		timeout = true
	}
	c.mu.Lock()
	if timeout {
		w.timer.fired()
	}
	if w.state == writeEnded {
		w.timer.stop()
		c.mu.Unlock()
		return false
	}
	mine := w.state == writeHandedOver || w.state == writeIdle && (timeout || c.flushDue())
	if mine {
		w.acquireByWriter()
	}
	c.mu.Unlock()
	if mine {
		c.flush()
	}
	return true
}

// flush writes what is queued, many frames in one system call. The goroutine that calls
// it has the write side, and has no longer when flush returns.
func (c *Conn) flush() {
	c.mu.Lock()
	if c.gatherFirst() {
		// Callers that are ready to run queue their frames first: one system call then
		// carries them all.
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	for writes := 0; c.nextWrite(writes); writes++ {
		data, wait := c.write.data, c.write.state == writeByWriter
		c.mu.Unlock()
		n, err := c.writeBytes(data, wait)
		if err != nil {
			c.writeFailed(len(data) - n)
			c.Close(err)
			return
		}
		c.mu.Lock()
		c.write.data = data[n:]
	}
	c.mu.Unlock()
}

// gatherFirst reports whether it is worth a switch to let other callers queue their
// frames. For large frames the switch costs more than it saves. It is called with the
// lock held.
func (c *Conn) gatherFirst() bool {
	return len(c.table.underWay) > yieldAbove && len(c.write.data) == 0 && c.admission.bytes < coalesceBytes/2
}

// nextWrite prepares the next write of a flush that has made so many: it puts into data
// the rest of the batch, or a new batch. It returns false when the goroutine has the
// write side no longer. It is called with the lock held.
func (c *Conn) nextWrite(writes int) bool {
	w := &c.write
	byCaller := w.state == writeByCaller
	if w.state == writeEnded {
		return false
	}
	if len(w.data) > 0 {
		if byCaller { // the kernel is full
			w.handOver()
			return false
		}
		return true
	}
	c.batchWritten()
	switch {
	case writes > 0 && !c.flushDue():
		w.release()
		if w.queue.requests > 0 {
			w.timer.start()
		} else {
			w.timer.stop()
		}
		return false
	case byCaller && writes >= maxCallerWrites:
		w.handOver()
		return false
	}
	c.nextBatch()
	if len(w.batch) == 0 {
		w.release()
		return false
	}
	return true
}

// writeBytes gives b to the kernel: as much as it takes at once or, with wait, all of it,
// within Config.WriteTimeout for each stride.
func (c *Conn) writeBytes(b []byte, wait bool) (int, error) {
	n := 0
	if c.socket != nil {
		var err error
		n, err = c.socket.writeNow(b)
		c.countWrite(n)
		if err != nil || n == len(b) || !wait {
			return n, err
		}
	}
	for {
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.shared.cfg.WriteTimeout)); err != nil {
			return n, err
		}
		m, err := c.nc.Write(b[n:min(n+maxStride, len(b))])
		c.countWrite(m)
		if n += m; err != nil || n == len(b) {
			// A peer that answered and hung up at once makes this fail. The bytes are out
			// all the same, and the answer is there to be read.
			_ = c.nc.SetWriteDeadline(time.Time{})
			return n, err
		}
	}
}

func (c *Conn) countWrite(bytes int) {
	c.shared.Count.BytesOut.Add(uint64(bytes))
	c.shared.Count.Writes.Add(1)
}
