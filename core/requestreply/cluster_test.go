package requestreply_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Requests over real connections to three brokers, from the first one on, each get their own
// reply, whichever broker it comes by.
func TestRoundTrips(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(3)})
	r, _ := onCluster(t, c, "asking")
	_, replier := onCluster(t, c, "replying")
	respond(t, c, replier)
	const each, callers = 25, 8
	var wg sync.WaitGroup
	for k := range callers {
		wg.Go(func() {
			for i := range each {
				body := fmt.Sprintf("question %d-%d", k, i)
				reply, err := r.Request(t.Context(), message(body), core.SendTimeout(20*time.Second))
				if err != nil {
					t.Error(err)
					return
				}
				if got := string(reply.Body); got != strings.ToUpper(body) {
					t.Errorf("%s: %s", body, got)
				}
				if reply.Request.Status != core.SendOK || reply.Properties[rocketmq.PropertyMsgType] != "reply" || reply.Properties[rocketmq.PropertyPushReplyTime] == "" {
					t.Errorf("%+v", reply)
				}
			}
		})
	}
	wg.Wait()
	if s := r.Snapshot(); s != (requestreply.Snapshot{Requests: each * callers, Replies: each * callers}) {
		t.Errorf("%+v", s)
	}
	// Each request and each reply is stored once, the replies in the cluster's topic for them.
	if n := c.StoredCount(topic); n != each*callers {
		t.Errorf("%d requests are stored", n)
	}
	// A broker stores a reply when it has brought it.
	for c.StoredCount("DefaultCluster_REPLY_TOPIC") != each*callers && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	for _, m := range c.Stored(topic) {
		if m.Property("REPLY_TO_CLIENT") == "" || m.Property("CORRELATION_ID") == "" || m.Property("TTL") == "" || m.Property("TTL") > "20000" {
			t.Fatalf("%v", m.Properties)
		}
	}
}

// One client may make requests and replies, its producers may share it, and a namespace changes
// the topic of requests alone.
func TestSharedClient(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	client := must(remoting.NewClient(remoting.Config{NameServers: c.NameServers()}))
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Shutdown(t.Context()) })
	a, p := onCluster(t, c, "a", liftoff.WithClient(client))
	b, _ := onCluster(t, c, "b", liftoff.WithClient(client))
	respond(t, c, p)
	for _, r := range []*requestreply.Requester{a, b, a} {
		reply, err := r.Request(t.Context(), message("hello"), core.SendTimeout(20*time.Second))
		if err != nil || string(reply.Body) != "HELLO" {
			t.Fatalf("%v, %v", reply, err)
		}
	}
	for _, r := range []*requestreply.Requester{a, b} {
		if s := r.Snapshot(); s.Unmatched != 0 || s.Waiting != 0 || s.Bytes != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// A name server that names clusters without end does not fill the route cache.
func TestClustersOfARoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := embedded.New(t, embedded.Config{Network: embedded.NewNetwork()})
		r := must(liftoff.NewRequester(requestreply.Config{}))
		client := must(remoting.NewClient(remoting.Config{Dial: c.Dial, NameServers: c.NameServers()}))
		p := must(liftoff.New(liftoff.Config{Group: "g"}, liftoff.WithOwnClient(client), liftoff.WithHooks(r)))
		addr := map[int64]string{0: c.Broker("broker-a").Addr()}
		c.Control(wire.GetRouteInfoByTopic, func(q *embedded.Request) embedded.Action {
			route := &wire.RouteData{}
			for i := range 100 {
				name := fmt.Sprint("b", i)
				route.Brokers = append(route.Brokers, wire.BrokerData{BrokerName: name, Cluster: fmt.Sprint("c", i), Addrs: addr})
				route.Queues = append(route.Queues, wire.QueueData{BrokerName: name, ReadQueueNums: 1, WriteQueueNums: 1, Perm: 6})
			}
			return embedded.ReplyWith(wire.Command{Body: wire.AppendRoute(nil, route, wire.StandardKeys)})
		})
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := r.Request(t.Context(), message("x"), core.SendTimeout(5*time.Second)); !errors.Is(err, core.ErrTimeout) {
				t.Errorf("%v", err)
			}
		}
		if n := len(p.Snapshot().Topics); n != 1+16 { // the requests' own, and one a cluster
			t.Errorf("%d topics in the route cache", n)
		}
		shut(t, p)
	})
}

// A reply whose requester has gone is refused by every broker, and says so; the breakers of the
// brokers stay closed.
func TestReplyToNobody(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	_, p := onCluster(t, c, "replying")
	request := map[string]string{"CLUSTER": "DefaultCluster", "CORRELATION_ID": "1", "REPLY_TO_CLIENT": "gone@1", "TTL": "3000"}
	for range 10 {
		_, err := requestreply.SendReply(t.Context(), p, request, []byte("x"))
		var failed *core.SendError
		if !errors.As(err, &failed) || failed.Class != core.ClassForbidden || failed.Certainty != core.NotStored || len(failed.Attempts) != 2 {
			t.Fatalf("%v", err)
		}
	}
	if n := c.RequestCount(wire.SendReplyMessageV2); n != 20 {
		t.Errorf("%d requests 325", n)
	}
}

// Bodies that the producers pack arrive unpacked.
func TestPackedReply(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	r, _ := onCluster(t, c, "asking")
	_, replier := onCluster(t, c, "replying")
	body := strings.Repeat("the same again and again ", 1000)
	var replying sync.WaitGroup
	replying.Go(func() {
		if _, err := requestreply.SendReply(t.Context(), replier, consume(c, topic), []byte(body)); err != nil {
			t.Error(err)
		}
	})
	reply, err := r.Request(t.Context(), message("x"), core.SendTimeout(20*time.Second))
	if err != nil || string(reply.Body) != body {
		t.Fatalf("%v", err)
	}
	replying.Wait()
	if n := len(c.Stored("DefaultCluster_REPLY_TOPIC")[0].Body); n >= len(body) {
		t.Errorf("it was not packed: %d bytes", n)
	}
	checkIdle(t, r)
}

func checkIdle(tb testing.TB, r *requestreply.Requester) {
	tb.Helper()
	if s := r.Snapshot(); s.Waiting != 0 || s.Bytes != 0 {
		tb.Errorf("something is left: %+v", s)
	}
}
