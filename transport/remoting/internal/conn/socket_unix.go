//go:build unix

package conn

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a connection whose descriptor can be used directly. Callers write to it
// without waiting, so that a caller with a deadline can do it, and the goroutine that
// reads can wait in the kernel instead of in Go's poller.
//
// The goroutine that has the write side uses the fields of writing, the one that has the
// read side those of reading.
type socket struct {
	raw syscall.RawConn

	// The functions are made once: a closure per call would be an allocation.
	tryWriteFn, tryReadFn func(fd uintptr) bool

	w transfer // writing

	r        transfer      // reading
	busyPoll time.Duration // how long to wait in the kernel; 0 means not at all
	want     int           // for how many bytes the wait in the kernel is at first
	lowWater int           // SO_RCVLOWAT as it is set: how many bytes end a wait
	within   bool          // not to wait in Go's poller afterwards
	poll     [1]unix.PollFd
}

// transfer is one write or read.
type transfer struct {
	b   []byte
	n   int
	err error
}

// newSocket returns nil for connections that are no plain sockets: a wrapper may want to
// see every write.
func newSocket(nc net.Conn) *socket {
	var sc syscall.Conn
	switch s := nc.(type) {
	case *net.TCPConn:
		sc = s
	case *net.UnixConn:
		sc = s
	default:
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw, lowWater: 1}
	s.tryWriteFn, s.tryReadFn = s.tryWrite, s.tryRead
	return s
}

// writeNow writes what the kernel takes at once, which may be nothing.
func (s *socket) writeNow(b []byte) (int, error) {
	s.w = transfer{b: b}
	return s.w.done(s.raw.Write(s.tryWriteFn))
}

// readSoon reads once. For the time of busyPoll it waits in the kernel, which keeps a
// thread, at first until want bytes are there. Then it waits as every Go program does.
func (s *socket) readSoon(b []byte, busyPoll time.Duration, want int) (int, error) {
	s.r, s.busyPoll, s.want = transfer{b: b}, busyPoll, want
	return s.r.done(s.raw.Read(s.tryReadFn))
}

// readWithin reads what comes within the time, which may be nothing.
func (s *socket) readWithin(b []byte, limit time.Duration) (int, error) {
	s.r, s.busyPoll, s.want, s.within = transfer{b: b}, limit, 1, true
	n, err := s.r.done(s.raw.Read(s.tryReadFn))
	s.within = false
	return n, err
}

// done is the outcome; err is what Go said.
func (t *transfer) done(err error) (int, error) {
	n := t.n
	if t.err != nil {
		err = t.err
	}
	*t = transfer{}
	return n, err
}

// tryWrite always reports that it is done: to wait is the writer goroutine's part.
func (s *socket) tryWrite(fd uintptr) bool {
	for s.w.n < len(s.w.b) {
		n, err := syscall.Write(int(fd), s.w.b[s.w.n:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return true
		case err != nil:
			s.w.err = err
			return true
		case n == 0:
			s.w.err = io.ErrUnexpectedEOF
			return true
		}
		s.w.n += n
	}
	return true
}

// tryRead reports whether it is done. It is called again when Go's poller has seen
// something.
func (s *socket) tryRead(fd uintptr) bool {
	if s.busyPoll > 0 {
		s.await(fd)
		s.busyPoll = 0
	}
	for {
		n, err := syscall.Read(int(fd), s.r.b)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			if s.lowWater > 1 && s.setLowWater(fd, 1) {
				continue // bytes that came before that do not wake Go's poller
			}
			return s.within
		case err != nil:
			s.r.err = err
		case n == 0:
			s.r.err = io.EOF
		}
		s.r.n = max(n, 0)
		return true
	}
}

// await waits in the kernel until want bytes are there or, after flushDelay, any. It does
// not matter what poll returns: the read that follows has the truth.
func (s *socket) await(fd uintptr) {
	s.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	if s.want < s.lowWater || s.want > s.lowWater+s.lowWater/4 { // about the same is good enough
		s.setLowWater(fd, s.want)
	}
	if s.lowWater > 1 {
		if n, _ := unix.Poll(s.poll[:], int(flushDelay.Milliseconds())); n != 0 {
			return
		}
		s.setLowWater(fd, 1)
	}
	_, _ = unix.Poll(s.poll[:], int(s.busyPoll.Milliseconds()))
}

// setLowWater makes n bytes what poll(2) and Go's poller wait for, if the system can.
func (s *socket) setLowWater(fd uintptr, n int) bool {
	if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) != nil {
		return false
	}
	s.lowWater = n
	return true
}
