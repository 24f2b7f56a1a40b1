package remoting_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// routeTable is what a scripted name server knows; it can change.
type routeTable struct {
	mu     sync.Mutex
	routes map[string]*wire.RouteData
}

func (r *routeTable) set(routes map[string]*wire.RouteData) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.routes = routes
}

func (r *routeTable) get(topic string) *wire.RouteData {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.routes[topic]
}

// world is a name server and a broker-a and broker-b that take everything, in memory.
func knownWorld(t *testing.T) (table *routeTable, n *pipes, a, b *fake) {
	n, table = newPipes(), &routeTable{}
	run(t, n.listen("ns:9876"), func(s *session, c wire.Command) { answerRoute(s, c, table.get) })
	return table, n, run(t, n.listen("a:1"), nil), run(t, n.listen("b:1"), nil)
}

// only is a route of one broker, named by its address.
func only(queues int, addr string) *wire.RouteData {
	name := "broker-" + addr[:1]
	return &wire.RouteData{
		Brokers: []wire.BrokerData{{BrokerName: name, Addrs: map[int64]string{rocketmq.MasterID: addr}}},
		Queues:  []wire.QueueData{{BrokerName: name, ReadQueueNums: queues, WriteQueueNums: queues, Perm: rocketmq.PermRead | rocketmq.PermWrite}},
	}
}

// A name server that was restarted does not know a topic yet, but the default topic of another
// broker. The next refresh replaced the topic's route by that: messages went to a broker that
// does not have the topic, which was created there for good.
func TestKnownRouteIsNotReplacedByTheDefaultTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, n, a, b := knownWorld(t)
		table.set(map[string]*wire.RouteData{"T1": only(4, "b:1"), "T2": only(2, "b:1"), "TBW102": only(8, "a:1")})
		var logged bytes.Buffer
		c := client(t, remoting.Config{
			NameServers: []string{"ns:9876"}, Dial: n.dial, HeartbeatInterval: time.Second,
			Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		start := func(group string) *core.Producer {
			cfg := coretest.Config(unregistered{c})
			cfg.Group, cfg.Routes, cfg.RouteRefresh = group, c, time.Second
			return coretest.Start(t, cfg)
		}
		p := start("first")
		send := func(p *core.Producer, topic, broker string) {
			t.Helper()
			res, err := p.Send(bg, &core.Message{Topic: topic, Body: []byte("x")})
			if err != nil || res.Queue.Broker != broker {
				t.Errorf("%s went to %v, %v; want %s", topic, res.Queue, err, broker)
			}
		}
		send(p, "T1", "broker-b")
		send(p, "T2", "broker-b")

		table.set(map[string]*wire.RouteData{"TBW102": only(8, "a:1")})
		for range 10 {
			time.Sleep(time.Second)
			send(p, "T1", "broker-b")
			send(p, "T2", "broker-b")
		}
		send(start("second"), "T1", "broker-b") // a producer that did not know the route itself
		send(p, "new", "broker-a")              // what the fall-back is for
		if s := strings.Count(logged.String(), "no name server knows the topic"); s != 2 {
			t.Errorf("%d lines for two topics:\n%s", s, logged.String())
		}

		// Hours later, nobody used T1 meanwhile: the producer has forgotten its route.
		for range 20 {
			time.Sleep(10 * time.Minute)
			send(p, "T2", "broker-b")
		}
		send(p, "T1", "broker-b")

		// The topic is found elsewhere: that counts.
		table.set(map[string]*wire.RouteData{"T1": only(1, "a:1"), "TBW102": only(8, "a:1")})
		time.Sleep(3 * time.Second)
		send(p, "T1", "broker-a")
		if len(a.requests(wire.SendMessageV2)) != 2 || len(b.requests(wire.SendMessageV2)) == 0 {
			t.Errorf("%d sends at broker-a", len(a.requests(wire.SendMessageV2)))
		}
	})
}

// The only broker of a topic is gone, and the name server forgets both. The topic stays where
// it was: sends fail, certainly not sent, until the broker is back.
func TestTheOnlyBrokerOfAKnownRouteDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, n, a, _ := knownWorld(t)
		table.set(map[string]*wire.RouteData{"T": only(4, "c:1"), "TBW102": only(8, "a:1")})
		ln := n.listen("c:1")
		dead := run(t, ln, nil)
		c := client(t, remoting.Config{NameServers: []string{"ns:9876"}, Dial: n.dial})
		cfg := coretest.Config(unregistered{c})
		cfg.Routes, cfg.RouteRefresh = c, time.Second
		p := coretest.Start(t, cfg)
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		dead.stop()
		table.set(map[string]*wire.RouteData{"TBW102": only(8, "a:1")})
		for range 60 {
			time.Sleep(time.Minute)
			_, err := p.Send(bg, coretest.Message("x"))
			wantFailure(t, err, core.ClassNetwork, core.NotSent)
		}
		run(t, n.listen("c:1"), nil)
		time.Sleep(time.Second)
		if res, err := p.Send(bg, coretest.Message("x")); err != nil || res.Queue.Broker != "broker-c" {
			t.Errorf("after the broker is back: %v, %v", res.Queue, err)
		}
		if n := len(a.requests(wire.SendMessageV2)); n != 0 {
			t.Errorf("%d sends at a broker that does not have the topic", n)
		}
	})
}

// A topic that brokers are to create keeps following the default topic until a name server
// knows it; and one that was read-only when its name server was restarted stays so.
func TestWhatCountsAsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, n, _, _ := knownWorld(t)
		c := client(t, remoting.Config{NameServers: []string{"ns:9876"}, Dial: n.dial})
		readOnly := only(1, "b:1")
		readOnly.Queues[0].Perm = rocketmq.PermRead
		for i, step := range []struct {
			knows map[string]*wire.RouteData
			want  string // the route, or a part of the error
		}{
			{map[string]*wire.RouteData{"TBW102": only(1, "a:1")}, "broker-a/0=a:1"},
			{map[string]*wire.RouteData{"TBW102": only(1, "b:1")}, "broker-b/0=b:1"},
			{map[string]*wire.RouteData{}, "does not exist"},
			{map[string]*wire.RouteData{"TBW102": only(1, "a:1")}, "broker-a/0=a:1"},
			{map[string]*wire.RouteData{"T": only(2, "b:1")}, "broker-b/0=b:1 broker-b/1=b:1"},
			{map[string]*wire.RouteData{"TBW102": only(1, "a:1")}, "broker-b/0=b:1 broker-b/1=b:1"},
			{map[string]*wire.RouteData{}, "broker-b/0=b:1 broker-b/1=b:1"},
			{map[string]*wire.RouteData{"T": readOnly}, "no writable queue"},
			{map[string]*wire.RouteData{"TBW102": only(1, "a:1")}, "no writable queue"},
			{map[string]*wire.RouteData{"T": only(1, "b:1")}, "broker-b/0=b:1"},
		} {
			table.set(step.knows)
			route, err := c.Route(bg, "T")
			if err == nil && show(route) != step.want || err != nil && !strings.Contains(err.Error(), step.want) {
				t.Errorf("step %d: got %v, %v; want %s", i, route, err, step.want)
			}
			if step.want == "no writable queue" && !errors.Is(err, core.ErrNotWritable) {
				t.Errorf("step %d: %v", i, err)
			}
		}
	})
}

// A topic whose route is kept is in use: it does not make room for new ones.
func TestKeptRouteIsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, n, _, _ := knownWorld(t)
		c := client(t, remoting.Config{NameServers: []string{"ns:9876"}, Dial: n.dial, MaxTopics: 2})
		known := func(topic string) bool {
			time.Sleep(time.Second)
			_, err := c.Route(bg, topic)
			return err == nil
		}
		table.set(map[string]*wire.RouteData{"kept": only(1, "b:1"), "idle": only(1, "b:1")})
		_, _ = known("kept"), known("idle")
		table.set(map[string]*wire.RouteData{"new": only(1, "a:1")})
		if !known("kept") || !known("new") || !known("kept") || known("idle") {
			t.Error("another topic made room than the one that was looked up longest ago")
		}
	})
}

// Known routes are bounded, by topics and by their queues together; the one that was used
// longest ago makes room.
func TestKnownRoutesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct{ most, queues, kept int }{
			"topics": {3, 1, 3},
			"queues": {1000, 60_000, 17}, // of 2^20
		} {
			table, n, _, _ := knownWorld(t)
			c := client(t, remoting.Config{NameServers: []string{"ns:9876"}, Dial: n.dial, MaxTopics: tt.most})
			const topics = 30
			routes := map[string]*wire.RouteData{}
			for i := range topics {
				routes[fmt.Sprint("T", i)] = only(tt.queues, "b:1")
			}
			table.set(routes)
			for i := range topics {
				if _, err := c.Route(bg, fmt.Sprint("T", i)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			table.set(map[string]*wire.RouteData{})
			for i := range topics {
				_, err := c.Route(bg, fmt.Sprint("T", i))
				if known := i >= topics-tt.kept; (err == nil) != known {
					t.Errorf("%s: topic %d: %v, want known %v", name, i, err, known)
				}
			}
		}
	})
}
