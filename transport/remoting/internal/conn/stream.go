package conn

import (
	"runtime"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// busyPoll is how long the goroutine that reads waits for answers in the kernel before
	// it goes to Go's poller. To wait in the kernel spares the poller's system calls and the
	// wake-ups of threads that look for work. That is a third of a send's cost when answers
	// come every some hundred microseconds. It keeps a thread, and one of the processors for
	// some time, so it is done only while answers are flowing and the processors have
	// nothing better to do.
	busyPoll = 2 * time.Millisecond
	// quickYield is how long a yield may take for each answer. In it the goroutines run that
	// got answers. A yield that takes longer means that other goroutines want the processor
	// too, so the reader does not poll.
	quickYield = 50 * time.Microsecond
	// pollPause is for how many reads the reader goroutine neither yields nor polls after a
	// yield that took long: the processors are wanted.
	pollPause = 32
)

// readMode says how the stream reads from the socket.
type readMode uint8

const (
	readUntilReady readMode = iota // waits for as long as it takes
	readWithin                     // waits for limit in the kernel; nothing is no error
)

// stream is the socket as the goroutine sees it that reads: it counts, it yields to the
// goroutines that got answers, and it does not wait for ever for the rest of a frame. It
// belongs to the goroutine that has the read side; the hand-over goes through the
// connection's lock.
type stream struct {
	c      *Conn
	frames *wire.Reader
	mode   readMode
	limit  time.Duration // of a read within a limit

	received uint64 // bytes
	consumed uint64 // bytes of the frames handed out
	fresh    int    // frames handed out since the last read
	freshLen int    // bytes of these
	lastRead time.Time

	deadline   bool   // a read deadline is set on the connection
	deadlineAt uint64 // for the frame that begins after so many bytes

	oneProcessor bool // there is one, and a goroutine that polls would keep it
	paused       int  // reads to go without a poll

	unexpected int  // by how many the unexpected frames exceeded the answers, see Conn.unexpected
	strayTold  bool // the log has the first one

	underWay    int // requests that were under way after the last frame
	aloneInARow int // frames in a row after which none was; negative: not to be offered yet
	callerReads int // requests whose caller led
}

func newStream(c *Conn, budget *wire.Budget) *stream {
	s := &stream{c: c, oneProcessor: runtime.GOMAXPROCS(0) == 1}
	s.frames = wire.NewReaderWithin(s, wire.MaxFrame, budget)
	return s
}

// betweenFrames reports whether no byte of a next frame has come.
func (s *stream) betweenFrames() bool { return s.received == s.consumed }

// handedOut notes a frame of n bytes.
func (s *stream) handedOut(n int) {
	s.consumed += uint64(n)
	s.freshLen += n
	s.fresh++
}

// handled notes how many requests were under way when the frame had been handled.
func (s *stream) handled() {
	if s.underWay == 0 {
		s.aloneInARow++
	} else {
		s.aloneInARow = 0
	}
}

// Read reads once.
func (s *stream) Read(b []byte) (int, error) {
	if err := s.setDeadline(); err != nil {
		return 0, err
	}
	n, err := s.read(b)
	if n > 0 {
		now := time.Now()
		s.c.rate.note(now.Sub(s.lastRead), s.fresh, s.freshLen)
		s.lastRead, s.fresh, s.freshLen = now, 0, 0
	}
	s.received += uint64(n)
	s.c.shared.Count.BytesIn.Add(uint64(n))
	s.c.shared.Count.Reads.Add(1)
	return n, err
}

// setDeadline sets and clears the deadline for the rest of a frame. The time counts from
// the first read that left this frame incomplete: more bytes do not extend it.
func (s *stream) setDeadline() error {
	incomplete := !s.betweenFrames()
	if incomplete == s.deadline && (!incomplete || s.deadlineAt == s.consumed) {
		return nil
	}
	var t time.Time
	if incomplete {
		t = time.Now().Add(s.c.shared.cfg.FrameTimeout)
	}
	s.deadline, s.deadlineAt = incomplete, s.consumed
	return s.c.nc.SetReadDeadline(t)
}

// goesOn gives the rest of a frame its time anew. The frame had to wait, which is no fault of
// the peer's.
func (s *stream) goesOn() { s.deadline = false }

func (s *stream) read(b []byte) (int, error) {
	switch {
	case s.c.socket == nil:
		return s.c.nc.Read(b)
	case s.mode == readWithin:
		return s.c.socket.readWithin(b, s.limit)
	case s.fresh == 0 || s.deadline || !s.yield():
		return s.c.socket.readSoon(b, 0, 1)
	}
	return s.c.socket.readSoon(b, busyPoll, s.c.readLowWater())
}

// yield lets those goroutines run that got the answers of the last read: what they send
// next goes out at once, and no goroutine waits for this processor while the reader polls.
// It returns false if the reader goroutine must not poll now: a yield took long, or one
// lately did.
func (s *stream) yield() bool {
	switch {
	case s.oneProcessor:
		return false
	case s.paused > 0:
		s.paused--
		return false
	}
	if letOthersRun() < quickYield*time.Duration(1+s.fresh) {
		return true
	}
	s.paused = pollPause
	return false
}
