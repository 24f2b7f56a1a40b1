package remoting_test

import (
	"context"
	"fmt"
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

// busy is a connection on which answers have come quickly and many are due now.
type busy struct {
	p *core.Producer
	c *remoting.Client
	b *fake

	mu   sync.Mutex
	came map[string]time.Duration // when each body reached the broker
	due  chan error
}

const dueNow = 64

// arrived says when a body reached the broker, and how many have in all.
func (s *busy) arrived(body string) (at time.Duration, ok bool, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok = s.came[body]
	return at, ok, len(s.came)
}

func newBusy(t *testing.T) *busy {
	s := &busy{came: map[string]time.Duration{}, due: make(chan error, dueNow)}
	start := time.Now()
	n := newPipes()
	s.b = run(t, n.listen("b:1"), func(ss *session, c wire.Command) {
		s.mu.Lock()
		s.came[string(c.Body)] = time.Since(start)
		s.mu.Unlock()
		if strings.HasPrefix(string(c.Body), "quick") {
			ss.ok(c)
		}
	})
	s.c = client(t, remoting.Config{Dial: n.dial})
	s.p = producer(t, s.c, s.b.addr())
	for i := range 200 {
		if _, err := s.p.Send(bg, coretest.Message(fmt.Sprintf("quick %d", i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range dueNow {
		go func() {
			_, err := s.p.Send(bg, coretest.Message(fmt.Sprintf("due %d", i)), core.SendTimeout(minute))
			s.due <- err
		}()
	}
	time.Sleep(time.Second)
	if _, _, n := s.arrived(""); n != 200+dueNow {
		t.Fatalf("%d requests reached the broker", n)
	}
	return s
}

// A frame that is coalesced does not wait for long when no others come.
func TestCoalescingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBusy(t)
		go func() { _, _ = s.p.Send(bg, coretest.Message("late"), core.SendTimeout(minute)) }()
		synctest.Wait()
		if _, ok, _ := s.arrived("late"); ok {
			t.Error("the frame did not wait")
		}
		time.Sleep(time.Second)
		if at, _, _ := s.arrived("late"); at != time.Second+time.Millisecond {
			t.Errorf("it came after %v", at)
		}
	})
}

// Enough frames go at once.
func TestEnoughFramesAreWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBusy(t)
		for i := range dueNow / 4 {
			go func() { _, _ = s.p.Send(bg, coretest.Message(fmt.Sprint("more ", i)), core.SendTimeout(minute)) }()
		}
		synctest.Wait()
		before := s.c.Stats().Writes
		if _, _, n := s.arrived(""); n <= 200+dueNow {
			t.Errorf("%d requests reached the broker at once", n)
		}
		time.Sleep(time.Second)
		if _, _, n := s.arrived(""); n != 200+dueNow+dueNow/4 {
			t.Errorf("%d requests reached the broker", n)
		}
		if s.c.Stats().Writes > before+1 {
			t.Errorf("what was left took %d writes", s.c.Stats().Writes-before)
		}
	})
}

// A frame that waits can be taken back, and then nothing of it was sent.
func TestCancelWhileCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBusy(t)
		ctx, cancel := context.WithCancel(bg)
		got := make(chan error)
		go func() {
			_, err := s.p.Send(ctx, coretest.Message("gone"), core.SendTimeout(minute))
			got <- err
		}()
		synctest.Wait()
		cancel()
		wantFailure(t, <-got, core.ClassCanceled, core.NotSent)
		time.Sleep(time.Second)
		if _, ok, _ := s.arrived("gone"); ok {
			t.Error("it was sent all the same")
		}
		if st := s.c.Stats(); st.QueuedBytes != 0 || st.InFlight != dueNow {
			t.Errorf("left behind: %+v", st)
		}
	})
}

// A connection that ends with frames that wait tells the truth about each.
func TestConnectionEndsWhileCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBusy(t)
		got := make(chan error)
		go func() {
			_, err := s.p.Send(bg, coretest.Message("held"), core.SendTimeout(minute))
			got <- err
		}()
		synctest.Wait()
		s.b.sessions[0].nc.Close()
		wantFailure(t, <-got, core.ClassNetwork, core.NotSent)
		for range dueNow {
			wantFailure(t, <-s.due, core.ClassNetwork, core.MaybeStored)
		}
	})
}
