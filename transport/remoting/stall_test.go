package remoting_test

import (
	"context"
	"errors"
	"io"
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

// Row 20: an answer that comes byte by byte. Other calls' frames go out, and
// after the frame limit the connection is closed.
func TestSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			if string(c.Body) != "slow" {
				return
			}
			s.f.wg.Go(func() {
				for _, x := range s.stored(c, 0) {
					s.write([]byte{x})
					time.Sleep(time.Second)
				}
			})
		})
		c := client(t, remoting.Config{Dial: n.dial})
		p := producer(t, c, b.addr())
		start := time.Now()
		_, err := p.Send(bg, coretest.Message("slow"), core.SendTimeout(minute))
		wantFailure(t, err, core.ClassNetwork, core.MaybeStored)
		if d := time.Since(start); d != remoting.DefaultFrameTimeout || !strings.Contains(err.Error(), "incomplete for 10s") {
			t.Errorf("after %v: %v", d, err)
		}
	})
}

// A stream whose every read ends in the middle of a frame is no slow one.
func TestSplitStreamIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		var tail []byte
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			frame := s.stored(c, 0)
			s.write(append(tail, frame[:10]...))
			time.Sleep(4 * time.Second)
			tail = frame[10:]
			if string(c.Body) == "last" {
				s.write(tail)
			}
		})
		c := client(t, remoting.Config{Dial: n.dial, WriteTimeout: minute})
		p := producer(t, c, b.addr())
		var wg sync.WaitGroup
		for i := range 10 {
			body := "x"
			if i == 9 {
				body = "last"
			}
			wg.Go(func() {
				if _, err := p.Send(bg, coretest.Message(body), core.SendTimeout(10*minute)); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
	})
}

// Row 21: a peer that stops reading. Sends end at their time; those that never
// got out of the queue are certainly not sent; memory is bounded; other brokers
// go on.
func TestPeerStopsReading(t *testing.T) {
	deaf := &fake{ln: listen(t, "127.0.0.1:0"), silent: true}
	deaf.start()
	t.Cleanup(deaf.stop)
	good := broker(t, nil)
	c := client(t, remoting.Config{MaxQueuedBytes: 1 << 20, WriteTimeout: minute})
	p, q := producer(t, c, deaf.addr()), producer(t, c, good.addr())

	body := strings.Repeat("x", 256<<10)
	const calls = 200
	errs := make(chan error, calls)
	for range calls {
		go func() {
			_, err := p.Send(bg, coretest.Message(body), core.SendTimeout(2*time.Second))
			errs <- err
		}()
	}
	for range 20 {
		if _, err := q.Send(bg, coretest.Message("x"), core.SendTimeout(minute)); err != nil {
			t.Errorf("the other broker: %v", err)
		}
		if s := c.Stats(); s.QueuedBytes > 1<<20+512<<10 {
			t.Errorf("%d bytes are queued", s.QueuedBytes)
		}
	}
	notSent, maybe := 0, 0
	for range calls {
		switch se := failure(t, <-errs); se.Certainty {
		case core.NotSent:
			notSent++
		case core.MaybeStored:
			maybe++
		default:
			t.Errorf("got %v", se)
		}
	}
	if notSent == 0 || maybe == 0 {
		t.Errorf("%d not sent, %d maybe stored: want some of each", notSent, maybe)
	}
	// Sends that waited for room may have dialed anew just before their end, too
	// late to learn anything about that second connection.
	eventually(t, "the deaf peer's connection is closed", func() bool {
		s := c.Stats()
		return s.Connections <= 2 && s.InFlight == 0 && s.QueuedBytes == 0
	})
	// What the kernel took for the peer is an upper bound of what may be stored.
	deaf.mu.Lock()
	nc := deaf.sessions[0].nc
	deaf.mu.Unlock()
	_ = nc.SetReadDeadline(time.Now().Add(minute))
	got, _ := io.Copy(io.Discard, nc)
	if got > int64(maybe)*(256<<10+1024) {
		t.Errorf("%d bytes arrived of %d sends that may be stored", got, maybe)
	}
}

// A send that is withdrawn while its connection takes no bytes was not sent.
func TestCancelInQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := &fake{ln: n.listen("b:1"), silent: true} // a pipe takes no byte that is not read
		b.start()
		t.Cleanup(b.stop)
		c := client(t, remoting.Config{Dial: n.dial, WriteTimeout: 10 * minute})
		p := producer(t, c, b.addr())
		first := make(chan error)
		go func() {
			_, err := p.Send(bg, coretest.Message("first"), core.SendTimeout(minute))
			first <- err
		}()
		synctest.Wait() // the writer has taken the first and hangs in it
		ctx, cancel := context.WithCancelCause(bg)
		second := make(chan error)
		go func() {
			_, err := p.Send(ctx, coretest.Message("second"), core.SendTimeout(minute))
			second <- err
		}()
		synctest.Wait()
		why := errors.New("why")
		cancel(why)
		err := <-second
		wantFailure(t, err, core.ClassCanceled, core.NotSent)
		if !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		_, err = p.Send(bg, coretest.Message("third"), core.SendTimeout(time.Second))
		wantFailure(t, err, core.ClassTimeout, core.NotSent)
		err = <-first
		// The third's silence retired the connection; the first ends at its time.
		wantFailure(t, err, core.ClassTimeout, core.MaybeStored)
	})
}

// The writer gives up a peer that takes nothing for its own limit.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := &fake{ln: n.listen("b:1"), silent: true}
		b.start()
		t.Cleanup(b.stop)
		p := producer(t, client(t, remoting.Config{Dial: n.dial}), b.addr())
		start := time.Now()
		_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(minute))
		// A pipe's write says how much was read: nothing.
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		if d := time.Since(start); d != remoting.DefaultWriteTimeout {
			t.Errorf("after %v: %v", d, err)
		}
	})
}

// A peer that is slow but takes bytes all the time is not given up.
func TestSlowPeerIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		ln := n.listen("b:1")
		var wg sync.WaitGroup
		wg.Go(func() {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			for b := make([]byte, 16<<10); err == nil; time.Sleep(20 * time.Millisecond) { // 800 KB/s
				_, err = nc.Read(b)
			}
		})
		t.Cleanup(wg.Wait)
		t.Cleanup(func() { ln.Close() })
		c := client(t, remoting.Config{Dial: n.dial, WriteTimeout: 500 * time.Millisecond})
		p := producer(t, c, "b:1")
		if err := p.SendOneway(bg, coretest.Message(strings.Repeat("x", 4<<20)), core.SendTimeout(minute)); err != nil {
			t.Error(err)
		}
	})
}

// polite is a connection whose Close takes its time to say good-bye, as that of TLS
// does, unless the connection below is closed already.
type polite struct {
	net.Conn
	below  net.Conn
	closed atomic.Bool
}

// under is the connection below.
type under struct {
	net.Conn
	above *polite
}

func (u under) Close() error {
	u.above.closed.Store(true)
	return u.Conn.Close()
}

func (p *polite) NetConn() net.Conn { return under{p.below, p} }

func (p *polite) Close() error {
	if !p.closed.Load() {
		time.Sleep(5 * time.Second)
	}
	return p.below.Close()
}

// slow is polite without a way to what is below.
type slow struct{ *polite }

func (slow) NetConn() {}

// Nobody waits for the good-byes of a connection: neither a call on it whose time
// ends nor Shutdown.
func TestSlowCloseHoldsNobodyUp(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"TLS":           func(nc net.Conn) net.Conn { return &polite{Conn: nc, below: nc} },
		"another layer": func(nc net.Conn) net.Conn { return slow{&polite{Conn: nc, below: nc}} },
	} {
		for who, limit := range map[string]time.Duration{"the writer": 500 * time.Millisecond, "a caller": minute} {
			t.Run(name+" closed by "+who, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newPipes()
					b := &fake{ln: n.listen("b:1"), silent: true}
					b.start()
					t.Cleanup(b.stop)
					c := client(t, remoting.Config{WriteTimeout: limit, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
						nc, err := n.dial(ctx, network, addr)
						if err != nil {
							return nil, err
						}
						return wrap(nc), nil
					}})
					p := producer(t, c, b.addr())
					start := time.Now()
					var wg sync.WaitGroup
					for range 8 {
						wg.Go(func() {
							if _, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(800*time.Millisecond)); err == nil {
								t.Error("no error")
							}
						})
					}
					wg.Wait()
					if d := time.Since(start); d > 800*time.Millisecond {
						t.Errorf("calls with 800 ms ended after %v", d)
					}
					time.Sleep(10 * time.Second) // the back-off is over
					go func() { _ = p.SendOneway(bg, coretest.Message("x"), core.SendTimeout(minute)) }()
					synctest.Wait()
					ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
					defer cancel()
					start = time.Now()
					_ = c.Shutdown(ctx)
					if d := time.Since(start); d > 100*time.Millisecond {
						t.Errorf("a shutdown with 100 ms ended after %v", d)
					}
					time.Sleep(10 * time.Second) // for the goroutines
				})
			})
		}
	}
}
