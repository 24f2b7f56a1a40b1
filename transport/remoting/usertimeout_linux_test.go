package remoting_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/middlebox"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// vanish makes the kernel drop all that comes to a connection, so that nothing is acknowledged any more: to
// the other side the machine is gone.
func vanish(t *testing.T, nc net.Conn) {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// A broker that vanished without a word under one-way sends, which wait for no answer, is
// noticed by the TCP user time-out: on plain sockets, under TLS, and behind a SOCKS proxy.
func TestVanishedPeer(t *testing.T) {
	ca := newAuthority(t)
	for _, way := range []string{"plain", "TLS", "SOCKS"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var log bytes.Buffer
			ln := &keeping{Listener: listen(t, "127.0.0.1:0")}
			cfg := remoting.Config{
				UserTimeout: 300 * time.Millisecond,
				Logger:      slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil)),
			}
			var served net.Listener = ln
			addr := ln.Addr().String()
			switch way {
			case "TLS":
				served, cfg.TLS = tls.NewListener(ln, ca.issue(t).server(t)), trusting(t, ca)
			case "SOCKS":
				// The proxy vanishes: it is the far end of this connection.
				served = listen(t, "127.0.0.1:0")
				addr = served.Addr().String()
				b := middlebox.Proxy{}.Serve(ln)
				t.Cleanup(func() { _ = b.Close() })
				cfg.SOCKS = remoting.SOCKS{"0.0.0.0/0": {Addr: b.Addr()}}
			}
			run(t, served, nil)
			c := client(t, cfg)
			p := producer(t, c, addr)
			if _, err := p.Send(bg, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			vanish(t, ln.last())
			if err := p.SendOneway(context.Background(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the connection is lost", func() bool { return c.Stats().Lost == 1 })
			eventually(t, "the log says why", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return strings.Contains(log.String(), "connection timed out")
			})
		})
	}
}

// A user time-out is the dialer's, so it has no meaning beside a function that dials.
func TestUserTimeoutBesideDial(t *testing.T) {
	dial := new(net.Dialer).DialContext
	for d, want := range map[time.Duration]string{0: "", -1: "", time.Second: "UserTimeout is set beside Dial"} {
		_, err := remoting.NewClient(remoting.Config{NameServers: []string{"a"}, Dial: dial, UserTimeout: d})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", d, err)
		}
	}
	for d, want := range map[time.Duration]string{time.Microsecond: "UserTimeout is 1µs", 48 * time.Hour: "UserTimeout is 48h", time.Millisecond: "", -time.Second: ""} {
		_, err := remoting.NewClient(remoting.Config{NameServers: []string{"a"}, UserTimeout: d})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", d, err)
		}
	}
}

// keeping remembers the last connection that was accepted.
type keeping struct {
	net.Listener
	mu sync.Mutex
	nc net.Conn
}

func (k *keeping) Accept() (net.Conn, error) {
	nc, err := k.Listener.Accept()
	if err == nil {
		k.mu.Lock()
		k.nc = nc
		k.mu.Unlock()
	}
	return nc, err
}

func (k *keeping) last() net.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.nc
}

type lockedWriter struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
