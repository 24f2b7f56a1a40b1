package remoting_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// single is a client with one caller at a time, who reads its own answers.
type single struct {
	t *testing.T
	c *remoting.Client
	p *core.Producer
	b *fake
}

// newSingle has a broker that does what a body says, and otherwise acknowledges.
func newSingle(t *testing.T, script map[string]func(s *session, c wire.Command)) *single {
	t.Helper()
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("with one processor the read side is never offered")
	}
	b := broker(t, func(s *session, c wire.Command) {
		if do := script[string(c.Body)]; do != nil {
			do(s, c)
		} else {
			s.ok(c)
		}
	})
	c := client(t, remoting.Config{})
	l := &single{t: t, c: c, p: producer(t, c, b.addr()), b: b}
	l.offered()
	return l
}

// offered sends until the read side is offered.
func (l *single) offered() {
	l.t.Helper()
	for range 100_000 {
		l.quick()
		if l.c.ReadOffered() == 1 {
			return
		}
	}
	l.t.Fatal("the read side was never offered")
}

func (l *single) quick() {
	l.t.Helper()
	if _, err := l.p.Send(bg, coretest.Message("quick")); err != nil {
		l.t.Fatal(err)
	}
}

// An idle connection has its reader again, who sees it end.
func TestIdleConnectionIsRead(t *testing.T) {
	l := newSingle(t, nil)
	eventually(t, "the read side was taken back", func() bool { return l.c.ReadOffered() == 0 })
	l.b.mu.Lock()
	l.b.sessions[0].nc.Close()
	l.b.mu.Unlock()
	eventually(t, "the end was seen", func() bool { return l.c.Stats().Connections == 0 })
	l.quick()
	if n := l.b.accepted.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// A caller that waits for its own answer ends with its context and with its time,
// and is in nobody's way afterwards.
func TestReadingCallerGivesUp(t *testing.T) {
	came := make(chan struct{}, 1)
	l := newSingle(t, map[string]func(*session, wire.Command){"never": func(*session, wire.Command) { came <- struct{}{} }})
	ctx, cancel := context.WithCancel(bg)
	got := make(chan error, 1)
	go func() {
		_, err := l.p.Send(ctx, coretest.Message("never"))
		got <- err
	}()
	<-came
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) || core.CertaintyOf(err) != core.MaybeStored {
		t.Errorf("cancelled: %v", err)
	}
	l.offered()
	if _, err := l.p.Send(bg, coretest.Message("never"), core.SendTimeout(100*time.Millisecond)); !errors.Is(err, core.ErrTimeout) {
		t.Errorf("timed out: %v", err)
	}
	l.quick()
}

// Another caller's answer does not wait for that of the one who reads.
func TestReadingCallerIsJoined(t *testing.T) {
	came, over := make(chan struct{}), make(chan struct{})
	l := newSingle(t, map[string]func(*session, wire.Command){"slow": func(s *session, c wire.Command) {
		close(came)
		s.f.wg.Go(func() {
			<-over
			s.ok(c)
		})
	}})
	slow := make(chan error, 1)
	go func() {
		_, err := l.p.Send(bg, coretest.Message("slow"))
		slow <- err
	}()
	<-came
	for range 100 {
		l.quick()
	}
	select {
	case err := <-slow:
		t.Errorf("too early: %v", err)
	default:
	}
	close(over)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

// What a caller that leads reads is not always its answer, or whole.
func TestReadingCallerReads(t *testing.T) {
	for name, tt := range map[string]struct {
		do func(s *session, c wire.Command)
		ok bool
	}{
		"late": {func(s *session, c wire.Command) {
			s.f.wg.Go(func() {
				time.Sleep(20 * time.Millisecond)
				s.ok(c)
			})
		}, true},
		"in pieces": {func(s *session, c wire.Command) {
			frame := s.stored(c, 0)
			s.write(frame[:10])
			s.f.wg.Go(func() {
				time.Sleep(20 * time.Millisecond)
				s.write(frame[10:])
			})
		}, true},
		"after a request": {func(s *session, c wire.Command) {
			b, err := wire.AppendCommand(nil, &wire.Command{Code: wire.NotifyConsumerIDsChanged, Flag: wire.FlagOneway})
			if err != nil {
				panic(err)
			}
			s.write(append(b, s.stored(c, 0)...))
		}, true},
		"no frame":    {func(s *session, _ wire.Command) { s.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, false},
		"end":         {func(s *session, _ wire.Command) { s.nc.Close() }, false},
		"half, end":   {func(s *session, c wire.Command) { s.write(s.stored(c, 0)[:20]); s.nc.Close() }, false},
		"answer, end": {func(s *session, c wire.Command) { s.ok(c); s.nc.Close() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newSingle(t, map[string]func(*session, wire.Command){"special": tt.do})
			_, err := l.p.Send(bg, coretest.Message("special"), core.SendRetry(coretest.Retry(1)))
			if ok := err == nil; ok != tt.ok || !ok && core.CertaintyOf(err) != core.MaybeStored {
				t.Errorf("got %v", err)
			}
			// Also where the peer has hung up and nobody has looked since.
			time.Sleep(5 * time.Millisecond)
			l.offered()
		})
	}
}
