package conn

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Config holds the limits of connections and what they use of the layer above. Every
// field is required.
type Config struct {
	// WriteTimeout is how long a peer may need to take 64 KiB. Then the connection ends.
	WriteTimeout time.Duration
	// FrameTimeout is how long a frame of the peer's may stay incomplete. Then the
	// connection ends. A large frame may wait for room for as long, and has its time anew then.
	FrameTimeout time.Duration
	// MaxQueuedBytes is at how many queued bytes requests begin to wait for admission.
	// One frame of any size may exceed it.
	MaxQueuedBytes int
	// Stored says which codes of an answer mean that a send succeeded. Only those
	// answers are decoded into [Answer].Sent. It is called by the goroutine that reads.
	Stored func(code int) bool
	// Go runs f on a goroutine that the layer above waits for when it shuts down. It
	// returns false, and does not run f, if it is too late for that.
	Go func(f func()) bool
	// Log gets what no error can report. It is never called with a lock held.
	Log *slog.Logger
}

// Owner is the layer above, as one connection sees it. No lock is held when a method
// is called.
type Owner interface {
	// FirstFrame says that the peer has sent a whole frame: it speaks the protocol. It is
	// called once at most, by the goroutine that reads.
	FirstFrame()
	// PeerRequest gets a request that the peer makes of its own accord. The goroutine that
	// reads calls it, and reads nothing else until it returns: it must not block. The
	// frame is valid until it returns. [Conn.Reply] sends an answer. [ErrUnexpected] says
	// that such a peer has nothing to ask; the connection counts these and ends after some.
	// Any other error ends the connection at once.
	PeerRequest(c *Conn, head wire.ResponseHead, frame []byte) error
	// Ending says that the connection takes no more requests, and why. Failed is how many were
	// under way. It is called once, before they learn of the end, so that what they do next
	// does not lead them to this connection again. It must not block.
	Ending(c *Conn, reason error, failed int)
	// Ended is called once, after Ending, when the requests under way have been told of
	// the end.
	Ended(c *Conn, reason error, failed int)
}

// Counters count what connections do, over all connections of a [Shared].
type Counters struct {
	LateAnswers    atomic.Uint64 // answers to requests that were given up
	Unexpected     atomic.Uint64 // answers to nothing, and requests that are not for us
	OnewayRefusals atomic.Uint64 // answers to one-way requests

	FramesOut, BytesOut, Writes atomic.Uint64
	_                           [64]byte // the goroutines that write and those that read have cache lines of their own
	FramesIn, BytesIn, Reads    atomic.Uint64
}

// Shared is what the connections of one client have in common. Make one with
// [NewShared]. It is safe for concurrent use.
type Shared struct {
	cfg Config
	// Count is for reading.
	Count Counters

	frames   sync.Pool // of *Frame
	requests sync.Pool // of *Request
}

// NewShared returns a Shared for connections with the limits of cfg.
func NewShared(cfg Config) *Shared {
	s := &Shared{cfg: cfg}
	s.frames.New = func() any { return new(Frame) }
	s.requests.New = func() any { return newRequest() }
	return s
}

// New makes a connection of nc. It starts no goroutine: the layer above has to run
// [Conn.ReadLoop] and [Conn.WriteLoop], each on a goroutine of its own, before the first
// request. Addr names the peer in the log. A large frame of the peer's that finds no room in
// the budget, which other connections may have too, waits for it, for FrameTimeout at most; then
// the connection ends.
func (s *Shared) New(nc net.Conn, addr string, owner Owner, budget *wire.Budget) *Conn {
	socket := newSocket(nc)
	c := &Conn{
		shared: s, owner: owner, addr: addr, born: time.Now(), nc: guard(nc, socket), socket: socket,
		ended: make(chan struct{}), table: newTable(), write: newWriteSide(), read: newReadSide(),
	}
	c.admission.limit = s.cfg.MaxQueuedBytes
	c.rate.reset()
	c.stream = newStream(c, budget)
	return c
}

// Frame is the buffer of one encoded frame. It has one owner at a time: the caller that
// encodes it, then the send queue, then the goroutine that writes it.
type Frame struct {
	// B is the frame with its length bytes.
	B []byte
}

// keepFrame is the size in bytes up to which a buffer goes back to the pool. A few large
// messages must not make every buffer large. A batch of usual size fits.
const keepFrame = 256 << 10

// NewFrame takes a frame from the pool. Its B is empty and may have capacity.
func (s *Shared) NewFrame() *Frame { return s.frames.Get().(*Frame) }

// FreeFrame puts a frame back that no other goroutine has.
func (s *Shared) FreeFrame(f *Frame) {
	if cap(f.B) <= keepFrame {
		f.B = f.B[:0]
		s.frames.Put(f)
	}
}
