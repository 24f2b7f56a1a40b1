package remoting

import (
	"runtime"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// linger is how long the reader waits for answers in the kernel before it goes
	// to Go's poller. To wait there spares the poller's system calls and the
	// wake-ups of threads that look for work, and makes a third of a send's cost
	// when answers come every some hundred microseconds; it keeps a thread, and one
	// of the processors for some time. So it is done only on a connection whose
	// answers are flowing, and only while the processors have nothing better to do.
	linger = 2 * time.Millisecond
	// calm is how long a yield takes at most, for each answer, when those who got
	// their answers run and hardly anybody else wants the processor.
	calm = 50 * time.Microsecond
	// hurried is for how many reads the reader does without a yield and without
	// lingering when the processors are wanted.
	hurried = 32
)

// stream is a connection's read side: the frames, and the socket as their reader
// sees it. It counts, it gives way to those who got answers, and it does not wait
// for ever for the rest of a frame. It belongs to the connection's reader or to a
// caller who borrowed it.
type stream struct {
	cn      *conn
	r       *wire.Reader
	got     uint64 // bytes received
	used    uint64 // bytes of frames handed out
	frames  int    // handed out since the last read
	bytes   int    // of these
	bounded bool   // a read deadline is set
	at      uint64 // for the frame that begins after so many bytes
	last    time.Time
	alone   bool // there is one processor, and the reader would keep it
	hurry   int  // reads to go without a yield

	left     int // calls that were under way after the last answer
	solo     int // answers in a row after which there were none
	borrowed bool
	limit    time.Duration // of a borrower's read
	calls    int           // of borrowers
}

func newStream(cn *conn) *stream {
	s := &stream{cn: cn, alone: runtime.GOMAXPROCS(0) == 1}
	s.r = wire.NewReader(s, wire.MaxFrame)
	return s
}

// lone reports whether the read side is better lent.
func (s *stream) lone() bool {
	return s.solo >= lendAfter && s.got == s.used && s.cn.pace.gap.Load() < int64(holdAlarm)/2 &&
		s.cn.socket != nil && !s.alone
}

// Read reads once.
func (s *stream) Read(b []byte) (int, error) {
	if err := s.bound(); err != nil {
		return 0, err
	}
	n, err := s.read(b)
	if n > 0 {
		now := time.Now()
		s.cn.pace.note(now.Sub(s.last), s.frames, s.bytes)
		s.last, s.frames, s.bytes = now, 0, 0
	}
	s.got += uint64(n)
	s.cn.in.Add(uint64(n))
	s.cn.c.count.bytesIn.Add(uint64(n))
	s.cn.c.count.reads.Add(1)
	return n, err
}

// bound sets and clears the deadline for the rest of a frame. The time counts
// from the first read that left this frame incomplete: more bytes do not extend
// it.
func (s *stream) bound() error {
	partial := s.got > s.used
	if partial == s.bounded && (!partial || s.at == s.used) {
		return nil
	}
	var t time.Time
	if partial {
		t = time.Now().Add(s.cn.c.cfg.FrameTimeout)
	}
	s.bounded, s.at = partial, s.used
	return s.cn.nc.SetReadDeadline(t)
}

func (s *stream) read(b []byte) (int, error) {
	if s.cn.socket == nil {
		return s.cn.nc.Read(b)
	}
	if s.borrowed {
		return s.cn.socket.readWithin(b, s.limit)
	}
	if s.frames == 0 || s.bounded || !s.yield() {
		return s.cn.socket.readSoon(b, 0, 1)
	}
	return s.cn.socket.readSoon(b, linger, s.cn.gathering())
}

// yield lets those run who got the answers of the last read: what they send next
// goes out at once, and whoever waits for this processor does not wait for as
// long as the reader lingers. It reports whether that was quick.
func (s *stream) yield() bool {
	switch {
	case s.alone:
		return false
	case s.hurry > 0:
		s.hurry--
		return false
	}
	if giveWay() < calm*time.Duration(1+s.frames) {
		return true
	}
	s.hurry = hurried
	return false
}

// giveWay lets others run, and says for how long they did.
func giveWay() time.Duration {
	start := time.Now()
	runtime.Gosched()
	return time.Since(start)
}
