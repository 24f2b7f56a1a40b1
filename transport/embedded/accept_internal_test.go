package embedded

import (
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// brokenListener fails some times before it accepts.
type brokenListener struct {
	net.Listener
	failures int
	times    []time.Time // of the calls
}

func (l *brokenListener) Accept() (net.Conn, error) {
	l.times = append(l.times, time.Now())
	if l.failures > 0 {
		l.failures--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// A server that had once been short of file descriptors never accepted a connection again.
func TestAcceptGoesOnAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := NewNetwork()
		c := New(t, Config{Network: network})
		n := c.brokers[0].node
		n.stop()
		inner, err := network.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln := &brokenListener{Listener: inner, failures: 12}
		n.mu.Lock()
		n.listener, n.stopping, n.accepted = ln, make(chan struct{}), make(chan struct{})
		n.mu.Unlock()
		if !c.begin() {
			t.Fatal("closed")
		}
		go n.accept(ln, n.stopping, n.accepted)
		conn, err := network.DialContext(t.Context(), "tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		b, err := wire.AppendCommand(nil, &wire.Command{Code: wire.GetMaxOffset})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		if _, err := wire.NewReader(conn, 0).Next(); err != nil {
			t.Errorf("after the errors: %v", err)
		}
		synctest.Wait()
		if n := len(ln.times); n != 14 { // 12 errors, the connection, and the wait for the next one
			t.Errorf("%d calls, want 14", n)
		}
		for i, want := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000} {
			if got := ln.times[i+1].Sub(ln.times[i]); got != want*time.Millisecond {
				t.Errorf("wait %d is %v, want %v ms", i, got, int(want))
			}
		}
		ln.failures = 100
		fresh, err := network.DialContext(t.Context(), "tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer fresh.Close()
		synctest.Wait()
		began := time.Now()
		n.stop() // in the middle of a wait
		if d := time.Since(began); d != 0 {
			t.Errorf("stop took %v", d)
		}
	})
}
