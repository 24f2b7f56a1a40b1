package remoting_test

import (
	"context"
	"errors"
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

// Row 13: an answer after the deadline is dropped and counted, and the
// connection serves on.
func TestLateAnswer(t *testing.T) {
	held := make(chan wire.Command, 1)
	b := broker(t, func(s *session, c wire.Command) {
		switch string(c.Body) {
		case "slow":
			held <- c
		case "release":
			s.ok(<-held)
			s.ok(c)
		default:
			s.ok(c)
		}
	})
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error)
	go func() {
		_, err := p.Send(ctx, coretest.Message("slow"))
		done <- err
	}()
	eventually(t, "the slow request is there", func() bool { return len(held) == 1 })
	cancel()
	wantFailure(t, <-done, core.ClassCanceled, core.MaybeStored)
	if res, err := p.Send(bg, coretest.Message("release")); err != nil || res.QueueOffset != 1 {
		t.Fatalf("got %+v, %v: the late answer went to another request", res, err)
	}
	if s := c.Stats(); s.LateAnswers != 1 || s.UnknownAnswers != 0 || s.Dials != 1 || s.InFlight != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Row 14: answers with numbers of nobody, or of another connection, change
// nothing; after 16 the connection is closed.
func TestUnknownOpaque(t *testing.T) {
	held := make(chan wire.Command, 1)
	a := broker(t, func(s *session, c wire.Command) {
		if string(c.Body) == "hold" {
			held <- c
			return
		}
		s.ok(c)
	})
	strays := 15
	b := broker(t, func(s *session, c wire.Command) {
		if s.n == 1 {
			other := <-held
			held <- other
			for range strays {
				s.write(s.stored(other, 0))
			}
		}
		s.ok(c)
	})
	c := client(t, remoting.Config{})
	pa, pb := producer(t, c, a.addr()), producer(t, c, b.addr())
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error)
	go func() {
		_, err := pa.Send(ctx, coretest.Message("hold"))
		done <- err
	}()
	if res, err := pb.Send(bg, coretest.Message("x")); err != nil || res.QueueOffset != 15 {
		t.Fatalf("got %+v, %v", res, err)
	}
	select {
	case err := <-done:
		t.Fatalf("the other connection's call ended: %v", err)
	default:
	}
	if s := c.Stats(); s.UnknownAnswers != 15 || s.Lost != 0 {
		t.Fatalf("stats %+v", s)
	}
	// The sixteenth is one too many.
	_, err := pb.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassNetwork, core.MaybeStored)
	if !errors.Is(err, core.ErrConnectionLost) {
		t.Errorf("got %v", err)
	}
	if _, err := pb.Send(bg, coretest.Message("x")); err != nil {
		t.Errorf("on the next connection: %v", err)
	}
	cancel()
	<-done
}

// A stray now and then ended the connection after the sixteenth of its whole life, with all
// that was under way. A peer that sends more strays than answers is let go.
func TestStraysAmongAnswers(t *testing.T) {
	for _, tt := range []struct {
		each int // answers
		most uint64
	}{{10, 0}, {1, 0}, {0, 1}} {
		b := broker(t, func(s *session, c wire.Command) {
			if tt.each > 0 {
				s.ok(c)
			}
			if tt.each == 0 || s.f.offset.Load()%int64(tt.each) == 0 {
				s.answer(wire.Command{Opaque: c.Opaque + 1_000_000, Serialization: c.Serialization}, int(rocketmq.CodeSystemBusy), "")
			}
		})
		c := client(t, remoting.Config{})
		p := producer(t, c, b.addr())
		for range 200 {
			if tt.each > 0 {
				if _, err := p.Send(bg, coretest.Message("x")); err != nil {
					t.Fatal(err)
				}
				continue
			}
			_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(20*time.Millisecond))
			if errors.Is(err, core.ErrConnectionLost) {
				break
			}
		}
		if s := c.Stats(); s.Lost != tt.most || s.UnknownAnswers < 16 {
			t.Errorf("a stray for each %d answers: %d of %d connections lost, after %d strays", tt.each, s.Lost, s.Dials, s.UnknownAnswers)
		}
	}
}

// After one wrong length of a frame all that the peer said was swallowed for 10 s: bytes came,
// so the connection was not silent. It is out of use once a call's whole time has passed
// inside one frame.
func TestWrongLength(t *testing.T) {
	for name, goesOn := range map[string]bool{"and silence": false, "and answers": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newPipes()
				b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
					switch {
					case s.n > 1 || c.Code == wire.HeartBeat:
						s.ok(c)
					case string(c.Body) == "wrong":
						answer := s.stored(c, 0)
						s.write(append([]byte{0, 10, 0, 0}, answer[4:]...))
					case goesOn:
						s.ok(c)
					}
				})
				c := client(t, remoting.Config{Dial: n.dial})
				p := producer(t, c, b.addr())
				time.Sleep(time.Minute)
				const patience = 800 * time.Millisecond
				start := time.Now()
				var wg sync.WaitGroup
				var failed atomic.Int64
				send := func(body string) {
					wg.Go(func() {
						began := time.Now()
						if _, err := p.Send(bg, coretest.Message(body), core.SendTimeout(patience)); err != nil {
							failed.Add(1)
							if began.Sub(start) > patience+100*time.Millisecond { // and the pause after it
								t.Errorf("a send that began %v after the wrong length: %v", began.Sub(start), err)
							}
						}
					})
				}
				send("wrong")
				for range 50 {
					time.Sleep(100 * time.Millisecond)
					send("x")
				}
				wg.Wait()
				if n := failed.Load(); n < 8 || n > 9 {
					t.Errorf("%d sends failed", n)
				}
				synctest.Wait()
				if s := c.Stats(); s.Connections != 1 {
					t.Errorf("%d connections are open", s.Connections)
				}
			})
		})
	}
}

// A broker that sheds load answers one-way sends too. Each such answer is one that
// could come; more than there were sends are strays.
func TestAnswersToOnewaySends(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		switch {
		case c.IsOneway():
			s.answer(c, int(rocketmq.CodeSystemBusy), "[TIMEOUT_CLEAN_QUEUE]")
		case string(c.Body) == "strays":
			for range 15 {
				s.answer(wire.Command{Opaque: c.Opaque + 1000, Serialization: c.Serialization}, int(rocketmq.CodeSystemBusy), "")
			}
			s.ok(c)
		default:
			s.ok(c)
		}
	})
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	for range 100 {
		if err := p.SendOneway(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Send(bg, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.OnewayRefusals != 100 || s.UnknownAnswers != 0 || s.Lost != 0 || s.Dials != 1 {
		t.Errorf("stats %+v", s)
	}
	if _, err := p.Send(bg, coretest.Message("strays")); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.UnknownAnswers != 15 || s.Lost != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Row 15: the second answer to one request completes nothing.
func TestDuplicateAnswer(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		frame := s.stored(c, 0)
		s.write(append(frame, frame...))
	})
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	for i := range 5 {
		done := make(chan core.Result, 2)
		p.SendAsync(bg, coretest.Message("x"), func(r core.Result, err error) {
			if err != nil {
				t.Error(err)
			}
			done <- r
		})
		if r := <-done; r.QueueOffset != int64(i) {
			t.Errorf("send %d got the answer of %d", i, r.QueueOffset)
		}
		if err := p.Flush(bg); err != nil || len(done) > 0 {
			t.Errorf("done ran again (%v)", err)
		}
	}
	eventually(t, "the duplicates are counted", func() bool { return c.Stats().UnknownAnswers == 5 })
}

// Rows 2 and 16: no answer ever. The send ends at its deadline, its entry is
// freed, and the connection, which was silent, is replaced.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			if s.n > 1 {
				s.ok(c)
			}
		})
		c := client(t, remoting.Config{Dial: n.dial})
		p := producer(t, c, b.addr())
		start := time.Now()
		_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(3*time.Second))
		wantFailure(t, err, core.ClassTimeout, core.MaybeStored)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("took %v", d)
		}
		synctest.Wait()
		if s := c.Stats(); s.InFlight != 0 || s.Connections != 0 || s.QueuedBytes != 0 {
			t.Errorf("stats %+v", s)
		}
		time.Sleep(100 * time.Millisecond) // the silent connection counts as a failed dial
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Errorf("on a new connection: %v", err)
		}
	})
}

// A request that had little time says nothing about its connection.
func TestShortTimeoutKeepsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(*session, wire.Command) {})
		c := client(t, remoting.Config{Dial: n.dial})
		p := producer(t, c, b.addr())
		for limit, want := range map[time.Duration]int{99 * time.Millisecond: 1, 100 * time.Millisecond: 0} {
			_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(limit))
			wantFailure(t, err, core.ClassTimeout, core.MaybeStored)
			synctest.Wait()
			if s := c.Stats(); s.Connections != want {
				t.Errorf("after %v: %d connections", limit, s.Connections)
			}
			time.Sleep(time.Second) // the back-off is over
		}
	})
}

// A connection that is retired for one call's silence still serves the others.
func TestRetiredConnectionServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			if string(c.Body) == "slow" {
				s.f.wg.Go(func() {
					time.Sleep(1500 * time.Millisecond)
					s.ok(c)
				})
			}
		})
		c := client(t, remoting.Config{Dial: n.dial})
		p := producer(t, c, b.addr())
		done := make(chan error)
		go func() {
			_, err := p.Send(bg, coretest.Message("slow"))
			done <- err
		}()
		_, err := p.Send(bg, coretest.Message("never"), core.SendTimeout(time.Second))
		wantFailure(t, err, core.ClassTimeout, core.MaybeStored)
		if err := <-done; err != nil {
			t.Errorf("the slow send: %v", err)
		}
		synctest.Wait()
		if s := c.Stats(); s.Connections != 0 {
			t.Errorf("the retired connection is still open: %+v", s)
		}
	})
}

// A broker that stays hung does not pile up connections.
func TestHungBrokerDialsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(*session, wire.Command) {})
		c := client(t, remoting.Config{Dial: n.dial})
		p := producer(t, c, b.addr())
		var wg sync.WaitGroup
		most := 0
		for i := range 200 {
			wg.Go(func() { _, _ = p.Send(bg, coretest.Message("x"), core.SendTimeout(3*time.Second)) })
			if i%10 == 0 {
				most = max(most, c.Stats().Connections)
			}
			time.Sleep(50 * time.Millisecond)
		}
		wg.Wait()
		if most > 3 {
			t.Errorf("%d connections at a time", most)
		}
		if n := b.accepted.Load(); n > 15 {
			t.Errorf("%d connections in 10 s", n)
		}
	})
}

// Row 17: the connection is closed before the request, after it, in the middle of
// the answer; by FIN and by RST. Each fails its calls at once, not at their time.
func TestConnectionClosed(t *testing.T) {
	for name, end := range map[string]func(s *session, c wire.Command){
		"after the request":   func(s *session, _ wire.Command) { s.nc.Close() },
		"reset":               func(s *session, _ wire.Command) { s.reset() },
		"in the length":       func(s *session, c wire.Command) { s.write(s.stored(c, 0)[:3]); s.nc.Close() },
		"in the header":       func(s *session, c wire.Command) { s.write(s.stored(c, 0)[:20]); s.nc.Close() },
		"before the last bit": func(s *session, c wire.Command) { b := s.stored(c, 0); s.write(b[:len(b)-1]); s.nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := broker(t, end)
			c := client(t, remoting.Config{})
			p := producer(t, c, b.addr())
			_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(minute))
			wantFailure(t, err, core.ClassNetwork, core.MaybeStored)
			if !errors.Is(err, core.ErrConnectionLost) {
				t.Errorf("got %v", err)
			}
			if s := c.Stats(); s.InFlight != 0 || s.Lost != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// Row 17: a connection that was closed while nothing was under way costs nothing:
// the next send takes a new one.
func TestClosedWhileIdle(t *testing.T) {
	b := broker(t, nil)
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	for i := range 5 {
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Fatalf("send %d: %v", i, err)
		}
		b.mu.Lock()
		b.sessions[i].nc.Close()
		b.mu.Unlock()
		eventually(t, "the client sees the end", func() bool { return c.Stats().Connections == 0 })
	}
	if s := c.Stats(); s.Reconnects != 4 || s.Lost != 5 {
		t.Errorf("stats %+v", s)
	}
}

// Row 17: nothing of it was sent where there is nobody.
func TestNobodyThere(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	ln.Close()
	p := producer(t, client(t, remoting.Config{}), ln.Addr().String())
	_, err := p.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassNetwork, core.NotSent)
	if !errors.Is(err, core.ErrConnect) || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

// Rows 18 and 19: bytes that are no frames end the connection with an error that
// says what they look like.
func TestGarbage(t *testing.T) {
	for name, test := range map[string]struct {
		bytes string
		want  string
	}{
		"negative length":  {"\xff\xff\xff\xff\x00\x00\x00\x00", "negative length"},
		"huge length":      {"\x7f\xff\xff\xff\x00\x00\x00\x00", "beyond the limit"},
		"one beyond":       {"\x01\x00\x00\x00\x00\x00\x00\x00", "beyond the limit"},
		"short length":     {"\x00\x00\x00\x02\x00\x00", "smallest frame"},
		"header too long":  {"\x00\x00\x00\x10\x01\x00\x00\xff", "header longer"},
		"empty header":     {"\x00\x00\x00\x04\x01\x00\x00\x00", "binary header"},
		"no JSON":          {"\x00\x00\x00\x08\x00\x00\x00\x04abcd", "json header"},
		"form unknown":     {"\x00\x00\x00\x10\x07\x00\x00\x01", "serialization"},
		"an HTTP server":   {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP server"},
		"a TLS alert":      {"\x15\x03\x03\x00\x02\x02\x28", "TLS"},
		"an SSH server":    {"SSH-2.0-OpenSSH_9.2\r\n", "SSH server"},
		"random":           {"\x9a\x12\x88\x13\x55\x01\x02\x03", "negative length"},
		"a frame too many": {"", "length"},
	} {
		t.Run(name, func(t *testing.T) {
			b := broker(t, func(s *session, c wire.Command) {
				if test.bytes == "" {
					s.write(append(s.stored(c, 0), "\xff\xff\xff\xff"...))
					return
				}
				s.write([]byte(test.bytes))
			})
			c := client(t, remoting.Config{})
			p := producer(t, c, b.addr())
			_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(minute))
			if test.bytes == "" {
				// The good answer counts; what follows ends the connection.
				if err != nil {
					t.Fatal(err)
				}
				eventually(t, "the connection is closed", func() bool { return c.Stats().Connections == 0 })
				return
			}
			certainty, lost := core.MaybeStored, core.ErrConnectionLost
			if name == "a TLS alert" { // who speaks TLS alone has read no request
				certainty, lost = core.NotSent, core.ErrConnect
			}
			wantFailure(t, err, core.ClassNetwork, certainty)
			if !errors.Is(err, lost) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

// Row 19: a peer that speaks first, before any request.
func TestGarbageAtOnce(t *testing.T) {
	b := &fake{ln: listen(t, "127.0.0.1:0"), greet: func(s *session) { s.write([]byte("HTTP/1.1 408 Timeout\r\n\r\n")) }}
	b.start()
	t.Cleanup(b.stop)
	p := producer(t, client(t, remoting.Config{}), b.addr())
	_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(minute))
	se := failure(t, err)
	if se.Class != core.ClassNetwork {
		t.Errorf("got %v", err)
	}
}

// Brokers also ask: what is for consumers is passed over, what is not supported
// is refused, and a flood of it stays bounded.
func TestRequestsFromBroker(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) {
		for _, code := range []int{wire.NotifyConsumerIDsChanged, wire.CheckTransactionState} {
			s.command(&wire.Command{Code: code, Opaque: c.Opaque, Flag: wire.FlagOneway, Body: []byte("junk"), Serialization: wire.RocketMQ})
		}
		for i := range 1000 {
			s.command(&wire.Command{Code: wire.GetConsumerRunningInfo, Opaque: int32(i), Serialization: wire.JSON})
		}
		s.ok(c)
	})
	c := client(t, remoting.Config{})
	p := producer(t, c, b.addr())
	if _, err := p.Send(bg, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.Requests != 1002 || s.RefusedRequests != 1001 || s.UnknownAnswers != 0 {
		t.Errorf("stats %+v", s)
	}
	eventually(t, "refusals", func() bool { return len(b.requests(int(rocketmq.CodeRequestCodeNotSupported))) > 0 })
	for _, r := range b.requests(int(rocketmq.CodeRequestCodeNotSupported)) {
		if !r.IsResponse() || r.Serialization != wire.JSON || r.Remark == "" {
			t.Errorf("refusal %+v", r)
		}
	}
}
