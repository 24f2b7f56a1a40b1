package conn

import "slices"

// A batch is the frames of one write. It belongs to the goroutine that has the write side.

// nextBatch takes frames from the queue, as many as go out together. From here on their
// requests count as written: the next step may give their bytes to the kernel. It is
// called with the lock held.
func (c *Conn) nextBatch() {
	w := &c.write
	w.batch = w.queue.popBatch(w.batch, maxWrite)
	for _, e := range w.batch {
		c.mark(e, stageWritten)
	}
	switch len(w.batch) {
	case 0:
	case 1:
		w.data = w.batch[0].f.B
	default:
		w.joined = w.joined[:0]
		for _, e := range w.batch {
			w.joined = append(w.joined, e.f.B...)
		}
		w.data = w.joined
	}
}

// mark sets the stage of the request that a frame belongs to, if it is still under way.
// It is called with the lock held.
func (c *Conn) mark(e entry, s stage) {
	if e.kind == entryReply {
		return
	}
	if r := c.table.underWay[e.opaque]; r != nil {
		r.stage = s
	}
}

// batchWritten is called with the lock held when the kernel has the whole batch. It ends
// the one-way requests in it and frees the bytes.
func (c *Conn) batchWritten() {
	w := &c.write
	if len(w.batch) == 0 {
		return
	}
	size := 0
	for _, e := range w.batch {
		size += len(e.f.B)
		if e.kind == entryOneway {
			if r := c.table.underWay[e.opaque]; r != nil {
				c.table.refusable++
				c.table.remove(r)
				r.finish(nil)
			}
		}
		c.shared.FreeFrame(e.f)
	}
	c.admission.free(size)
	c.shared.Count.FramesOut.Add(uint64(len(w.batch)))
	clear(w.batch)
	w.batch = w.batch[:0]
}

// writeFailed ends a batch of which the kernel took all but left bytes. Requests of whose
// frame it took no byte were not sent. The state stays as it is, so that no other
// goroutine writes; the caller closes the connection.
func (c *Conn) writeFailed(left int) {
	w := &c.write
	c.mu.Lock()
	for _, e := range slices.Backward(w.batch) {
		if left -= len(e.f.B); left < 0 {
			break
		}
		c.mark(e, stageUnsent)
	}
	c.mu.Unlock()
	for _, e := range w.batch {
		c.shared.FreeFrame(e.f)
	}
	w.batch, w.data, w.joined = nil, nil, nil
}
