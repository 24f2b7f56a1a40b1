package remoting_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
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
		_, err := p.Send(bg, coretest.Message("slow"), core.WithTimeout(minute))
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
				if _, err := p.Send(bg, coretest.Message(body), core.WithTimeout(10*minute)); err != nil {
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
			_, err := p.Send(bg, coretest.Message(body), core.WithTimeout(2*time.Second))
			errs <- err
		}()
	}
	for range 20 {
		if _, err := q.Send(bg, coretest.Message("x"), core.WithTimeout(minute)); err != nil {
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
			_, err := p.Send(bg, coretest.Message("first"), core.WithTimeout(minute))
			first <- err
		}()
		synctest.Wait() // the writer has taken the first and hangs in it
		ctx, cancel := context.WithCancelCause(bg)
		second := make(chan error)
		go func() {
			_, err := p.Send(ctx, coretest.Message("second"), core.WithTimeout(minute))
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
		_, err = p.Send(bg, coretest.Message("third"), core.WithTimeout(time.Second))
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
		_, err := p.Send(bg, coretest.Message("x"), core.WithTimeout(minute))
		// A pipe's write says how much was read: nothing.
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		if d := time.Since(start); d != remoting.DefaultWriteTimeout {
			t.Errorf("after %v: %v", d, err)
		}
	})
}
