package conn

import (
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// guarded is a connection that is no plain socket. Its methods may be the program's code: a
// panic in one is its error. One that ends the goroutine ends the connection, see ReadLoop and
// WriteLoop.
type guarded struct{ net.Conn }

// guard returns nc as it is if it is a plain socket.
func guard(nc net.Conn, s *socket) net.Conn {
	if s != nil {
		return nc
	}
	return guarded{nc}
}

// Guard makes a connection safe to build another one on, such as TLS: a panic in a method of
// the program's is its error. A plain socket it returns as it is.
func Guard(nc net.Conn) net.Conn { return guard(nc, newSocket(nc)) }

// contain is deferred around a method.
func contain(method string, err *error) {
	if v := recover(); v != nil {
		*err = &core.PanicError{Step: "the connection's " + method, Value: v, Stack: debug.Stack()}
	}
}

// endedGoroutine is the end of a connection one of whose methods ended the goroutine.
func endedGoroutine(method string) error {
	return fmt.Errorf("%w: the connection's %s ended its goroutine", core.ErrContract, method)
}

func (g guarded) Read(b []byte) (n int, err error) {
	defer contain("Read", &err)
	return g.Conn.Read(b)
}

func (g guarded) Write(b []byte) (n int, err error) {
	defer contain("Write", &err)
	return g.Conn.Write(b)
}

func (g guarded) SetDeadline(t time.Time) (err error) {
	defer contain("SetDeadline", &err)
	return g.Conn.SetDeadline(t)
}

func (g guarded) SetReadDeadline(t time.Time) (err error) {
	defer contain("SetReadDeadline", &err)
	return g.Conn.SetReadDeadline(t)
}

func (g guarded) SetWriteDeadline(t time.Time) (err error) {
	defer contain("SetWriteDeadline", &err)
	return g.Conn.SetWriteDeadline(t)
}

func (g guarded) Close() (err error) {
	defer contain("Close", &err)
	return g.Conn.Close()
}

// closeBelow closes the connection below this one, if there is one, as below TLS.
func (g guarded) closeBelow() {
	var err error
	defer contain("NetConn", &err)
	if layer, ok := g.Conn.(interface{ NetConn() net.Conn }); ok {
		layer.NetConn().Close()
	}
}
