//go:build unix

package remoting

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// directWriter writes to a socket without waiting, so that a caller with a
// deadline can do it. Whoever has the connection's write side uses it.
type directWriter struct {
	raw syscall.RawConn
	f   func(fd uintptr) bool // made once: a closure per write would be an allocation
	b   []byte
	n   int
	err error
}

// newDirectWriter returns nil for connections that are no plain sockets: a
// wrapper may want to see every write.
func newDirectWriter(nc net.Conn) *directWriter {
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
	d := &directWriter{raw: raw}
	d.f = d.try
	return d
}

// write writes what the kernel takes now, which may be nothing.
func (d *directWriter) write(b []byte) (int, error) {
	d.b, d.n, d.err = b, 0, nil
	err := d.raw.Write(d.f)
	d.b = nil
	if d.err != nil {
		err = d.err
	}
	return d.n, err
}

// try always reports that it is done: waiting is the writer's part.
func (d *directWriter) try(fd uintptr) bool {
	for d.n < len(d.b) {
		n, err := syscall.Write(int(fd), d.b[d.n:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return true
		case err != nil:
			d.err = err
			return true
		case n == 0:
			d.err = io.ErrUnexpectedEOF
			return true
		}
		d.n += n
	}
	return true
}
