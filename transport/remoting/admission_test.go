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

// Sends that find no room wait for admission: all go out, one that is cancelled gives
// its place up, and no byte of room is lost by it.
func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		open := make(chan struct{})
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			<-open // a pipe takes no byte that is not read
			s.ok(c)
		})
		const limit = 4 << 10
		c := client(t, remoting.Config{Dial: n.dial, MaxQueuedBytes: limit, WriteTimeout: 10 * minute})
		p := producer(t, c, b.addr())
		body := func(i int) string { return fmt.Sprintf("%02d", i) + strings.Repeat("x", 1<<10) }

		const sends = 40
		outcomes := make([]error, sends)
		var wg sync.WaitGroup
		cancels := make([]context.CancelFunc, sends)
		for i := range sends {
			ctx, cancel := context.WithCancel(bg)
			cancels[i] = cancel
			wg.Go(func() { _, outcomes[i] = p.Send(ctx, coretest.Message(body(i)), core.SendTimeout(minute)) })
			synctest.Wait()
		}
		if s := c.Stats(); s.QueuedBytes > 2*limit || s.QueuedBytes < limit {
			t.Errorf("%d bytes are queued", s.QueuedBytes)
		}
		left := map[int]bool{20: true, 21: true, 39: true, 8: true}
		for i := range left {
			cancels[i]()
		}
		synctest.Wait()
		for i := range left {
			wantFailure(t, outcomes[i], core.ClassCanceled, core.NotSent)
		}
		close(open)
		wg.Wait()
		for i, err := range outcomes {
			if err != nil && !left[i] {
				t.Errorf("message %d: %v", i, err)
			}
		}
		requests := b.requests(wire.SendMessageV2)
		if len(requests) != sends-len(left) {
			t.Fatalf("%d requests came", len(requests))
		}
		// Each once. Those that are let in close to each other may change places.
		came := map[string]bool{}
		for _, r := range requests {
			came[string(r.Body)] = true
		}
		for i := range sends {
			if came[body(i)] == left[i] {
				t.Errorf("message %d came: %v, it was cancelled: %v", i, came[body(i)], left[i])
			}
		}
		synctest.Wait() // the last answer may have come before its write returned
		if s := c.Stats(); s.QueuedBytes != 0 || s.InFlight != 0 {
			t.Errorf("left behind: %+v", s)
		}
		for _, cancel := range cancels {
			cancel()
		}
	})
}

// When the connection ends, no send waits for admission to it any longer: each goes on to
// another.
func TestAdmissionEndsWithConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := run(t, n.listen("b:1"), func(s *session, c wire.Command) {
			if s.n == 1 && string(c.Body) != "first" {
				time.Sleep(time.Second)
				s.nc.Close()
				return
			}
			s.ok(c)
		})
		c := client(t, remoting.Config{Dial: n.dial, MaxQueuedBytes: 1 << 10, WriteTimeout: 10 * minute})
		p := producer(t, c, b.addr())
		if _, err := p.Send(bg, coretest.Message("first")); err != nil {
			t.Fatal(err)
		}
		outcomes := make(chan error, 20)
		for range 20 {
			go func() {
				_, err := p.Send(bg, coretest.Message(strings.Repeat("x", 1<<10)), core.SendTimeout(minute))
				outcomes <- err
			}()
		}
		stored := 0
		for range 20 {
			if <-outcomes == nil {
				stored++
			}
		}
		// One was being written, one or two were queued; the others had not begun.
		if stored < 17 || len(b.requests(wire.SendMessageV2)) > 1+stored+3 {
			t.Errorf("%d stored, %d requests came", stored, len(b.requests(wire.SendMessageV2)))
		}
	})
}
