package embedded_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// pipe returns both ends of a connection over n.
func pipe(t *testing.T, n *embedded.Network) (client, server net.Conn) {
	t.Helper()
	l, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err = n.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return client, server
}

func TestConnBuffersUpToItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe(t, &embedded.Network{Buffer: 10})
		if n, err := client.Write(make([]byte, 10)); n != 10 || err != nil {
			t.Fatalf("write within the buffer: %d, %v", n, err)
		}
		wrote := make(chan int)
		go func() {
			n, _ := client.Write(make([]byte, 25))
			wrote <- n
		}()
		synctest.Wait()
		select {
		case n := <-wrote:
			t.Fatalf("wrote %d bytes beyond the buffer", n)
		default:
		}
		if n, err := io.ReadFull(server, make([]byte, 35)); n != 35 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
		if n := <-wrote; n != 25 {
			t.Fatalf("wrote %d, want 25", n)
		}
	})
}

func TestConnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe(t, &embedded.Network{Buffer: 4})
		begin := time.Now()
		if err := server.SetReadDeadline(begin.Add(3 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err := server.Read(make([]byte, 1))
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("read: %v", err)
		}
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("read ended after %v", d)
		}
		// Moved into the future, the deadline counts no more.
		if err := server.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := client.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := client.Write([]byte("abcdef"))
		if n != 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %d, %v", n, err)
		}
		if err := client.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write after a past deadline: %v", err)
		}
		got := make([]byte, 9)
		if n, err := server.Read(got); err != nil || string(got[:n]) != "abcd" {
			t.Errorf("read %q, %v", got[:n], err)
		}
	})
}

func TestConnClose(t *testing.T) {
	client, server := pipe(t, embedded.NewNetwork())
	if _, err := client.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
	if b, err := io.ReadAll(server); string(b) != "last" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write to a closed peer: %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
}

func TestCloseWakesReaderAndWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := pipe(t, &embedded.Network{Buffer: 1})
		errs := make(chan error, 2)
		go func() { _, err := client.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := client.Write(make([]byte, 5)); errs <- err }()
		synctest.Wait()
		_ = client.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		}
	})
}

func TestNetworkAddresses(t *testing.T) {
	n := embedded.NewNetwork()
	if _, err := n.DialContext(t.Context(), "tcp", "127.0.0.1:10001"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial without a listener: %v", err)
	}
	l, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if l.Addr().String() != "127.0.0.1:10001" {
		t.Errorf("first port %s", l.Addr())
	}
	if _, err := n.Listen(l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	c, err := n.DialContext(t.Context(), "tcp", "localhost:10001")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("connection that was never accepted: %v", err)
	}
	for _, addr := range []string{"", "nowhere", "broker.example:1", "127.0.0.1:99999"} {
		if _, err := n.DialContext(t.Context(), "tcp", addr); err == nil {
			t.Errorf("dialled %q", addr)
		}
		if _, err := n.Listen(addr); err == nil {
			t.Errorf("listens on %q", addr)
		}
	}
}

func TestUnreachableAndFullBacklogWaitForTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := embedded.NewNetwork()
		l, err := n.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addr := l.Addr().String()
		if err := n.SetUnreachable(addr, true); err != nil {
			t.Fatal(err)
		}
		dial := func() (time.Duration, error) {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := n.DialContext(ctx, "tcp", addr)
			return time.Since(begin), err
		}
		if d, err := dial(); d != 2*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("unreachable: %v after %v", err, d)
		}
		time.AfterFunc(time.Second, func() { _ = n.SetUnreachable(addr, false) })
		if d, err := dial(); d != time.Second || err != nil {
			t.Errorf("reachable again: %v after %v", err, d)
		}
		for range 127 {
			if d, err := dial(); d != 0 || err != nil {
				t.Fatalf("within the backlog: %v after %v", err, d)
			}
		}
		if d, err := dial(); d != 2*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("full backlog: %v after %v", err, d)
		}
	})
}

func TestClusterInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := embedded.New(t, embedded.Config{Network: embedded.NewNetwork()})
		b := c.Brokers()[0]
		c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
			return embedded.Delay(5*time.Second, embedded.Pass())
		})
		p := connect(t, c, b.Addr(), wire.RocketMQ)
		begin := time.Now()
		mustCode(t, p.send("t", 0, "hello"), 0)
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("answered after %v of virtual time", d)
		}
	})
}
