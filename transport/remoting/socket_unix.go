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
	s := &socket{raw: raw}
	s.write, s.read = s.tryWrite, s.tryRead
	return s
}

// writeNow writes what the kernel takes at once, which may be nothing.
func (s *socket) writeNow(b []byte) (int, error) {
	s.w = transfer{b: b}
	return s.w.done(s.raw.Write(s.write))
}

// readSoon reads once. For the time of linger it waits for bytes in the kernel,
// which keeps a thread; then it waits as every Go program does.
func (s *socket) readSoon(b []byte, linger time.Duration) (int, error) {
	s.r, s.linger = transfer{b: b}, linger
	return s.r.done(s.raw.Read(s.read))
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
		s.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		// Whatever it says, the read below says it better.
		_, _ = unix.Poll(s.poll[:], int(s.linger.Milliseconds()))
		s.linger = 0
	}
	for {
		n, err := syscall.Read(int(fd), s.r.b)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err != nil:
			s.r.err = err
		case n == 0:
			s.r.err = io.EOF
		}
		s.r.n = max(n, 0)
		return true
	}
}
