package remoting

import (
	"runtime"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

const (
	// gather is how many bytes of small frames go out in one system call.
	gather = 64 << 10
	// maxReplies bounds the answers to a peer's requests that wait.
	maxReplies = 64
	// directCalls is up to how many calls under way a caller writes by itself:
	// with few of them that saves a switch to the writer, with many the writer
	// saves system calls.
	directCalls = 2
)

// submit puts a call on the connection and its frame on the way. It takes f over.
// While the queue is full it waits; an error means that nothing was sent.
func (cn *conn) submit(cl *call, f *frame) error {
	now := time.Now()
	if !now.Before(cl.deadline) {
		cn.c.recycle(f)
		return core.ErrTimeout
	}
	cl.arm(now)
	cl.since = now
	n := len(f.b)
	cn.mu.Lock()
	for cn.bytes >= cn.c.cfg.MaxQueuedBytes && cn.err == nil && !cn.retired {
		if cn.room == nil {
			cn.room = make(chan struct{})
		}
		room := cn.room
		cn.mu.Unlock()
		if err := cl.until(room); err != nil {
			cn.c.recycle(f)
			return err
		}
		cl.since = time.Now()
		cn.mu.Lock()
	}
	if cn.err != nil || cn.retired {
		cn.mu.Unlock()
		cn.c.recycle(f)
		return errStale
	}
	cn.pending[cl.opaque] = cl
	cl.heard = cn.in.Load()
	cn.bytes += n
	if cl.send {
		cn.sends++
	}
	if cn.now != nil && !cn.writing && cn.rest.f == nil && cn.head == len(cn.queue) && len(cn.pending) <= directCalls {
		cn.writing, cl.written = true, true
		cn.mu.Unlock()
		cn.writeNow(item{f: f, opaque: cl.opaque, oneway: cl.oneway})
		return nil
	}
	cl.written = false
	cn.queue = append(cn.queue, item{f: f, opaque: cl.opaque, oneway: cl.oneway})
	cl.slot = len(cn.queue)
	wake := !cn.writing
	cn.mu.Unlock()
	if wake {
		cn.notify()
	}
	return nil
}

// notify wakes the writer.
func (cn *conn) notify() {
	select {
	case cn.wake <- struct{}{}:
	default:
	}
}

// writeNow writes a frame on the caller's goroutine as far as that is possible
// without waiting; the writer gets the rest. The caller has the write side.
func (cn *conn) writeNow(it item) {
	n, err := cn.now.write(it.f.b)
	cn.count(n, 1)
	if err != nil {
		cn.unsent(it, n == 0)
		cn.fail(err)
		cn.c.recycle(it.f)
		return
	}
	cn.mu.Lock()
	wake := cn.head < len(cn.queue)
	if n < len(it.f.b) {
		it.off = n
		cn.rest, wake = it, true
	} else {
		cn.sent(it)
	}
	cn.writing = false
	cn.mu.Unlock()
	if n == len(it.f.b) {
		cn.c.recycle(it.f)
	}
	if wake {
		cn.notify()
	}
}

// sent notes a frame that the kernel has. It is called with the lock held.
func (cn *conn) sent(it item) {
	if cn.err != nil {
		return
	}
	cn.release(len(it.f.b))
	cn.c.count.framesOut.Add(1)
	if it.oneway {
		if cl := cn.pending[it.opaque]; cl != nil {
			cn.oneways++
			delete(cn.pending, it.opaque)
			cl.err = nil
			cl.done <- struct{}{}
		}
	}
}

// unsent corrects a call of which no byte has left after all.
func (cn *conn) unsent(it item, nothing bool) {
	if !nothing {
		return
	}
	cn.mu.Lock()
	if cl := cn.pending[it.opaque]; cl != nil {
		cl.written = false
	}
	cn.mu.Unlock()
}

func (cn *conn) count(n, calls int) {
	cn.c.count.bytesOut.Add(uint64(n))
	cn.c.count.writes.Add(uint64(calls))
}

// writeLoop is the connection's writer.
func (cn *conn) writeLoop() {
	var batch []item
	var out []byte
	for {
		<-cn.wake
		for {
			var ok bool
			if batch, ok = cn.take(batch[:0]); !ok {
				return
			}
			if len(batch) == 0 {
				break
			}
			var err error
			if out, err = cn.writeBatch(batch, out[:0]); err != nil {
				cn.fail(err)
				return
			}
			clear(batch)
		}
	}
}

// take moves frames from the queue to batch, as many as go out together. From
// then on their calls count as written. It returns nothing where nothing is
// queued or somebody else writes, and not ok when the connection has ended.
func (cn *conn) take(batch []item) (_ []item, ok bool) {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	switch {
	case cn.err != nil:
		return batch, false
	case cn.writing:
		return batch, true
	case cn.rest.f != nil:
		batch = append(batch, cn.rest)
		cn.rest = item{}
		cn.writing = true
		return batch, true
	}
	if cn.head < len(cn.queue) && len(cn.pending) > directCalls {
		// Let the callers that are ready to run queue their frames first: one
		// system call then carries them all.
		cn.writing = true
		cn.mu.Unlock()
		runtime.Gosched()
		cn.mu.Lock()
		if cn.err != nil {
			return batch, false
		}
	}
	size := 0
	for ; cn.head < len(cn.queue); cn.head++ {
		it := cn.queue[cn.head]
		if it.f == nil {
			continue
		}
		if size += len(it.f.b); size > gather && len(batch) > 0 {
			break
		}
		if it.reply {
			cn.replies--
		} else if cl := cn.pending[it.opaque]; cl != nil {
			cl.written, cl.slot = true, 0
		}
		batch = append(batch, it)
		cn.queue[cn.head] = item{}
	}
	cn.compact()
	cn.writing = len(batch) > 0
	return batch, true
}

// compact keeps the queue from growing at its end while it is never empty.
func (cn *conn) compact() {
	if cn.head < len(cn.queue) && cn.head < 4096 {
		return
	}
	n := copy(cn.queue, cn.queue[cn.head:])
	clear(cn.queue[n:])
	cn.queue, cn.head = cn.queue[:n], 0
	for i, it := range cn.queue {
		if cl := cn.pending[it.opaque]; it.f != nil && !it.reply && cl != nil {
			cl.slot = i + 1
		}
	}
}

// writeBatch writes the frames in one go and gives them back.
func (cn *conn) writeBatch(batch []item, out []byte) ([]byte, error) {
	data := batch[0].f.b[batch[0].off:]
	if len(batch) > 1 {
		for _, it := range batch {
			out = append(out, it.f.b...)
		}
		data = out
	}
	n, err := cn.write(data)
	if err != nil {
		// Frames beyond the last byte that the kernel took were not sent.
		for i, at := 0, 0; i < len(batch); i++ {
			cn.unsent(batch[i], batch[i].off == 0 && at >= n)
			at += len(batch[i].f.b)
		}
	} else {
		cn.mu.Lock()
		for _, it := range batch {
			cn.sent(it)
		}
		cn.writing = false
		cn.mu.Unlock()
	}
	for _, it := range batch {
		cn.c.recycle(it.f)
	}
	return out, err
}

// write waits until the kernel has taken everything, within a limit.
func (cn *conn) write(b []byte) (int, error) {
	n := 0
	if cn.now != nil {
		var err error
		n, err = cn.now.write(b)
		cn.count(n, 1)
		if err != nil || n == len(b) {
			return n, err
		}
	}
	limit := cn.c.cfg.WriteTimeout + time.Duration(len(b)>>20)*time.Second
	if err := cn.nc.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return n, err
	}
	m, err := cn.nc.Write(b[n:])
	cn.count(m, 1)
	// A peer that answered and hung up at once makes this fail. The bytes are out
	// all the same, and the answer is there to be read.
	_ = cn.nc.SetWriteDeadline(time.Time{})
	return n + m, err
}
