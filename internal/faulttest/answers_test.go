package faulttest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Row 10: every response code, with the remarks that give one code several
// meanings: what the user is told, and where the default policy tries again. Both
// brokers give the same answer, so a send is retried if more than one request came.
func TestFault10ResponseCodes(t *testing.T) {
	const (
		never  = 1 // requests on the wire
		other  = 2 // once at each broker
		thrice = 1 + retry.DefaultRetries
		often  = 1 + retry.DefaultBusy
	)
	for _, row := range []struct {
		code      rocketmq.ResponseCode
		remark    string
		class     core.Class
		certainty core.Certainty
		requests  int
	}{
		{rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy", core.ClassBusy, core.NotStored, often},
		{rocketmq.CodeSystemBusy, "[REJECTREQUEST]system busy", core.ClassBusy, core.NotStored, often},
		{rocketmq.CodeServiceNotAvailable, "service not available now", core.ClassUnavailable, core.NotStored, thrice},
		{rocketmq.CodeNoPermission, "the topic[T] sending message is forbidden", core.ClassForbidden, core.NotStored, other},
		{rocketmq.CodeNoPermission, "check signature failed", core.ClassAuth, core.NotStored, never},
		{rocketmq.CodeNoPermission, "username cannot be null", core.ClassAuth, core.NotStored, never},
		{rocketmq.CodeNoPermission, "User:x is not found", core.ClassAuth, core.NotStored, never},
		{rocketmq.CodeNoPermission, "User:x has no permission to access Topic:T", core.ClassAuth, core.NotStored, never},
		{rocketmq.CodeSystemError, "org.apache.rocketmq.acl.common.AclException: No accessKey is configured", core.ClassAuth, core.NotStored, never},
		{rocketmq.CodeSystemError, "broker unable to service, until 2286-11-20", core.ClassUnavailable, core.NotStored, thrice},
		{rocketmq.CodeSystemError, "service not available now, in-sync replicas not enough", core.ClassUnavailable, core.NotStored, thrice},
		{rocketmq.CodeSystemError, "create mapped file failed, server is busy or broken.", core.ClassUnavailable, core.NotStored, thrice},
		{rocketmq.CodeSystemError, "java.lang.IllegalArgumentException, x", core.ClassRejected, core.NotStored, never},
		{rocketmq.CodeSystemError, "java.lang.ArrayIndexOutOfBoundsException, 7", core.ClassRejected, core.NotStored, never},
		{rocketmq.CodeSystemError, "java.lang.NullPointerException, x", core.ClassRejected, core.NotStored, never},
		{rocketmq.CodeSystemError, "the specified topic contains illegal characters", core.ClassRejected, core.NotStored, never},
		{rocketmq.CodeSystemError, "the specified topic is longer than topic max length 127.", core.ClassRejected, core.NotStored, never},
		{rocketmq.CodeSystemError, "something else", core.ClassBroker, core.MaybeStored, thrice},
		{rocketmq.CodeMessageIllegal, "the message is illegal", core.ClassRejected, core.NotStored, never},
		{rocketmq.CodeInvalidParameter, "request queueId[9] is illegal", core.ClassStale, core.NotStored, thrice},
		{rocketmq.CodeSystemError, "request queueId[9] is illegal, TopicConfig [topicName=T]", core.ClassStale, core.NotStored, thrice},
		{rocketmq.CodeInvalidParameter, "something else", core.ClassRejected, core.NotStored, never},
		{rocketmq.CodeSystemError, "java.lang.RuntimeException: message body size exceeded, x", core.ClassRejected, core.NotStored, never},
		{rocketmq.CodeTopicNotExist, "topic[T] not exist", core.ClassNoTopic, core.NotStored, thrice},
		{rocketmq.CodeNotLeaderForQueue, "not leader", core.ClassStale, core.NotStored, thrice},
		{rocketmq.CodeFlowControl, "flow control", core.ClassBusy, core.NotStored, often},
		{rocketmq.CodeVersionNotSupported, "", core.ClassRejected, core.NotStored, never},
		{777, "a code of the future", core.ClassBroker, core.MaybeStored, thrice},
	} {
		sub(t, fmt.Sprintf("%d %.30s", row.code, row.remark), func(t *testing.T) {
			w := newWorld(t, 2)
			p := w.start(t)
			p.warm(t, w)
			w.on("", embedded.Reply(row.code, row.remark))
			before := w.count()
			d := took(func() {
				_, err := p.Send(bg, msg("x"))
				se := wantFailure(t, err, row.class, row.certainty)
				var be *core.BrokerError
				if !errors.As(err, &be) || be.Code != row.code || be.Remark != row.remark {
					t.Errorf("the broker's answer is not in %v", err)
				}
				want(t, "attempts told", len(se.Attempts), row.requests)
			})
			want(t, "requests", w.count()-before, row.requests)
			// Pauses, and the look-up before a retry with a new route: no time-out.
			if row.class != core.ClassBusy {
				wantAtMost(t, "the send", d, 300*time.Millisecond)
			}
			wantAtMost(t, "the send", d, core.DefaultTimeout)
			want(t, "stored", w.StoredCount("T"), 8)
			if row.class == core.ClassAuth {
				want(t, "breaker a", p.breaker("broker-a"), breaker.Closed)
				want(t, "breaker b", p.breaker("broker-b"), breaker.Closed)
			}
		})
	}
	for code, status := range map[rocketmq.ResponseCode]core.SendStatus{
		rocketmq.CodeFlushDiskTimeout:  core.FlushDiskTimeout,
		rocketmq.CodeFlushSlaveTimeout: core.FlushSlaveTimeout,
		rocketmq.CodeSlaveNotAvailable: core.SlaveNotAvailable,
	} {
		sub(t, code.String(), func(t *testing.T) {
			w := newWorld(t, 2)
			p := w.start(t)
			p.warm(t, w)
			w.on("", embedded.Edit(func(c *wire.Command) { c.Code = int(code) }))
			before := w.count()
			res := p.ok(t, "weak")
			want(t, "status", res.Status, status)
			want(t, "acknowledged", res.Acked(), true)
			want(t, "requests", w.count()-before, 1)
			want(t, "stored", w.byID("T")[res.MessageID.String()], 1)
		})
	}
	// Code 3 to the short form of a send: the long form is used instead.
	sub(t, "REQUEST_CODE_NOT_SUPPORTED", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		w.on("", embedded.Reply(rocketmq.CodeRequestCodeNotSupported, " request type 310 not supported"))
		for i := range 3 {
			want(t, "attempts", p.ok(t, fmt.Sprint(i)).Attempts, 1)
		}
		want(t, "short forms", w.count(), 1)
		want(t, "long forms", w.RequestCount(wire.SendMessage), 3)
	})
}

// Row 12: answers take up to twice the time-out. No call takes longer than its
// time, whatever came when, and every outcome tells the truth.
func TestFault12RandomDelay(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 3)
		p := w.startWith(t, liftoff.Config{MaxInFlight: 1000})
		p.warm(t, w)
		var mu sync.Mutex // rules run on several connections at once
		rnd := rand.New(rand.NewPCG(1, 2))
		w.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
			mu.Lock()
			defer mu.Unlock()
			d := time.Duration(rnd.Int64N(int64(2 * core.DefaultTimeout)))
			if rnd.IntN(2) == 0 {
				return embedded.Delay(d, embedded.Pass())
			}
			return embedded.StoreThen(embedded.Delay(d, embedded.Pass()))
		})
		var load async
		for i := range 500 {
			load.send(bg, p.Producer, msg(fmt.Sprint(i)))
			time.Sleep(20 * time.Millisecond)
		}
		results := load.wait()
		time.Sleep(10 * time.Second)
		stored := w.byID("T")
		failed := 0
		for _, o := range results {
			wantAtMost(t, "a call", o.after, core.DefaultTimeout)
			id := o.res.MessageID
			if o.err != nil {
				failed++
				se := wantFailure(t, o.err, core.ClassOf(o.err), core.CertaintyOf(o.err))
				if id = se.MessageID; se.Certainty < core.MaybeStored && stored[id.String()] > 0 {
					t.Errorf("stored, but: %v", o.err)
				}
				continue
			}
			n := stored[id.String()]
			if n == 0 {
				t.Errorf("acknowledged and not stored: %v", id)
			}
			if n > 1 && !o.res.MaybeDuplicate || n > o.res.Attempts {
				t.Errorf("stored %d times: %+v", n, o.res)
			}
		}
		t.Logf("%d of %d failed", failed, len(results))
	})
}

// Row 13: an answer that comes after the deadline is dropped and counted, and
// never given to another request.
func TestFault13AnswerAfterTheDeadline(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t, liftoff.WithRetry(once()))
		p.warm(t, w)
		w.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
			return embedded.StoreThen(embedded.Delay(4*time.Second, embedded.Pass()))
		})
		var slow async
		slow.send(bg, p.Producer, msg("slow"))
		// Others use the connection meanwhile, so that it does not look dead.
		for range 5 {
			time.Sleep(time.Second)
			res := p.ok(t, "quick")
			want(t, "stored under the id", w.byID("T")[res.MessageID.String()], 1)
		}
		o := slow.wait()[0]
		se := wantFailure(t, o.err, core.ClassTimeout, core.MaybeStored)
		wantTook(t, "the slow send", o.after, core.DefaultTimeout)
		want(t, "stored although it failed", w.byID("T")[se.MessageID.String()], 1)
		s := p.stats()
		want(t, "late answers", s.LateAnswers, 1)
		want(t, "unknown answers", s.UnknownAnswers, 0)
		want(t, "dials", s.Dials, 2) // name server and broker
	})
}

// Row 14: answers under the wrong number, or under that of another connection's
// request, complete nothing; after 16 the connection is closed.
func TestFault14WrongOpaque(t *testing.T) {
	sub(t, "nobody's number", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t, liftoff.WithRetry(once()))
		p.warm(t, w)
		remove := w.on("", embedded.WrongOpaque())
		var load async
		for range 16 {
			load.send(bg, p.Producer, msg("x"))
		}
		for _, o := range load.wait() {
			se := wantFailure(t, o.err, core.ClassNetwork, core.MaybeStored)
			if !errors.Is(se, core.ErrConnectionLost) {
				t.Errorf("got %v", se)
			}
			wantAtMost(t, "a send", o.after, time.Millisecond) // a frame may wait that long for others
		}
		s := p.stats()
		want(t, "unknown answers", s.UnknownAnswers, 16)
		want(t, "lost connections", s.Lost, 1)
		remove()
		wantAtMost(t, "the way back", p.recovery(t), 0)
	})
	sub(t, "another connection's number", func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t, liftoff.WithRetry(once()))
		p.warm(t, w)
		to := func(broker string) *core.Message {
			m := msg("to " + broker)
			m.Queue = &core.Queue{Broker: broker}
			return m
		}
		held := make(chan int32, 1)
		w.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
			if r.Node == "broker-a" {
				held <- r.Command.Opaque
				return embedded.Hang()
			}
			return embedded.AnswerTo(<-held)
		})
		var a, b async
		a.send(bg, p.Producer, to("broker-a"))
		synctest.Wait()
		b.send(bg, p.Producer, to("broker-b"))
		synctest.Wait()
		want(t, "calls that ended by another's answer", a.ended()+b.ended(), 0)
		for _, o := range append(a.wait(), b.wait()...) {
			wantFailure(t, o.err, core.ClassTimeout, core.MaybeStored)
			wantTook(t, "the send", o.after, core.DefaultTimeout)
		}
		want(t, "unknown answers", p.stats().UnknownAnswers, 1)
	})
}

// Row 15: an answer that comes twice completes one call, once.
func TestFault15DuplicateAnswer(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		p.warm(t, w)
		remove := w.on("", embedded.Duplicate())
		var load async // its second done panics
		for i := range 10 {
			load.send(bg, p.Producer, msg(fmt.Sprint(i)))
		}
		for _, o := range load.wait() {
			if o.err != nil {
				t.Error(o.err)
			}
		}
		remove()
		want(t, "unknown answers", p.stats().UnknownAnswers, 10)
		want(t, "stored", w.StoredCount("T"), 4+10)
		offsets := map[string]bool{}
		for _, o := range load.wait() {
			offsets[o.res.OffsetMessageID] = true
		}
		want(t, "different answers", len(offsets), 10)
	})
}

// Row 16: no answer ever comes. Each send ends at its deadline as maybe stored,
// its entry is freed, and nothing grows.
func TestFault16NoAnswerEver(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorldOf(t, embedded.Config{Network: embedded.NewNetwork(), RecordedRequests: -1})
		p := w.start(t, liftoff.WithRetry(once()))
		p.ok(t, "x")
		w.on("", embedded.Hang())
		round := func(n int) {
			for range n {
				var load async
				for range 100 {
					load.send(bg, p.Producer, msg("x"))
				}
				for _, o := range load.wait() {
					if core.CertaintyOf(o.err) == core.NotSent {
						continue // at once: a dial was due to wait
					}
					wantFailure(t, o.err, core.ClassTimeout, core.MaybeStored)
					wantTook(t, "a send", o.after, core.DefaultTimeout)
				}
				p.log.take()
			}
		}
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		round(20)
		before := heap()
		round(60)
		grown := heap() - before
		t.Logf("6,000 unanswered sends: the heap grew by %d bytes", grown)
		if grown > 256<<10 {
			t.Errorf("the heap grew by %d bytes", grown)
		}
		s := p.stats()
		want(t, "requests in the tables", s.InFlight, 0)
		want(t, "queued bytes", s.QueuedBytes, 0)
	})
}
