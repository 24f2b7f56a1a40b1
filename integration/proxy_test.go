package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// The remoting port of a 5.x proxy is name server and broker to a client: every route leads to the proxy itself, which
// finds the broker by the name in each request. Every kind of send arrives through it, if the topic is for messages of that
// type, and is refused else, certainly without storing. A broker that hangs behind it is
// met as one that hangs: the send ends in time, maybe stored; afterwards sends go on.
func TestProxyIsNameServerAndBroker(t *testing.T) {
	t.Parallel()
	const queues, each = 4, 200
	eachVersion(t, func(t *testing.T, version string) {
		if version == "4.9.7" {
			return // has no proxy
		}
		c := startCluster(t, realcluster.Options{Version: version, Proxy: true})
		topic, ordered := topicFor(t, "t"), topicFor(t, "ordered")
		c.CreateTopic(t, topic, queues)
		c.CreateTypedTopic(t, ordered, "FIFO", queues)
		p := newProducer(t, c.Proxy(), producerOptions{})
		warm := topicFor(t, "warm") // the first look-ups of a proxy take seconds
		c.CreateTopic(t, warm, 1)
		sendsGoOn(t, p, warm)
		acked := 0
		for i := range each {
			body := func(mode string) *core.Message {
				return &core.Message{Topic: topic, Body: fmt.Appendf(nil, "%s-%d", mode, i)}
			}
			keyed, fixed := body("keyed"), body("fixed")
			keyed.Topic, keyed.ShardingKey = ordered, fmt.Sprintf("key-%d", i)
			fixed.Queue = &core.Queue{Broker: "broker-a", ID: i % queues}
			for _, m := range []*core.Message{body("plain"), keyed, fixed} {
				r, err := p.Send(t.Context(), m)
				if err != nil || r.Status != core.SendOK || r.Queue.Broker != "broker-a" || m == fixed && r.Queue.ID != i%queues {
					t.Fatalf("%s: %+v, %v", m.Body, r, err)
				}
				if acked++; r.Attempts != 1 {
					t.Errorf("%s took %d attempts", m.Body, r.Attempts)
				}
			}
			async := make(chan error, 1)
			p.SendAsync(t.Context(), body("async"), func(_ core.Result, err error) { async <- err })
			if err := <-async; err != nil {
				t.Fatalf("async: %v", err)
			}
			acked++
			if err := p.SendOneway(t.Context(), body("oneway")); err != nil {
				t.Fatal(err)
			}
			if i%10 == 0 {
				batch := []*core.Message{body("batch"), body("batch-too")}
				if r, err := p.SendBatch(t.Context(), batch); err != nil || r.Len() != 2 {
					t.Fatalf("batch: %v", err)
				}
				acked += 2
			}
		}
		_, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x"), ShardingKey: "k"})
		if core.ClassOf(err) != core.ClassRejected || core.CertaintyOf(err) != core.NotStored {
			t.Errorf("a key, to a topic without keys: %v", err)
		}
		_, err = p.Send(t.Context(), &core.Message{Topic: topic + "-unknown", Body: []byte("x")})
		if core.ClassOf(err) != core.ClassRejected || core.CertaintyOf(err) != core.NotStored {
			t.Errorf("an unknown topic, which proxies do not create: %v", err)
		}
		bodies := map[string]int{}
		for name, want := range map[string]int{topic: acked, ordered: each} { // as many one-way ones as keyed ones
			for _, m := range javaprog.ReadBack(t, version, c.NameServer(), name, want, time.Minute) {
				bodies[string(m.Body())]++
			}
			if got := c.Stored(t, name, queues); got != want {
				t.Errorf("%d messages are stored in %s, want %d", got, name, want)
			}
		}
		if want := acked + each; len(bodies) != want {
			t.Errorf("%d different messages are stored, want %d", len(bodies), want)
		}

		c.Pause(t, "broker-a")
		_, err = p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("hung")})
		if core.CertaintyOf(err) != core.MaybeStored {
			t.Errorf("with the broker hung: %v", err)
		}
		c.Resume(t, "broker-a")
		sendsGoOn(t, p, topic)

		c.Kill(t, "proxy")
		_, err = p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("gone")})
		if core.CertaintyOf(err) != core.NotSent && core.CertaintyOf(err) != core.MaybeStored {
			t.Errorf("with the proxy killed: %v", err)
		}
		c.Restart(t, "proxy")
		sendsGoOn(t, p, topic)
	})
}

// sendsGoOn waits until sends are acknowledged again, and then wants all of them to be.
func sendsGoOn(t *testing.T, p *core.Producer, topic string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := p.Send(ctx, &core.Message{Topic: topic, Body: []byte("again")})
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("not within a minute: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for i := range 50 {
		if _, err := p.Send(ctx, &core.Message{Topic: topic, Body: []byte("again")}); err != nil {
			t.Errorf("send %d after that: %v", i, err)
		}
	}
}

// A message with a delivery time can be taken back through the proxy too.
func TestRecallThroughTheProxy(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		if version == "4.9.7" {
			return
		}
		c := startCluster(t, realcluster.Options{Version: version, Proxy: true})
		topic := topicFor(t, "t")
		c.CreateTypedTopic(t, topic, "DELAY", 1)
		p := newProducer(t, c.Proxy(), producerOptions{timeout: 10 * time.Second})
		warm := topicFor(t, "warm")
		c.CreateTopic(t, warm, 1)
		sendsGoOn(t, p, warm)
		due := time.Now().Add(15 * time.Second)
		handles := map[string]string{}
		for _, body := range []string{"kept", "recalled"} {
			r, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte(body), DeliverAt: due})
			if err != nil || r.RecallHandle == "" {
				t.Fatalf("%+v, %v", r, err)
			}
			handles[body] = r.RecallHandle
		}
		if _, err := p.Recall(t.Context(), topic, handles["recalled"]); err != nil {
			t.Fatal(err)
		}
		stored := javaprog.ReadBack(t, version, c.NameServer(), topic, 1, time.Minute)
		time.Sleep(time.Until(due.Add(3 * time.Second)))
		if n := c.Stored(t, topic, 1); n != 1 || len(stored) != 1 || string(stored[0].Body()) != "kept" {
			t.Errorf("%d stored, read %v", n, stored)
		}
	})
}

// A proxy answers the end of a transaction with success before it has looked at it, and of a half message that came to
// its remoting port it knows nothing (Java: TransactionActivity, TransactionProcessor). So the end is lost, and what the
// checker answers to the broker's question decides.
func TestTransactionsThroughAProxy(t *testing.T) {
	t.Parallel()
	version5(t, func(t *testing.T, version string) {
		const queues, count = 2, 20
		c := startCluster(t, realcluster.Options{Version: version, Proxy: true, Settings: asking()})
		topic := topicFor(t, "t")
		c.CreateTypedTopic(t, topic, "TRANSACTION", queues)
		decide := func(n int) core.TransactionDecision {
			if n%2 == 0 {
				return core.TransactionCommit
			}
			return core.TransactionRollback
		}
		p, asked := checkedProducer(t, c.Proxy(), "through-a-proxy", topic, decide)
		transact(t, p, topic, 0, count, decide)
		if n := c.Stored(t, topic, queues); n != 0 {
			t.Errorf("%d messages are visible before the broker has asked", n)
		}
		var want []int
		for n := 0; n < count; n += 2 {
			want = append(want, n)
		}
		visible(t, c, topic, queues, want)
		if n := asked.Load(); n < count {
			t.Errorf("%d questions about %d transactions", n, count)
		}
	})
}
