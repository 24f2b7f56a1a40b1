package faulttest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Row 23: a message that no broker takes is refused before the socket, so that
// others on the connection do not suffer; one of just the right size passes.
func TestFault23OversizedMessage(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t, liftoff.WithoutCompression())
		for _, size := range []int{4<<20 + 1, 16 << 20, 20 << 20} {
			_, err := p.Send(bg, &core.Message{Topic: "T", Body: make([]byte, size)})
			wantFailure(t, err, core.ClassInvalid, core.NotSent)
		}
		want(t, "requests", w.count(), 0)
		if _, err := p.Send(bg, &core.Message{Topic: "T", Body: make([]byte, 4<<20)}); err != nil {
			t.Error(err)
		}
		// The user may lift the limit of the body, not that of the frame, which has a header too.
		q := w.startWith(t, liftoff.Config{Group: "big"}, liftoff.WithoutCompression(), liftoff.WithLimits(validate.MaxBodySize(16<<20)))
		var load async
		load.send(bg, q.Producer, msg("a neighbour on the connection"))
		_, err := q.Send(bg, &core.Message{Topic: "T", Body: make([]byte, 16<<20)})
		wantFailure(t, err, core.ClassInvalid, core.NotSent)
		for _, o := range load.wait() {
			if o.err != nil {
				t.Error(o.err)
			}
		}
		want(t, "lost connections", q.stats().Lost, 0)
	})
}

// Row 24: messages that break a rule are refused here, alone and in a batch, and
// nothing is sent.
func TestFault24InvalidMessages(t *testing.T) {
	change := func(f func(m *core.Message)) *core.Message {
		m := msg("x")
		f(m)
		return m
	}
	property := func(name, value string) *core.Message {
		return change(func(m *core.Message) { m.Properties = map[string]string{name: value} })
	}
	for name, m := range map[string]*core.Message{
		"no body":                   change(func(m *core.Message) { m.Body = nil }),
		"empty body":                change(func(m *core.Message) { m.Body = []byte{} }),
		"no topic":                  change(func(m *core.Message) { m.Topic = "" }),
		"blank topic":               change(func(m *core.Message) { m.Topic = "  " }),
		"topic of 128 bytes":        change(func(m *core.Message) { m.Topic = strings.Repeat("t", 128) }),
		"topic with a slash":        change(func(m *core.Message) { m.Topic = "a/b" }),
		"topic beyond ASCII":        change(func(m *core.Message) { m.Topic = "tópico" }),
		"system topic":              change(func(m *core.Message) { m.Topic = "SCHEDULE_TOPIC_XXXX" }),
		"properties of 32 KiB":      property("p", strings.Repeat("x", 32768)),
		"many properties":           change(func(m *core.Message) { m.Properties = many(4000) }),
		"separator in a value":      property("p", "x\x02DELAY\x013"),
		"separator in a name":       property("p\x01", "x"),
		"separator in a tag":        change(func(m *core.Message) { m.Tag = "a\x02DELAY\x013" }),
		"separator in a key":        change(func(m *core.Message) { m.Keys = []string{"a\x02DELAY\x013"} }),
		"separator in the sharding": change(func(m *core.Message) { m.ShardingKey = "a\x02DELAY\x013" }),
		"blank in a key":            change(func(m *core.Message) { m.Keys = []string{"a b"} }),
		"empty key":                 change(func(m *core.Message) { m.Keys = []string{""} }),
		"empty property name":       property("", "x"),
		"reserved name":             property("UNIQ_KEY", "x"),
		"reserved name, delay":      property("DELAY", "3"),
		"delay level below 0":       change(func(m *core.Message) { m.DelayLevel = -1 }),
		"two delays":                change(func(m *core.Message) { m.DelayLevel, m.DeliverAt = 1, time.Now().Add(time.Hour) }),
		"negative queue":            change(func(m *core.Message) { m.Queue = &core.Queue{Broker: "broker-a", ID: -1} }),
	} {
		sub(t, name, func(t *testing.T) {
			w := newWorld(t, 1)
			p := w.start(t)
			var all []error
			_, err := p.Send(bg, m)
			all = append(all, err, p.SendOneway(bg, m))
			var load async
			load.send(bg, p.Producer, m)
			all = append(all, load.wait()[0].err)
			for _, err := range all {
				wantFailure(t, err, core.ClassInvalid, core.NotSent)
				if !errors.Is(err, core.ErrInvalidMessage) {
					t.Errorf("got %v", err)
				}
				if len(err.Error()) > 2<<10 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			}
			other := msg("good")
			other.Topic = m.Topic
			_, err = p.SendBatch(bg, []*core.Message{other, m})
			wantFailure(t, err, core.ClassInvalid, core.NotSent)
			want(t, "requests", w.count()+w.RequestCount(wire.SendBatchMessage), 0)
		})
	}
	sub(t, "batches", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		other := msg("x")
		other.Topic = "other"
		for name, batch := range map[string][]*core.Message{
			"none": nil, "nil": {nil}, "nil among others": {msg("x"), nil}, "two topics": {msg("x"), other},
			"delayed": {msg("x"), {Topic: "T", Body: []byte("x"), DelayLevel: 3}},
			"too large": {
				{Topic: "T", Body: bytes.Repeat([]byte("x"), 2<<20)}, {Topic: "T", Body: bytes.Repeat([]byte("x"), 2<<20)},
			},
		} {
			if _, err := p.SendBatch(bg, batch); core.ClassOf(err) != core.ClassInvalid {
				t.Errorf("%s: got %v", name, err)
			}
		}
		_, err := p.Send(bg, nil)
		wantFailure(t, err, core.ClassInvalid, core.NotSent)
		want(t, "requests", w.RequestCount(wire.SendBatchMessage), 0)
	})
}

func many(n int) map[string]string {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprint("name-", i)] = "value"
	}
	return m
}

// Row 30, as far as a client without transactions goes: a storm of transaction
// checks and of requests that no version knows. They are refused and counted, sends
// go on, and answers to them do not pile up.
func TestFault30StormOfChecks(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const storm = 10_000
		w := newWorld(t, 1)
		p := w.start(t)
		p.warm(t, w)
		before := p.stats()
		for i := range storm {
			cmd := wire.Command{Code: wire.CheckTransactionState, Flag: wire.FlagOneway, Body: []byte("no message")}
			if i%2 == 1 {
				cmd = wire.Command{Code: 9999, Body: []byte("?")} // wants an answer
			}
			if _, err := w.Broker("broker-a").Push(cmd); err != nil {
				t.Fatal(err)
			}
			if i%100 == 0 {
				p.ok(t, "x")
			}
		}
		s := p.stats()
		want(t, "requests", s.Requests, storm)
		want(t, "refused", s.RefusedRequests, storm)
		in := p.Snapshot().Inbox
		want(t, "requests without a handler", in.Unhandled, storm)
		want(t, "requests waiting", in.Waiting, 0)
		want(t, "queued bytes", s.QueuedBytes, 0)
		want(t, "lost connections", s.Lost, before.Lost)
	})
}

// Row 32, as far as ids go: more ids than fit the counter of one instant stay
// unique, over several producers, and also when the month ends in between.
func TestFault32UniqueIDs(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const each = 100_000 // the counter has 65,536 values
		time.Sleep(time.Until(time.Date(2000, 2, 1, 0, 0, 0, 0, time.Local).Add(-time.Second)))
		seen := make(map[core.MessageID]bool, 2*each+2000)
		for range 2 {
			p := coretest.Start(t, coretest.Config(&coretest.Transport{Forget: true}))
			send := func() {
				res, err := p.Send(bg, coretest.Message("x"))
				if err != nil {
					t.Fatal(err)
				}
				if seen[res.MessageID] {
					t.Fatalf("id %v twice after %d", res.MessageID, len(seen))
				}
				seen[res.MessageID] = true
			}
			for range each {
				send()
			}
			for range 1000 {
				time.Sleep(2 * time.Millisecond) // into the next month
				send()
			}
		}
	})
}

// Row 34: a broker of 200 producers goes away and comes back. Its port is not
// stormed: each client dials at most once in 40 ms, which is the first pause with
// its jitter, ever more rarely, and not all at the same time.
func TestFault34ThunderingHerd(t *testing.T) {
	virtual(t, func(t *testing.T) {
		const producers, outage = 200, 10 * time.Second
		w := newWorldOf(t, embedded.Config{Brokers: embedded.BrokerNames(2), Network: embedded.NewNetwork(), RecordedRequests: -1})
		addr := w.Broker("broker-b").Addr()
		dials := make([][]time.Duration, producers)
		began := time.Now()
		ctx, cancel := context.WithCancel(bg)
		var senders sync.WaitGroup
		defer senders.Wait()
		defer cancel()
		failed := make([]int, producers)
		for i := range producers {
			p := w.startWith(t, liftoff.Config{Group: fmt.Sprint("herd-", i), Client: remoting.Config{Dial: w.watchDials(addr, func() {
				dials[i] = append(dials[i], time.Since(began))
			})}})
			senders.Go(func() {
				for ctx.Err() == nil {
					if _, err := p.Send(bg, msg("x")); err != nil {
						failed[i]++
					}
					time.Sleep(500 * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		down := time.Since(began)
		w.Broker("broker-b").Kill()
		time.Sleep(outage)
		if err := w.Broker("broker-b").Start(bg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		cancel()
		senders.Wait()
		total, at := 0, map[time.Duration]int{}
		for i, times := range dials {
			last := time.Duration(0)
			for _, d := range times {
				if d < down {
					continue
				}
				total++
				at[d]++
				if d-last < 40*time.Millisecond {
					t.Errorf("producer %d dialed at %v and at %v", i, last, d)
				}
				last = d
			}
			if failed[i] > 0 {
				t.Errorf("producer %d: %d sends failed with a healthy broker left", i, failed[i])
			}
		}
		most := 0
		for _, n := range at {
			most = max(most, n)
		}
		t.Logf("%d dials of %d producers in %v, at most %d in one instant", total, producers, outage, most)
		if total < producers || total > 20*producers {
			t.Errorf("%d dials", total)
		}
	})
}
