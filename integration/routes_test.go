package integration

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// refreshing makes a default producer that looks its routes up so often; 0 means the default, 30 s.
func refreshing(t *testing.T, c *cluster, group string, every time.Duration, timeout time.Duration) *core.Producer {
	t.Helper()
	p, err := liftoff.New(liftoff.Config{
		Group: group, NameServers: []string{c.NameServer()}, RouteRefresh: every, Timeout: timeout,
	})
	return startProducer(t, p, err)
}

func (c *cluster) routeBrokers(t testing.TB, topic string) []string {
	t.Helper()
	names, err := c.RouteBrokers(t.Context(), topic)
	must(t, err)
	slices.Sort(names)
	return names
}

// The name server is restarted, and broker-a registers a minute before broker-b does. Meanwhile the name server knows
// the default topic (broker-a's) and not the topic, which lives on broker-b. No message leaves the topic's queues, from a
// producer with default settings and from one that asks for its routes all the time.
func TestNameServerRestartedBeforeABrokerHasRegistered(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Brokers: 2, Settings: []string{
			"broker-a:registerNameServerPeriod=10000", "broker-b:registerNameServerPeriod=60000",
		}})
		started := time.Now()
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4, "broker-b")
		producers := []*core.Producer{
			refreshing(t, c, "defaults", 0, 0), refreshing(t, c, "often", 200*time.Millisecond, 0),
		}
		acked := 0
		send := func() {
			for _, p := range producers {
				res, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
				if err != nil {
					t.Fatalf("after %s: %v", time.Since(started).Round(time.Second), err)
				}
				if acked++; res.Queue.Broker != "broker-b" {
					t.Fatalf("after %s: a message went to %v", time.Since(started).Round(time.Second), res.Queue)
				}
			}
		}
		send()
		// A broker registers at its start, 10 s later, and then once a period. After broker-b's second time there is a minute.
		for time.Since(started) < 12*time.Second {
			time.Sleep(100 * time.Millisecond)
			send()
		}
		c.Kill(t, "namesrv")
		c.Restart(t, "namesrv")
		var gap, known time.Time
		for known.IsZero() || time.Since(known) < time.Second {
			send()
			time.Sleep(100 * time.Millisecond)
			switch topicAt := c.routeBrokers(t, topic); {
			case len(topicAt) > 0 && known.IsZero():
				known = time.Now()
			case gap.IsZero() && len(topicAt) == 0 && slices.Equal(c.routeBrokers(t, "TBW102"), []string{"broker-a"}):
				gap = time.Now()
			}
			if time.Since(started) > 3*time.Minute {
				t.Fatal("broker-b does not register again")
			}
		}
		if gap.IsZero() {
			t.Fatal("the name server never knew the default topic without the topic: nothing is shown")
		}
		t.Logf("%s: for %s the name server knew the default topic and not the topic; %d messages, all on broker-b",
			version, known.Sub(gap).Round(time.Second), acked)
		if n := c.Stored(t, topic, 4, "broker-b"); n != acked {
			t.Errorf("%d messages are stored on broker-b, %d were acknowledged", n, acked)
		}
		if n := c.routeBrokers(t, topic); !slices.Equal(n, []string{"broker-b"}) {
			t.Errorf("the topic is on %v now", n)
		}
	})
}

// One of the two brokers of an ordered topic is killed. No key moves: those that live there fail, certainly not sent, and
// are back in their places when it is.
func TestOrderedTopicWithABrokerKilled(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Brokers: 2, Settings: []string{"namesrv:orderMessageEnable=true"}})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		must(t, c.SetOrder(t.Context(), topic, "broker-a:4;broker-b:4"))
		p := refreshing(t, c, "ordered", 200*time.Millisecond, 5*time.Second)
		const keys = 200
		type outcome struct {
			queue core.Queue
			err   error
		}
		send := func(keys []int) map[int]outcome { // all at once: those of a dead broker take their whole time
			var mu sync.Mutex
			var wg sync.WaitGroup
			out := map[int]outcome{}
			for _, k := range keys {
				wg.Go(func() {
					res, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x"), ShardingKey: fmt.Sprint("order-", k)})
					mu.Lock()
					defer mu.Unlock()
					out[k] = outcome{res.Queue, err}
				})
			}
			wg.Wait()
			return out
		}
		all := make([]int, keys)
		for k := range all {
			all[k] = k
		}
		place, onB := send(all), 0
		for k, o := range place {
			if o.err != nil {
				t.Fatalf("key %d: %v", k, o.err)
			}
			if o.queue.Broker == "broker-b" {
				onB++
			}
		}
		c.Kill(t, "broker-b")
		for !slices.Equal(c.routeBrokers(t, topic), []string{"broker-a"}) {
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(time.Second) // several refreshes
		moved, failed := 0, 0
		for k, o := range send(all) {
			var se *core.SendError
			switch {
			case o.err == nil && o.queue != place[k].queue:
				moved++
			case o.err != nil && place[k].queue.Broker == "broker-a":
				t.Errorf("key %d lives on broker-a: %v", k, o.err)
			case o.err != nil:
				failed++
				if !errors.As(o.err, &se) || se.Certainty != core.NotSent {
					t.Errorf("key %d: %v", k, o.err)
				}
			}
		}
		if moved != 0 || failed != onB {
			t.Errorf("%d of %d keys moved, %d of the %d on broker-b failed", moved, keys, failed, onB)
		}
		for range 20 { // sends without a key go where a broker is
			if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")}); err != nil {
				t.Errorf("without a key: %v", err)
			}
		}
		c.Restart(t, "broker-b")
		left := all
		for began := time.Now(); len(left) > 0; {
			var away []int
			for k, o := range send(left) {
				switch {
				case o.err != nil && time.Since(began) > time.Minute:
					t.Fatalf("a minute after the broker is back: %v", o.err)
				case o.err != nil:
					away = append(away, k)
				case o.queue != place[k].queue:
					t.Errorf("key %d is on %v, it was on %v", k, o.queue, place[k].queue)
				}
			}
			left = away
		}
		t.Logf("%s: 0 of %d keys moved; the %d of the killed broker failed, not sent, and were back in their places afterwards", version, keys, failed)
	})
}

// Brokers register an IPv6 address without brackets, as in ::1:10911. They can be reached there.
func TestBrokerWithAnIPv6Address(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, IPv6: true})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		p := refreshing(t, c, "ipv6", 0, 0)
		for range 20 {
			res, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
			if err != nil {
				t.Fatal(err)
			}
			if len(res.OffsetMessageID) != 56 { // 32 where the broker's address is IPv4
				t.Errorf("offset message id %s", res.OffsetMessageID)
			}
		}
		if got := p.Snapshot().Brokers; len(got) != 1 || got[0].Addr != c.BrokerAddr("broker-a") {
			t.Errorf("brokers %+v, want %s", got, c.BrokerAddr("broker-a"))
		}
		if n := c.Stored(t, topic, 4); n != 20 {
			t.Errorf("%d messages are stored", n)
		}
	})
}
