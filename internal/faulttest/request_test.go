package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// asker is a sender that makes requests.
type asker struct {
	*sender
	r *requestreply.Requester
}

func (w *world) asker(t testing.TB, opts ...liftoff.Option) *asker {
	t.Helper()
	r, err := liftoff.NewRequester(requestreply.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &asker{w.start(t, append(opts, liftoff.WithHooks(r))...), r}
}

// request gives the reply's body and how long that took.
func (a *asker) request(ctx context.Context, body string, opts ...core.SendOption) (string, time.Duration, error) {
	began := time.Now()
	reply, err := a.r.Request(ctx, msg(body), opts...)
	if err != nil {
		return "", time.Since(began), err
	}
	return string(reply.Body), time.Since(began), nil
}

// replier answers every request 100 ms after it is stored, and forgets what becomes of that.
func (w *world) replier(t testing.TB) {
	t.Helper()
	p := w.startWith(t, liftoff.Config{Group: "repliers"}).Producer
	ctx, stop := context.WithCancel(bg)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		seen := map[string]bool{}
		for ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond)
			for _, m := range w.Stored("T") {
				props := map[string]string{}
				for _, f := range m.Properties {
					props[f.Key] = f.Value
				}
				if !seen[m.MsgID] && props[rocketmq.PropertyCorrelationID] != "" {
					seen[m.MsgID] = true
					_, _ = requestreply.SendReply(ctx, p, props, []byte("re:"+string(m.Body)))
				}
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// Whatever happens to the request's send or to the reply, the request has one outcome in its
// time, and the certainty is right.
func TestRequestFaults(t *testing.T) {
	onSend := func(a embedded.Action) func(w *world) { return func(w *world) { w.on("", a) } }
	onReply := func(a embedded.Action) func(w *world) {
		return func(w *world) {
			w.Control(wire.SendReplyMessageV2, func(*embedded.Request) embedded.Action { return a })
		}
	}
	const second = time.Second
	for _, row := range []struct {
		name      string
		fault     func(w *world)
		reply     string
		class     core.Class
		certainty core.Certainty
		most      time.Duration
	}{
		{"nothing", func(*world) {}, "re:x", 0, 0, second},
		{"refused", onSend(embedded.Reply(rocketmq.CodeMessageIllegal, "no")), "", core.ClassRejected, core.NotStored, second},
		{"the broker hangs after it stored", onSend(embedded.StoreThen(embedded.Hang())), "re:x", 0, 0, second},
		{"cut after it stored", onSend(embedded.StoreThenCut()), "re:x", 0, 0, second},
		{"the answer is garbage", onSend(embedded.StoreThen(embedded.Garbage([]byte("\x00\x00\x00\x02no")))), "re:x", 0, 0, second},
		{"a weaker status", onSend(embedded.StoreThen(embedded.Reply(rocketmq.CodeFlushDiskTimeout, ""))), "re:x", 0, 0, second},
		{"hung before it stored", onSend(embedded.Hang()), "", core.ClassTimeout, core.MaybeStored, 3 * second},
		{"cut before it stored", onSend(embedded.Cut()), "", core.ClassTimeout, core.MaybeStored, 3 * second},
		{"the reply is lost", onReply(embedded.Hang()), "", core.ClassTimeout, core.Stored, 3 * second},
		{"the reply is refused", onReply(embedded.Reply(rocketmq.CodeSystemBusy, "")), "", core.ClassTimeout, core.Stored, 3 * second},
		{"a success of the reply that is a lie", onReply(embedded.Reply(rocketmq.CodeSuccess, "")), "", core.ClassTimeout, core.Stored, 3 * second},
		{"the reply twice", onReply(embedded.StoreThen(embedded.Cut())), "re:x", 0, 0, second},
	} {
		sub(t, row.name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.replier(t)
			a := w.asker(t, liftoff.WithRetry(once()))
			row.fault(w)
			got, took, err := a.request(bg, "x")
			if row.reply != "" {
				if err != nil || got != row.reply {
					t.Errorf("%q, %v", got, err)
				}
			} else {
				wantFailure(t, err, row.class, row.certainty)
			}
			wantAtMost(t, "the request", took, row.most)
			if s := a.r.Snapshot(); s.Waiting != 0 || s.Bytes != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A hung broker costs the first request a quarter of its time at most, and the next ones
// nothing; their replies come by the other broker. When it is back it is told who waits.
func TestRequestBesideAHungBroker(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		if err := w.CreateTopic("T", 4, "broker-a"); err != nil {
			t.Fatal(err)
		}
		w.replier(t)
		a := w.asker(t)
		w.Broker("broker-b").Pause()
		for i := range 5 {
			got, took, err := a.request(bg, fmt.Sprint(i), core.SendTimeout(20*time.Second))
			if err != nil || got != fmt.Sprint("re:", i) {
				t.Fatalf("%q, %v", got, err)
			}
			// The reply may be sent to the hung broker first.
			wantAtMost(t, fmt.Sprint("request ", i), took, 5*time.Second)
		}
		w.Broker("broker-b").Resume()
		time.Sleep(10 * time.Second)
		if _, took, err := a.request(bg, "again"); err != nil || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
		for _, b := range w.Brokers() {
			known := false
			for _, c := range b.Clients() {
				known = known || c.ID == a.client.ClientID()
			}
			if !known {
				t.Errorf("%s does not know the client", b.Name())
			}
		}
	})
}

// A broker that was restarted learns of the client before the next request.
func TestRequestAfterARestart(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.replier(t)
		a := w.asker(t)
		for i := range 3 {
			if got, _, err := a.request(bg, fmt.Sprint(i)); err != nil || got != fmt.Sprint("re:", i) {
				t.Fatalf("%q, %v", got, err)
			}
			w.Broker("broker-a").Stop()
			if err := w.Broker("broker-a").Start(bg); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
	})
}

// A broker forgets which connection is a client's when any group of the client unregisters. The
// client sees to that before the next request, each time, and its other group is known all the while.
func TestRequestAfterAnotherGroupHasLeft(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.replier(t)
		a := w.asker(t)
		if _, _, err := a.request(bg, "first"); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			other := w.startWith(t, liftoff.Config{Group: fmt.Sprint("other-", i)}, liftoff.WithClient(a.client))
			other.ok(t, "x")
			time.Sleep(time.Second) // the brokers learn of the group
			if err := other.Shutdown(bg); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i) * 40 * time.Second) // with heartbeats, which change nothing
			for k := range 3 {
				if got, _, err := a.request(bg, fmt.Sprint(i, k)); err != nil || got != fmt.Sprint("re:", i, k) {
					t.Fatalf("request %d after %d groups have left: %q, %v", k, i+1, got, err)
				}
			}
		}
		time.Sleep(5 * time.Minute)
		for _, b := range w.Brokers() {
			if groups := b.ProducerGroups(); !slices.Contains(groups, "faults") {
				t.Errorf("%s knows %v", b.Name(), groups)
			}
		}
	})
}

// It forgets it as well when a connection ends that is no longer in use: here one that still
// waited for an answer when the next request took another.
func TestRequestAfterAnOldConnectionHasEnded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.asker(t, liftoff.WithRetry(once()))
		a.ok(t, "first")
		time.Sleep(time.Second) // the heartbeat's answer is no sign of life later
		long := make(chan error, 1)
		remove := w.on("", embedded.Hang())
		a.SendAsync(bg, msg("long"), func(_ core.Result, err error) { long <- err }, core.SendTimeout(20*time.Second))
		_, err := a.Send(bg, msg("short"), core.SendTimeout(time.Second)) // nothing comes: the connection is retired
		wantFailure(t, err, core.ClassTimeout, core.MaybeStored)
		remove()
		w.replier(t)
		if got, _, err := a.request(bg, "by the new one"); err != nil || got != "re:by the new one" {
			t.Fatalf("%q, %v", got, err)
		}
		wantFailure(t, <-long, core.ClassTimeout, core.MaybeStored) // it is the last: the old connection ends
		synctest.Wait()                                             // and the broker has seen it
		if n := a.client.Stats().Reconnects; n != 1 {
			t.Fatalf("%d connections were replaced, want 1", n)
		}
		for i := range 3 {
			time.Sleep(time.Duration(i) * 40 * time.Second)
			if got, _, err := a.request(bg, fmt.Sprint(i)); err != nil || got != fmt.Sprint("re:", i) {
				t.Fatalf("%q, %v", got, err)
			}
		}
	})
}

// A cancelled request returns at once, and so does one whose producer is shut down at once.
func TestRequestEnds(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.asker(t)
		ctx, cancel := context.WithCancel(bg)
		time.AfterFunc(time.Second, cancel)
		_, took, err := a.request(ctx, "x", core.SendTimeout(time.Hour))
		wantFailure(t, err, core.ClassCanceled, core.Stored)
		wantTook(t, "the request", took, time.Second)
		async := make(chan error, 1)
		a.r.RequestAsync(bg, msg("x"), func(_ *requestreply.Reply, err error) { async <- err }, core.SendTimeout(time.Hour))
		synctest.Wait()
		ended, end := context.WithCancel(bg)
		end()
		if err := a.Shutdown(ended); !errors.As(err, new(*core.ShutdownError)) {
			t.Errorf("shutdown: %v", err)
		}
		wantFailure(t, <-async, core.ClassClosed, core.Stored)
	})
}

// push is what a broker brings as a reply.
func push(ext ...string) wire.Command {
	cmd := wire.Command{Code: wire.PushReplyMessageToClient, Flag: wire.FlagOneway, Body: []byte("evil")}
	for _, s := range ext {
		k, v, _ := strings.Cut(s, "=")
		cmd.Ext = append(cmd.Ext, wire.Field{Key: k, Value: v})
	}
	return cmd
}

// A hostile broker brings replies that are none, and 20,000 that nobody asked for, while a
// request waits: that has its own reply, memory stays bounded, and the connection lives.
func TestHostileReplies(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.asker(t)
		a.warm(t, w)
		b := w.Broker("broker-a")
		bring := func(cmd wire.Command) {
			t.Helper()
			if _, err := b.Push(cmd); err != nil {
				t.Fatal(err)
			}
		}
		for _, cmd := range []wire.Command{
			push(), push("properties="), push("properties=\x01\x02\x01"), push("properties=CORRELATION_ID"),
			push("properties=CORRELATION_ID\x01\x02"), push("sysFlag=x", "properties=CORRELATION_ID\x01a\x02"),
			push("sysFlag=99999999999999999999"), push("sysFlag=-1", "properties=CORRELATION_ID\x01a\x02CORRELATION_ID\x01b\x02"),
		} {
			bring(cmd)
		}
		synctest.Wait()
		want(t, "unmatched", a.r.Snapshot().Unmatched, 8)
		got := make(chan error, 1)
		go func() {
			body, _, err := a.request(bg, "x")
			if err == nil && body != "mine" {
				err = fmt.Errorf("the reply is %q", body)
			}
			got <- err
		}()
		synctest.Wait()
		const flood = 20_000
		for i := range flood {
			bring(push(fmt.Sprintf("properties=CORRELATION_ID\x01%d\x02", i)))
			if i%500 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		stored := w.Stored("T")
		mine := push("properties=CORRELATION_ID\x01" + stored[len(stored)-1].Property("CORRELATION_ID") + "\x02")
		for i := range stored {
			if id := stored[i].Property("CORRELATION_ID"); id != "" {
				mine = push("properties=CORRELATION_ID\x01" + id + "\x02")
			}
		}
		mine.Body = []byte("mine")
		bring(mine)
		if err := <-got; err != nil {
			t.Error(err)
		}
		s, in := a.r.Snapshot(), a.Snapshot().Inbox
		if s.Unmatched+in.Full != flood+8 || s.Replies != 1 || in.Waiting != 0 {
			t.Errorf("%+v, %+v", s, in)
		}
		want(t, "dials", a.stats().Lost, 0)
	})
}

// A reply whose body unpacks to far more than it should ends its request, and costs no more
// memory than the limit.
func TestReplyThatIsABomb(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		a := w.asker(t)
		got := make(chan error, 1)
		go func() {
			_, _, err := a.request(bg, "x")
			got <- err
		}()
		synctest.Wait()
		id := w.Stored("T")[0].Property("CORRELATION_ID")
		for _, cmd := range []wire.Command{push("sysFlag=1", "properties=CORRELATION_ID\x01"+id+"\x02")} {
			if _, err := w.Broker("broker-a").Push(cmd); err != nil {
				t.Fatal(err)
			}
		}
		err := <-got
		wantFailure(t, err, core.ClassUnknown, core.Stored)
		if !errors.Is(err, requestreply.ErrBadReply) {
			t.Errorf("%v", err)
		}
	})
}
