//go:build unix

package remoting

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a connection whose descriptor is there to be used. Callers write to
// it without waiting, so that a caller with a deadline can do it, and its reader
// can wait in the kernel instead of in Go's poller.
//
// Whoever has the connection's write side uses the writer's part, the reader the
// reader's.
type socket struct {
	raw syscall.RawConn

	// The functions are made once: a closure per call would be an allocation.
	write, read func(fd uintptr) bool
	w, r        transfer
	linger      time.Duration
	enough      int
	low         int  // what wakes, in bytes
	once        bool // to wait in the kernel is all
	poll        [1]unix.PollFd
}

// transfer is one write or read.
type transfer struct {
	b   []byte
	n   int
	err error
}

// newSocket returns nil for connections that are no plain sockets: a wrapper may
// want to see every write.
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
	s := &socket{raw: raw, low: 1}
	s.write, s.read = s.tryWrite, s.tryRead
	return s
}

// writeNow writes what the kernel takes at once, which may be nothing.
func (s *socket) writeNow(b []byte) (int, error) {
	s.w = transfer{b: b}
	return s.w.done(s.raw.Write(s.write))
}

// readSoon reads once. For the time of linger it waits in the kernel, which keeps
// a thread, at first for enough bytes; then it waits as every Go program does.
func (s *socket) readSoon(b []byte, linger time.Duration, enough int) (int, error) {
	s.r, s.linger, s.enough = transfer{b: b}, linger, enough
	return s.r.done(s.raw.Read(s.read))
}

// readWithin reads what comes within the time, which may be nothing.
func (s *socket) readWithin(b []byte, limit time.Duration) (int, error) {
	s.r, s.linger, s.enough, s.once = transfer{b: b}, limit, 1, true
	n, err := s.r.done(s.raw.Read(s.read))
	s.once = false
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

// tryWrite always reports that it is done: waiting is the writer's part.
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

// tryRead reports whether it is done. It is called again when Go's poller has
// seen something.
func (s *socket) tryRead(fd uintptr) bool {
	if s.linger > 0 {
		s.await(fd)
		s.linger = 0
	}
	for {
		n, err := syscall.Read(int(fd), s.r.b)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			if s.low > 1 && s.wakeAt(fd, 1) {
				continue // what came before that wakes nobody
			}
			return s.once
		case err != nil:
			s.r.err = err
		case n == 0:
			s.r.err = io.EOF
		}
		s.r.n = max(n, 0)
		return true
	}
}

// await waits in the kernel until enough bytes are there, or after the time of
// holdAlarm any. Whatever poll says, the read that follows says it better.
func (s *socket) await(fd uintptr) {
	s.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	if s.enough < s.low || s.enough > s.low+s.low/4 { // about the same is good enough
		s.wakeAt(fd, s.enough)
	}
	if s.low > 1 {
		if n, _ := unix.Poll(s.poll[:], int(holdAlarm.Milliseconds())); n != 0 {
			return
		}
		s.wakeAt(fd, 1)
	}
	_, _ = unix.Poll(s.poll[:], int(s.linger.Milliseconds()))
}

// wakeAt makes n bytes what poll(2) and Go's poller wait for, if the system can.
func (s *socket) wakeAt(fd uintptr, n int) bool {
	if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) != nil {
		return false
	}
	s.low = n
	return true
}
