package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
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
// back off by chance; and a send succeeds within a second of its return.
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
		for i := 1; i < len(dials); i++ {
			most := []time.Duration{100 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}[min(i, 3)-1]
			// The sends come once a millisecond.
			if gap := dials[i] - dials[i-1]; gap < most/2 || gap > most+time.Millisecond {
				t.Errorf("pause %d is %v, want %v or up to a half less", i, gap, most)
			}
		}
		if len(dials) < 25 || len(dials) > 45 {
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
		if d := time.Since(back); d > 810*time.Millisecond {
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
				if n := n.count(); n > 26 {
					t.Errorf("%d dials in 10 s", n)
				}
			})
		})
	}
}

// A peer that answers heartbeats, or the first request, and hangs up on sends was dialed
// 842 times a second: its first frame had ended the back-off. A proxy that answers GO_AWAY to
// everything is no better, nor one that hangs up before it was sent to, time and again.
func TestEarlyEndsBackOff(t *testing.T) {
	for name, script := range map[string]func(s *session, c wire.Command){
		"hangs up on sends": func(s *session, c wire.Command) {
			if c.Code == wire.HeartBeat {
				s.ok(c)
				return
			}
			s.nc.Close()
		},
		"answers one send of two": func(s *session, c wire.Command) {
			if c.Code == wire.HeartBeat || s.sends.Add(1)%2 == 1 {
				s.ok(c)
				return
			}
			s.nc.Close()
		},
		"GO_AWAY": func(s *session, c wire.Command) {
			if c.Code == wire.HeartBeat {
				s.ok(c)
				return
			}
			s.answer(c, int(rocketmq.CodeGoAway), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				b := run(t, n.listen("b:1"), script)
				c := client(t, remoting.Config{Dial: n.dial})
				if err := c.RegisterGroup(bg, core.Registration{Group: "g"}); err != nil {
					t.Fatal(err)
				}
				p := producer(t, c, b.addr())
				for range 10_000 {
					_, _ = p.Send(bg, coretest.Message("x"))
					time.Sleep(time.Millisecond)
				}
				if n := n.count(); n < 10 || n > 30 {
					t.Errorf("%d dials in 10 s", n)
				}
			})
		})
	}
}

// A connection that served for some time and is lost is replaced at once, with no pause, and
// so is the first one that is lost early.
func TestLossOfAConnectionThatServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			if string(c.Body) == "hang up" {
				s.nc.Close()
				return
			}
			s.ok(c)
		})
		p := producer(t, client(t, remoting.Config{Dial: n.dial}), b.addr())
		lives := []time.Duration{0, 20 * time.Second, 0, time.Second, 999 * time.Millisecond, 2 * time.Second}
		for i, life := range lives {
			if _, err := p.Send(bg, coretest.Message("x")); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			time.Sleep(life)
			_, err := p.Send(bg, coretest.Message("hang up"))
			wantFailure(t, err, core.ClassNetwork, core.MaybeStored)
		}
		if n := n.count(); n != len(lives) {
			t.Errorf("%d dials, want %d", n, len(lives))
		}
	})
}

// An outage has one line in the log, however many dials fail, and so has a peer that hangs up
// again and again. When the broker serves again its report has no trouble.
func TestOutageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, log := newPipes(), &lockedText{}
		c := client(t, remoting.Config{Dial: n.dial, Logger: slog.New(slog.NewTextHandler(log, nil))})
		p := producer(t, c, "b:1")
		for outage := 1; outage <= 2; outage++ {
			for range 1000 {
				_, _ = p.Send(bg, coretest.Message("x"))
				time.Sleep(10 * time.Millisecond)
			}
			b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
				if s.n > 5 || s.sends.Add(1) == 1 {
					s.ok(c)
					return
				}
				s.nc.Close()
			})
			time.Sleep(time.Second)
			for range 1000 {
				_, _ = p.Send(bg, coretest.Message("x"))
				time.Sleep(10 * time.Millisecond)
			}
			if got := strings.Count(log.String(), "cannot connect"); got != outage {
				t.Errorf("%d lines after %d outages", got, outage)
			}
			// The hang-ups follow the outage, so none is the first failure in a row.
			if got := strings.Count(log.String(), "connection lost"); got > outage {
				t.Errorf("%d lines of lost connections:\n%s", got, log.String())
			}
			if got := fmt.Sprint(c.BrokerReport(core.Broker{Addr: "b:1"})); strings.Contains(got, "last dial") {
				t.Errorf("the report of a broker that serves: %v", got)
			}
			time.Sleep(10 * time.Second)
			b.stop()
		}
	})
}

// A connection on which nothing ever comes back, since all sends are one-way, is closed when it
// is idle. That is no failure: the next send dials at once.
func TestIdleOnewayConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		v.routes = func(string) *wire.RouteData { return routeTo(1, "a:1") }
		c := v.client(t)
		p := routed(t, c)
		for i := range 3 {
			if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
				t.Fatalf("connection %d: %v", i+1, err)
			}
			for v.a.open.Load() > 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if n := v.a.accepted.Load(); n != 3 {
			t.Errorf("%d connections", n)
		}
	})
}

// A broker goes away under 20 clients that send all the time, and comes back. They used to
// dial 120 times in 2 s, in step. However long it was away, each is back well within a
// second: keyed sends wait for it.
func TestManyClientsMeetARestart(t *testing.T) {
	for _, away := range []time.Duration{2 * time.Second, 50 * time.Millisecond, 400 * time.Millisecond, 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			const clients = 20
			n := newPipes()
			b := run(t, n.listen("b:1"), nil)
			var mu sync.Mutex
			var dials []time.Time
			cfg := remoting.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				mu.Lock()
				dials = append(dials, time.Now())
				mu.Unlock()
				return n.dial(ctx, network, addr)
			}}
			var producers []*core.Producer
			for range clients {
				p := producer(t, client(t, cfg), b.addr())
				if _, err := p.Send(bg, coretest.Message("x")); err != nil {
					t.Fatal(err)
				}
				producers = append(producers, p)
			}
			time.Sleep(20 * time.Second)
			dials = nil
			b.stop()
			gone := time.Now()
			var back atomic.Int64
			stop := make(chan struct{})
			var wg sync.WaitGroup
			late := make([]time.Duration, clients)
			for i, p := range producers {
				late[i] = -1
				wg.Go(func() {
					for {
						_, err := p.Send(bg, coretest.Message("x"))
						if since := back.Load(); err == nil && since > 0 {
							late[i] = time.Duration(time.Now().UnixNano() - since)
							return
						}
						select {
						case <-stop:
							return
						case <-time.After(time.Millisecond):
						}
					}
				})
			}
			time.Sleep(away)
			mu.Lock()
			during := slices.Clone(dials)
			mu.Unlock()
			run(t, n.listen("b:1"), nil)
			back.Store(time.Now().UnixNano())
			time.Sleep(time.Second)
			close(stop)
			wg.Wait()
			for i, d := range late {
				if d < 0 || d > 810*time.Millisecond {
					t.Errorf("away for %v: client %d was back after %v", away, i, d)
				}
			}
			if away != 2*time.Second {
				return
			}
			if len(during) > 115 {
				t.Errorf("%d dials in the 2 s of the restart", len(during))
			}
			// After the first ones, which the loss caused, they are spread.
			most := 0
			for i, at := range during[clients:] {
				in := 0
				for _, other := range during[clients+i:] {
					if other.Sub(at) < 10*time.Millisecond {
						in++
					}
				}
				most = max(most, in)
			}
			if most > clients*3/4 {
				t.Errorf("%d dials within 10 ms, %v after the loss", most, during[clients].Sub(gone))
			}
			t.Logf("%d dials, at most %d within 10 ms", len(during), most)
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
	c := client(t, remoting.Config{MaxBrokers: 2, AllowBroker: func(addr string) bool { return addr != "10.0.0.1:10911" }})
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
