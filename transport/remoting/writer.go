package remoting

import (
	"runtime"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

const (
	// gather is how many bytes of small frames go out in one system call.
	gather = 64 << 10
	// maxReplies bounds the answers to a peer's requests that wait.
	maxReplies = 64
	// directCalls is up to how many calls under way whoever writes does not first
	// look for others who want to: there is hardly anybody.
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
	cl.since, cl.size = now, len(f.b)
	cn.mu.Lock()
	if err := cn.admit(cl); err != nil {
		cn.mu.Unlock()
		cn.c.recycle(f)
		return err
	}
	cn.pending[cl.opaque] = cl
	cl.heard = cn.in.Load()
	if cl.send {
		cn.sends++
	}
	cn.waiting++
	cn.enqueue(item{f: f, opaque: cl.opaque, oneway: cl.oneway})
	cl.slot, cl.written = len(cn.queue), false
	if !cl.oneway && cn.lent.Load() {
		// Somebody had the read side when this call looked, and gave it back since.
		cn.lent.Store(false)
		cn.turn <- struct{}{}
	}
	if cn.begin() {
		// On this goroutine: it saves a switch to the writer's.
		cn.flush(false)
	}
	return nil
}

// enqueue puts a frame at the end of the queue. It is called with the lock held.
func (cn *conn) enqueue(it item) { cn.queue = append(cn.queue, it) }

// begin is called with the lock held, which it gives back, when a frame was
// queued. It reports whether the caller has the write side now and has to flush.
func (cn *conn) begin() bool {
	mine := false
	switch {
	case cn.writing: // who writes looks at the queue afterwards
	case !cn.enough():
		cn.alarm()
	case cn.socket == nil:
		cn.notify()
	default:
		cn.writing, mine = true, true
	}
	cn.mu.Unlock()
	return mine
}

// notify wakes the writer.
func (cn *conn) notify() {
	select {
	case cn.wake <- struct{}{}:
	default:
	}
}

// writeLoop is the connection's writer. It writes what callers cannot: frames
// whose time to wait for company is over, and what the kernel does not take at
// once.
func (cn *conn) writeLoop() {
	for {
		due := false
		select {
		case <-cn.wake:
		case <-cn.timer.C:
			due = true
		}
		cn.mu.Lock()
		if cn.err != nil {
			cn.mu.Unlock()
			cn.timer.Stop()
			return
		}
		if due {
			cn.armed = false
		}
		mine := cn.handed || !cn.writing && (due || cn.enough())
		if mine {
			cn.writing = true
		}
		cn.mu.Unlock()
		if mine {
			cn.flush(true)
		}
	}
}

// maxRounds is how many writes a caller makes for others after its own.
const maxRounds = 4

// flush writes what is queued, many frames in one system call. Who calls it has
// the write side and gives it up here: when there is not enough left to write,
// or to the writer. Only the writer is patient and waits for the kernel.
func (cn *conn) flush(patient bool) {
	cn.mu.Lock()
	if len(cn.pending) > directCalls && len(cn.data) == 0 && cn.bytes < holdBytes/2 {
		// Let the callers that are ready to run queue their frames first: one
		// system call then carries them all. For large frames the switch costs more
		// than it saves.
		cn.mu.Unlock()
		runtime.Gosched()
		cn.mu.Lock()
	}
	for round := 0; cn.fill(round, patient); round++ {
		cn.mu.Unlock()
		n, err := cn.write(cn.data, patient)
		if err != nil {
			cn.broke(n, err)
			return
		}
		cn.mu.Lock()
		cn.data = cn.data[n:]
	}
	cn.mu.Unlock()
}

// fill makes data the bytes to write next: the rest of a batch, or a new batch of
// what is queued. It reports false when the write side is no longer the
// caller's. It is called with the lock held.
func (cn *conn) fill(round int, patient bool) bool {
	if cn.err != nil {
		return false // and nobody writes any more
	}
	cn.handed = false
	if len(cn.data) > 0 {
		if !patient && round > 0 {
			cn.hand()
			return false
		}
		return true
	}
	cn.wrote()
	switch {
	case round > 0 && !cn.enough():
		cn.writing = false
		switch {
		case cn.waiting > 0:
			cn.alarm()
		case cn.armed:
			cn.armed = false
			cn.timer.Stop()
		}
		return false
	case !patient && round >= maxRounds:
		cn.hand()
		return false
	}
	cn.take()
	cn.writing = len(cn.batch) > 0
	return cn.writing
}

// hand gives the write side to the writer.
func (cn *conn) hand() {
	cn.handed = true
	cn.notify()
}

// take moves frames from the queue to the batch, as many as go out together.
// From then on their calls count as written.
func (cn *conn) take() {
	size := 0
	for ; cn.head < len(cn.queue); cn.head++ {
		it := cn.queue[cn.head]
		if it.f == nil {
			continue
		}
		if size += len(it.f.b); size > gather && len(cn.batch) > 0 {
			break
		}
		if it.reply {
			cn.replies--
		} else if cl := cn.pending[it.opaque]; cl != nil {
			cl.written, cl.slot = true, 0
			cn.waiting--
		}
		cn.batch = append(cn.batch, it)
		cn.queue[cn.head] = item{}
	}
	cn.compact()
	switch len(cn.batch) {
	case 0:
	case 1:
		cn.data = cn.batch[0].f.b
	default:
		cn.out = cn.out[:0]
		for _, it := range cn.batch {
			cn.out = append(cn.out, it.f.b...)
		}
		cn.data = cn.out
	}
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

// wrote notes that the kernel has the whole batch. It is called with the lock
// held.
func (cn *conn) wrote() {
	size := 0
	for _, it := range cn.batch {
		size += len(it.f.b)
		if it.oneway {
			if cl := cn.pending[it.opaque]; cl != nil {
				cn.oneways++
				delete(cn.pending, it.opaque)
				cl.err = nil
				cl.done <- struct{}{}
			}
		}
		cn.c.recycle(it.f)
	}
	if size > 0 {
		cn.release(size)
		cn.c.count.framesOut.Add(uint64(len(cn.batch)))
	}
	clear(cn.batch)
	cn.batch = cn.batch[:0]
}

// broke ends the connection over an error of a write that took n bytes of data.
func (cn *conn) broke(n int, err error) {
	cn.mu.Lock()
	// Frames of which the kernel took no byte were not sent.
	left := len(cn.data) - n
	for _, it := range slices.Backward(cn.batch) {
		if left -= len(it.f.b); left < 0 {
			break
		}
		if cl := cn.pending[it.opaque]; cl != nil && !it.reply {
			cl.written = false
		}
	}
	cn.mu.Unlock()
	cn.fail(err)
	for _, it := range cn.batch {
		cn.c.recycle(it.f)
	}
	cn.batch, cn.data, cn.out = nil, nil, nil
}

// write hands b to the kernel: all of it, within a limit, if patient, and
// otherwise as much as it takes at once.
func (cn *conn) write(b []byte, patient bool) (int, error) {
	n := 0
	if cn.socket != nil {
		var err error
		n, err = cn.socket.writeNow(b)
		cn.count(n)
		if err != nil || n == len(b) || !patient {
			return n, err
		}
	}
	for {
		if err := cn.nc.SetWriteDeadline(time.Now().Add(cn.c.cfg.WriteTimeout)); err != nil {
			return n, err
		}
		m, err := cn.nc.Write(b[n:min(n+stride, len(b))])
		cn.count(m)
		if n += m; err != nil || n == len(b) {
			// A peer that answered and hung up at once makes this fail. The bytes are
			// out all the same, and the answer is there to be read.
			_ = cn.nc.SetWriteDeadline(time.Time{})
			return n, err
		}
	}
}

// stride is how many bytes a peer has to take within WriteTimeout. TLS cannot go on
// after a write that took too long, so that each has to be a small one.
const stride = 64 << 10

func (cn *conn) count(n int) {
	cn.c.count.bytesOut.Add(uint64(n))
	cn.c.count.writes.Add(1)
}
