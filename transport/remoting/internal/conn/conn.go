package conn

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

var (
	// ErrStale is returned by [Conn.Do] when the connection ended or was retired before
	// the request was on it. Nothing was sent.
	ErrStale = errors.New("connection is no longer in use")
	// ErrUnneeded is why a retired or idle connection ends. No request is under way then.
	ErrUnneeded = errors.New("connection is no longer needed")
	// ErrPeerClosed is why a connection ends that the peer closed between two frames.
	ErrPeerClosed = errors.New("closed by the peer")
	// ErrUnexpected is what [Owner].PeerRequest returns for a request that such a peer has
	// no business to make.
	ErrUnexpected = errors.New("the peer has nothing to ask")
)

// LostError is what [Conn.Do] returns when the connection ended under the request.
// Whether bytes of the request may have left is in [Request.Written].
type LostError struct{ Reason error }

// Error gives the reason.
func (e *LostError) Error() string { return e.Reason.Error() }

// Unwrap gives the reason.
func (e *LostError) Unwrap() error { return e.Reason }

// phase is how far a connection has come in its life. It only ever grows.
//
//	open ── Retire ──▶ retired ── the last request under way ends ──▶ ended
//	  └───────────── Close: an error, an end, the layer above ─────────▶
type phase uint8

const (
	phaseOpen    phase = iota // takes requests
	phaseRetired              // takes no more requests; those under way may have their answers
	phaseEnded                // nothing is under way, and nothing is read or written any more
)

// Conn is one connection. It is safe for concurrent use. [Shared.New] makes one.
type Conn struct {
	shared *Shared
	owner  Owner
	addr   string
	born   time.Time
	nc     net.Conn
	socket *socket // nil where nc is no plain socket

	proven atomic.Bool // a whole frame came
	rate   answerRate
	stream *stream       // belongs to the goroutine that the read side's state names
	ended  chan struct{} // closed when the connection has ended and its owner knows

	mu     sync.Mutex // guards what follows
	phase  phase
	reason error // why it ended; nil before phaseEnded
	sent   uint64
	// heard is the length of the whole frames that came. A frame that is incomplete proves
	// nothing: its length may be wrong, and then it swallows all that the peer says.
	heard     uint64
	table     table
	admission admission
	write     writeSide
	read      readSide
}

// Usage is a snapshot of a connection.
type Usage struct {
	// InFlight requests wait for their answer or their write.
	InFlight int
	// QueuedBytes are in the send queue or in the write under way.
	QueuedBytes int
	// Sent is how many requests of the kinds Send and Oneway were put on the connection so far.
	Sent uint64
	// BytesIn is how many bytes of whole frames came so far.
	BytesIn uint64
	// Retired says that no more requests are taken.
	Retired bool
	// ReadOffered says that no goroutine reads, and that the next caller may.
	ReadOffered bool
}

// Usage takes a snapshot.
func (c *Conn) Usage() Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Usage{
		InFlight: len(c.table.underWay), QueuedBytes: c.admission.bytes, Sent: c.sent, BytesIn: c.heard,
		Retired: c.phase != phaseOpen, ReadOffered: c.read.offered(),
	}
}

// Proven reports whether the peer has sent a whole frame.
func (c *Conn) Proven() bool { return c.proven.Load() }

// Age is how long ago the connection was made.
func (c *Conn) Age() time.Duration { return time.Since(c.born) }

// Ended is closed when the connection has ended and [Owner].Ending has returned.
func (c *Conn) Ended() <-chan struct{} { return c.ended }

// Reason is why the connection has ended, nil if it has not.
func (c *Conn) Reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Do sends a request, whose frame f it takes over, and waits for the outcome. Nil means
// that the answer is in r, or that a one-way request was written.
//
//   - [ErrStale]: the connection takes no more requests. Nothing was sent.
//   - *[LostError]: it ended before the answer.
//   - *[DecodeError]: the answer could not be understood.
//   - [core.ErrTimeout], [core.ErrAborted] or the context's error: the caller's time ended first.
//
// Bytes of the frame may be on their way before Do returns, and nothing tells the caller
// when. [Request.Written] has the truth once Do has returned: it is set before the first
// byte is given to the kernel, and cleared again if the write failed and the kernel took
// no byte of this frame. If the connection ended before the write failed, it stays set: that
// is safe, though not exact.
func (c *Conn) Do(r *Request, f *Frame) error {
	r.stage, r.silence = stageUnsent, 0
	var err error
	if c.acquireReadSide(r) {
		err = c.submitAndRead(r, f)
	} else {
		err = c.submit(r, f)
	}
	if err != nil {
		return err
	}
	err = r.Until(r.done)
	if err == core.ErrTimeout && c.awaitAnswer(r) {
		err = r.Until(r.done)
	}
	if err != nil {
		return c.giveUp(r, err)
	}
	return r.err
}

// awaitAnswer gives a request whose time for sending is over the time for its answer, if it
// has been written.
func (c *Conn) awaitAnswer(r *Request) bool {
	if !r.deadline.Before(r.AnswerBy) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.stage != stageWritten {
		return false
	}
	r.deadline = r.AnswerBy
	return true
}

// submit puts a request into the table and its frame into the send queue, and writes if
// no other goroutine does. It takes f over. It waits while there is no room; after an
// error nothing was sent.
func (c *Conn) submit(r *Request, f *Frame) error {
	if !r.startClock() {
		c.shared.FreeFrame(f)
		return core.ErrTimeout
	}
	r.size = len(f.B)
	c.mu.Lock()
	if err := c.admit(r); err != nil {
		c.mu.Unlock()
		c.shared.FreeFrame(f)
		return err
	}
	c.table.add(r)
	r.heard = c.heard
	if r.Kind != Ask {
		c.sent++
	}
	r.stage, r.position = stageQueued, c.write.queue.push(entry{f: f, opaque: r.Opaque, kind: entryOf(r)})
	if !r.oneway() && c.read.offered() {
		// The caller that led when this one looked has offered the read side since. Without
		// a reader the answer would wait.
		c.read.recall()
	}
	mine := c.startWrite()
	c.mu.Unlock()
	if mine {
		c.flush()
	}
	return nil
}

// giveUp ends a request whose caller does not wait any longer. If the outcome was decided
// at the same moment, that is what counts.
func (c *Conn) giveUp(r *Request, why error) error {
	c.mu.Lock()
	if !c.table.holds(r) {
		c.mu.Unlock()
		<-r.done
		return r.err
	}
	c.table.remove(r)
	if r.stage == stageQueued {
		f := c.write.queue.withdraw(r.position)
		r.stage = stageUnsent
		c.admission.free(len(f.B))
		c.shared.FreeFrame(f)
	} else {
		c.table.expectLate(r.Opaque)
	}
	if c.heard == r.heard {
		r.silence = r.waited()
	}
	last := c.lastOfRetired()
	c.mu.Unlock()
	if last {
		c.Close(ErrUnneeded)
	}
	return why
}

// lastOfRetired reports whether the connection has nothing left to wait for. It is called
// with the lock held.
func (c *Conn) lastOfRetired() bool { return c.phase == phaseRetired && len(c.table.underWay) == 0 }

// Reply queues an answer to a request of the peer's, f, which it takes over. It does not
// wait. It returns false, and drops f, if the connection has ended, or if [maxReplies]
// answers are queued: a peer that asks faster than it reads gets no more.
func (c *Conn) Reply(f *Frame) bool {
	c.mu.Lock()
	taken := c.phase != phaseEnded && c.write.queue.replies < maxReplies
	if taken {
		c.admission.add(len(f.B))
		c.write.queue.push(entry{f: f, kind: entryReply})
	}
	c.mu.Unlock()
	if taken {
		c.wakeWriter()
	} else {
		c.shared.FreeFrame(f)
	}
	return taken
}

// maxReplies bounds the queued answers to a peer's requests, in frames.
const maxReplies = 64

// Retire closes the connection to new requests. Those under way may have their answers:
// the connection ends with the last one. If none is under way, it ends now, with reason why.
func (c *Conn) Retire(why error) {
	c.mu.Lock()
	c.retire()
	last := c.lastOfRetired()
	c.mu.Unlock()
	if last {
		c.Close(why)
	}
}

// CloseIdle ends the connection, unless a request is under way: then it does nothing and
// returns false.
func (c *Conn) CloseIdle(why error) bool {
	c.mu.Lock()
	idle := len(c.table.underWay) == 0
	if idle {
		c.retire() // so that no request comes between
	}
	c.mu.Unlock()
	if idle {
		c.Close(why)
	}
	return idle
}

// retire is called with the lock held.
func (c *Conn) retire() {
	if c.phase == phaseOpen {
		c.phase = phaseRetired
	}
	c.admission.admitAll()
}

// Close ends the connection and every request on it. Only the first reason counts.
//
// Close may run on the goroutine of a caller whose time is over. So it tells the other
// callers first and does what can take time afterwards.
func (c *Conn) Close(reason error) {
	c.mu.Lock()
	if c.phase == phaseEnded {
		c.mu.Unlock()
		return
	}
	c.phase, c.reason = phaseEnded, reason
	requests, frames := c.table.removeAll(), c.write.end()
	c.read.end()
	c.admission.bytes = 0
	c.admission.admitAll()
	c.mu.Unlock()

	c.owner.Ending(c, reason, len(requests))
	close(c.ended)
	c.stream.frames.End()
	c.wakeWriter()
	for _, e := range frames {
		if e.f != nil {
			c.shared.FreeFrame(e.f)
		}
	}
	if len(requests) > 0 {
		lost := &LostError{Reason: reason}
		for _, r := range requests {
			r.finish(lost)
		}
	}
	// To close a plain socket takes no time. Another connection may say good-bye first, or be
	// the program's code.
	if c.socket != nil || !c.shared.cfg.Go(c.closeSocket) {
		c.closeSocket()
	}
	c.owner.Ended(c, reason, len(requests))
}

// closeSocket closes the socket. A goroutine that waits for bytes in the kernel does not
// notice that by itself; CloseRead ends its wait. Below TLS the socket goes first: TLS
// would try for 5 s to tell a peer that does not read, and in a stream of frames with
// lengths the good-bye tells nothing.
func (c *Conn) closeSocket() {
	if s, ok := c.nc.(interface{ CloseRead() error }); ok && c.socket != nil {
		_ = s.CloseRead()
	}
	if g, ok := c.nc.(guarded); ok {
		g.closeBelow()
	}
	c.nc.Close()
}
