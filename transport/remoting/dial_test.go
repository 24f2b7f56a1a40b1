package remoting_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Many callers without a connection share one dial.
func TestOneDialAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), nil)
		c := client(t, remoting.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(500 * time.Millisecond)
			return n.dial(ctx, network, addr)
		}})
		p := producer(t, c, b.addr())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := p.Send(bg, coretest.Message("x")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n.count() != 1 || c.Stats().Dials != 1 {
			t.Errorf("%d dials", n.count())
		}
	})
}

// Rows 3 and 34: while a broker is away, sends fail at once as not sent; dials
// back off with jitter; and a send succeeds within a second of its return.
func TestBackoffAndRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		var dials []time.Duration
		start := time.Now()
		c := client(t, remoting.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials = append(dials, time.Since(start))
			return n.dial(ctx, network, addr)
		}})
		p := producer(t, c, "b:1")
		for time.Since(start) < 20*time.Second {
			before := time.Now()
			_, err := p.Send(bg, coretest.Message("x"))
			wantFailure(t, err, core.ClassNetwork, core.NotSent)
			if !errors.Is(err, core.ErrConnect) || !time.Now().Equal(before) {
				t.Fatalf("after %v: %v", time.Since(before), err)
			}
			time.Sleep(time.Millisecond)
		}
		exact := 0
		for i := 1; i < len(dials); i++ {
			full := min(50*time.Millisecond<<(i-1), 800*time.Millisecond)
			if i > 5 {
				full = 800 * time.Millisecond
			}
			gap := dials[i] - dials[i-1]
			if gap < full*8/10 || gap > full*12/10+time.Millisecond {
				t.Errorf("pause %d is %v, want %v ±20 %%", i, gap, full)
			}
			if gap == full {
				exact++
			}
		}
		if len(dials) < 22 || len(dials) > 37 || exact > 3 {
			t.Errorf("dials at %v", dials)
		}

		b := run(t, n.listen("b:1"), nil)
		back := time.Now()
		for {
			_, err := p.Send(bg, coretest.Message("x"))
			if err == nil {
				break
			}
			wantFailure(t, err, core.ClassNetwork, core.NotSent)
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(back); d > time.Second {
			t.Errorf("recovered after %v", d)
		}
		if b.accepted.Load() != 1 {
			t.Errorf("%d connections", b.accepted.Load())
		}
	})
}

// A peer that accepts and hangs up is dialed no more often than one that refuses.
// What it says before that makes no difference, unless it is a frame.
func TestHangUpBacksOff(t *testing.T) {
	for name, words := range map[string]string{
		"silently": "", "one byte": "x", "SSH": "SSH-2.0-OpenSSH_9.6\r\n", "HTTP": "HTTP/1.1 400 Bad Request\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				b := &fake{ln: n.listen("b:1"), greet: func(s *session) {
					_, _ = s.nc.Write([]byte(words))
					s.nc.Close()
				}}
				b.start()
				t.Cleanup(b.stop)
				p := producer(t, client(t, remoting.Config{Dial: n.dial}), b.addr())
				for range 1000 {
					_, err := p.Send(bg, coretest.Message("x"))
					if se := failure(t, err); se.Class != core.ClassNetwork {
						t.Fatal(err)
					}
					time.Sleep(10 * time.Millisecond)
				}
				if n := n.count(); n > 20 {
					t.Errorf("%d dials in 10 s", n)
				}
			})
		})
	}
}

// Rows 29 and 36: a dial that hangs is bounded by each caller's own time, and by
// its own; it belongs to nobody, so a caller that leaves does not end it.
func TestHangingDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		good := run(t, n.listen("good:1"), nil)
		var dials atomic.Int32
		c := client(t, remoting.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == good.addr() {
				return n.dial(ctx, network, addr)
			}
			dials.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		p, q := producer(t, c, "hang:1"), producer(t, c, good.addr())

		start := time.Now()
		_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(time.Second))
		wantFailure(t, err, core.ClassTimeout, core.NotSent)
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
		ctx, cancel := context.WithCancel(bg)
		time.AfterFunc(500*time.Millisecond, cancel)
		_, err = p.Send(ctx, coretest.Message("x"))
		wantFailure(t, err, core.ClassCanceled, core.NotSent)
		if _, err := q.Send(bg, coretest.Message("x")); err != nil || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("the other broker: %v after %v", err, time.Since(start))
		}
		if dials.Load() != 1 {
			t.Errorf("%d dials", dials.Load())
		}
		_, err = p.Send(bg, coretest.Message("x"), core.SendTimeout(minute))
		wantFailure(t, err, core.ClassNetwork, core.NotSent) // and not a timeout
		if d := time.Since(start); d != remoting.DefaultConnectTimeout {
			t.Errorf("the dial ended after %v", d)
		}
	})
}

// Row 36: a name is resolved at each dial, so a broker that moves is found.
func TestNameMoves(t *testing.T) {
	a, b := broker(t, nil), broker(t, nil)
	var now atomic.Pointer[fake]
	now.Store(a)
	c := client(t, remoting.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "broker.example:10911" {
			t.Errorf("dialed %q, want the name", addr)
		}
		return new(net.Dialer).DialContext(ctx, network, now.Load().addr())
	}})
	p := producer(t, c, "broker.example:10911")
	if _, err := p.Send(bg, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	now.Store(b)
	a.stop()
	eventually(t, "the client sees the end", func() bool { return c.Stats().Connections == 0 })
	if _, err := p.Send(bg, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if len(b.requests(wire.SendMessageV2)) != 1 {
		t.Error("the send went elsewhere")
	}
}

// Row 36: a name that does not exist, with the default dialer.
func TestNameFails(t *testing.T) {
	p := producer(t, client(t, remoting.Config{}), "no-such-host.invalid:10911")
	_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(minute))
	wantFailure(t, err, core.ClassNetwork, core.NotSent)
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		t.Errorf("got %v", err)
	}
}

// The number of brokers is bounded, and an address can be refused.
func TestBrokerLimits(t *testing.T) {
	a, b := broker(t, nil), broker(t, nil)
	c := client(t, remoting.Config{MaxBrokers: 1, AllowBroker: func(addr string) bool { return addr != "10.0.0.1:10911" }})
	_, err := producer(t, c, "10.0.0.1:10911").Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassNetwork, core.NotSent)
	if !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("got %v", err)
	}
	if _, err := producer(t, c, a.addr()).Send(bg, coretest.Message("x")); err != nil {
		t.Error(err)
	}
	_, err = producer(t, c, b.addr()).Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassNetwork, core.NotSent)
	if !strings.Contains(err.Error(), "limit") {
		t.Errorf("got %v", err)
	}
}
