package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Row 1: one of two brokers is killed under load and comes back. Nothing that was
// acknowledged is lost, errors tell the truth, and a send that meets the dead
// broker is at another one within 100 ms.
func TestFault01BrokerKilledMidLoad(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		var load async
		for i := range 400 {
			switch i {
			case 100:
				w.Broker("broker-b").Kill()
			case 300:
				if err := w.Broker("broker-b").Start(bg); err != nil {
					t.Fatal(err)
				}
			}
			load.send(bg, p.Producer, msg(fmt.Sprint(i)))
			time.Sleep(10 * time.Millisecond)
		}
		stored := w.byID("T")
		for _, o := range load.wait() {
			if o.err != nil {
				t.Errorf("failed with a healthy broker left: %v", o.err)
				continue
			}
			wantAtMost(t, "a send around a dead broker", o.after, 100*time.Millisecond)
			if stored[o.res.MessageID.String()] == 0 {
				t.Errorf("acknowledged and not stored: %v", o.res.MessageID)
			}
		}
		time.Sleep(10 * time.Second)
		for range 16 {
			p.ok(t, "later")
		}
		if nodes := w.nodes(); !slices.Contains(nodes[len(nodes)-16:], "broker-b") {
			t.Errorf("broker-b gets nothing after its return: %v", nodes[len(nodes)-16:])
		}
	})
}

// byID counts the stored messages of a topic by unique id.
func (w *world) byID(topic string) map[string]int {
	out := map[string]int{}
	for _, m := range w.Stored(topic) {
		out[m.UniqueID()]++
	}
	return out
}

// Row 2: a broker hangs. With another one no send fails: the first that meets the
// hung one is capped and opens its breaker, the next ones avoid it. Without
// another one the message may be stored, and the deadline says so.
func TestFault02BrokerHung(t *testing.T) {
	sub(t, "one of two", func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		w.Broker("broker-b").Pause()
		slow := 0
		for i := range 100 {
			d := took(func() { p.ok(t, fmt.Sprint(i)) })
			if d > 0 {
				slow++
				wantTook(t, "the send that met the hung broker", d, core.DefaultAttemptTimeout)
			}
		}
		if slow != 1 {
			t.Errorf("%d sends met the hung broker, want 1", slow)
		}
		want(t, "breaker", p.breaker("broker-b"), breaker.Open)
		w.Broker("broker-b").Resume()
		time.Sleep(2 * breaker.DefaultOpenFor)
		for range 16 {
			p.ok(t, "healed")
		}
		want(t, "breaker after the return", p.breaker("broker-b"), breaker.Closed)
	})
	sub(t, "the only one", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		p.warm(t, w)
		w.Broker("broker-a").Pause()
		d := took(func() {
			_, err := p.Send(bg, msg("x"))
			se := wantFailure(t, err, core.ClassTimeout, core.MaybeStored)
			want(t, "attempts", len(se.Attempts), 1)
		})
		wantTook(t, "the first send", d, core.DefaultTimeout)
		// Later ones end the same way or, as a peer that never says anything is
		// dialed ever more rarely, at once and unsent.
		maybe := 1
		for range 20 {
			var err error
			d := took(func() { _, err = p.Send(bg, msg("x")) })
			if core.CertaintyOf(err) == core.NotSent {
				wantFailure(t, err, core.ClassNetwork, core.NotSent)
				wantAtMost(t, "an unsent send", d, 100*time.Millisecond)
				time.Sleep(100 * time.Millisecond)
				continue
			}
			maybe++
			wantFailure(t, err, core.ClassTimeout, core.MaybeStored)
			wantTook(t, "a send", d, core.DefaultTimeout)
		}
		w.Broker("broker-a").Resume()
		wantAtMost(t, "the way back", p.recovery(t), time.Second)
		// The errors told the truth: what had been sent first was stored in the end,
		// and nothing was that was not sent.
		if n := w.StoredCount("T"); n < 4+1+1 || n > 4+maybe+1 {
			t.Errorf("%d messages are stored, want at most %d", n, 4+maybe+1)
		}
	})
}

// recovery sends every 10 ms until that succeeds and returns how long it took.
func (s *sender) recovery(t testing.TB) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		_, err := s.Send(bg, msg("recovered?"))
		d := time.Since(began)
		if err == nil {
			return d
		}
		if d > 30*time.Second {
			t.Fatalf("no send succeeds: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Row 3: all brokers are down, then one comes back. Sends fail at once and say
// that nothing was sent; within a second after the port answers they succeed.
func TestFault03AllBrokersDown(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		w.Broker("broker-a").Kill()
		w.Broker("broker-b").Kill()
		for range 30 {
			d := took(func() {
				_, err := p.Send(bg, msg("x"))
				wantFailure(t, err, core.ClassNetwork, core.NotSent)
				if !errors.Is(err, core.ErrConnect) {
					t.Errorf("got %v", err)
				}
			})
			wantAtMost(t, "a send to nobody", d, 100*time.Millisecond)
			time.Sleep(100 * time.Millisecond)
		}
		want(t, "breaker a", p.breaker("broker-a"), breaker.Open)
		want(t, "breaker b", p.breaker("broker-b"), breaker.Open)
		if err := w.Broker("broker-b").Start(bg); err != nil {
			t.Fatal(err)
		}
		wantAtMost(t, "the way back", p.recovery(t), time.Second)
	})
}

// Row 9: the write permission is taken from the topic or from the broker. A broker
// that may not be written refuses; a topic's permission it leaves to the route, so it
// stores what clients with an older route still send. New clients find no writable
// queue in both cases.
func TestFault09WritePermissionTaken(t *testing.T) {
	for name, test := range map[string]struct {
		take    func(w *world)
		refused bool
	}{
		"from the broker": {func(w *world) { w.Broker("broker-a").SetPerm(rocketmq.PermRead) }, true},
		"from the topic": {func(w *world) {
			if err := w.PutTopic(embedded.Topic{Name: "T", ReadQueues: 4, WriteQueues: 4, Perm: rocketmq.PermRead}); err != nil {
				panic(err)
			}
		}, false},
	} {
		sub(t, name, func(t *testing.T) {
			w := newWorld(t, 1)
			p := w.start(t)
			p.warm(t, w)
			test.take(w)
			before := w.count()
			_, err := p.Send(bg, msg("x"))
			if test.refused {
				wantFailure(t, err, core.ClassForbidden, core.NotStored)
			} else if err != nil {
				t.Error(err)
			}
			want(t, "requests", w.count()-before, 1)
			// A new producer finds no route, and the reason.
			q := w.startWith(t, liftoff.Config{Group: "other"})
			_, err = q.Send(bg, msg("x"))
			wantFailure(t, err, core.ClassNoRoute, core.NotSent)
			wantText(t, err, "no writable queue")
			want(t, "breaker", p.breaker("broker-a"), breaker.Closed)
		})
	}
}

// Row 11: the cluster answers SYSTEM_BUSY to everything. The budget keeps the
// attempts at a tenth above the messages, once its first grant is used up; waits
// before retries have jitter; and it ends with the flood.
func TestFault11FloodOfSystemBusy(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		lift := w.on("", embedded.Reply(rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy"))
		send := func(n int) (waits map[time.Duration]int) {
			waits = map[time.Duration]int{}
			for i := range n {
				d := took(func() {
					_, err := p.Send(bg, msg(fmt.Sprint(i)))
					wantFailure(t, err, core.ClassBusy, core.NotStored)
				})
				waits[d]++
			}
			return waits
		}
		waits := send(1000)
		if len(waits) < 20 {
			t.Errorf("the waits before retries are not spread: %v", waits)
		}
		before := w.count()
		send(1000)
		attempts := w.count() - before
		t.Logf("1000 messages made %d attempts", attempts)
		if attempts > 1100 {
			t.Errorf("1000 messages made %d attempts, more than a tenth above", attempts)
		}
		want(t, "stored", w.StoredCount("T"), 8)

		// Half of the requests are refused: still a tenth.
		lift()
		var n atomic.Int64
		w.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
			if n.Add(1)%2 == 0 {
				return embedded.Pass()
			}
			return embedded.Reply(rocketmq.CodeSystemBusy, "[OVERLOAD]")
		})
		time.Sleep(10 * time.Second)
		for range 5000 { // uses up what is granted while brokers work
			_, _ = p.Send(bg, msg("half"))
		}
		before = w.count()
		for i := range 1000 {
			_, _ = p.Send(bg, msg(fmt.Sprint(i)))
		}
		if attempts := w.count() - before; attempts > 1110 {
			t.Errorf("half refused: 1000 messages made %d attempts", attempts)
		}
	})
}

// Row 25: GO_AWAY is invisible: one transparent retry on a new connection. A
// broker that keeps saying it is unavailable.
func TestFault25GoAway(t *testing.T) {
	sub(t, "once", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		p.warm(t, w)
		before := w.count()
		w.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
			return embedded.Reply(rocketmq.CodeGoAway, "please go away")
		})
		res := p.ok(t, "x")
		want(t, "attempts", res.Attempts, 1)
		want(t, "duplicate possible", res.MaybeDuplicate, false)
		want(t, "requests", w.count()-before, 2)
		want(t, "go-aways", p.stats().GoAways, 1)
		reqs := w.Requests(wire.SendMessageV2)
		if a, b := reqs[len(reqs)-2], reqs[len(reqs)-1]; a.Conn == b.Conn {
			t.Error("the retry went on the connection that was to be left")
		}
		want(t, "connections", w.Broker("broker-a").Connections(), 1)
	})
	sub(t, "always", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t, liftoff.WithRetry(once()))
		p.warm(t, w)
		w.on("", embedded.Reply(rocketmq.CodeGoAway, "please go away"))
		before := w.count()
		_, err := p.Send(bg, msg("x"))
		wantFailure(t, err, core.ClassUnavailable, core.NotStored)
		want(t, "requests", w.count()-before, 2)
	})
}

// Row 28: Shutdown with sends in flight and a hung broker returns by its context;
// every done runs once, no goroutine is left (the bubble would not end), and
// later sends are told that the producer is closed.
func TestFault28ShutdownWithSendsInFlight(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const n = 5000
		w := newWorld(t, 2)
		p := w.make(t, liftoff.Config{Timeout: time.Minute, AttemptTimeout: time.Minute, MaxInFlight: n})
		if err := p.Start(bg); err != nil {
			t.Fatal(err)
		}
		p.warm(t, w)
		w.Broker("broker-a").Pause()
		w.Broker("broker-b").Pause()
		var load async
		for i := range n {
			load.send(bg, p.Producer, msg(fmt.Sprint(i)))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(bg, 2*time.Second)
		defer cancel()
		var err error
		d := took(func() { err = p.Shutdown(ctx) })
		wantAtMost(t, "shutdown", d, 2050*time.Millisecond)
		var left *core.ShutdownError
		if !errors.As(err, &left) || left.Undelivered != n {
			t.Errorf("got %v, want a report of %d sends", err, n)
		}
		want(t, "callbacks", load.ended(), n)
		certain := map[core.Certainty]int{}
		for _, o := range load.wait() {
			if core.ClassOf(o.err) != core.ClassClosed || !errors.Is(o.err, core.ErrAborted) {
				t.Errorf("got %v", o.err)
			}
			certain[core.CertaintyOf(o.err)]++
			wantTook(t, "an aborted send", o.after, 2*time.Second)
		}
		// No answer came that would have let more of them be worked on.
		want(t, "sends that may be stored", certain[core.MaybeStored], 256)
		want(t, "sends that are not", certain[core.NotSent], n-256)
		_, err = p.Send(bg, msg("late"))
		if se := wantFailure(t, err, core.ClassClosed, core.NotSent); !errors.Is(se, core.ErrClosed) {
			t.Errorf("got %v", se)
		}
		load.send(bg, p.Producer, msg("late"))
		if o := load.wait(); !errors.Is(o[n].err, core.ErrClosed) {
			t.Errorf("got %v", o[n].err)
		}
		if err := p.TrySendAsync(bg, msg("late"), func(core.Result, error) { t.Error("done of a refused send") }); !errors.Is(err, core.ErrClosed) {
			t.Errorf("got %v", err)
		}
		want(t, "connections", p.stats().Connections, 0)
	})
}
