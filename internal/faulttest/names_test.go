package faulttest_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Row 4: the name server is down, or hung, when the producer starts. Start does
// not wait for it, sends fail typed and unsent, and it heals by itself.
func TestFault04NameServerDownAtStart(t *testing.T) {
	for _, fault := range []struct {
		name       string
		down, back func(s *embedded.NameServer)
		most       time.Duration // of a failing send
	}{
		{"refused", (*embedded.NameServer).Stop, func(s *embedded.NameServer) { _ = s.Start(bg) }, 0},
		{"hung", (*embedded.NameServer).Pause, (*embedded.NameServer).Resume, core.DefaultTimeout},
	} {
		sub(t, fault.name, func(t *testing.T) {
			w := newWorld(t, 1)
			fault.down(w.NameServer(0))
			var p *sender
			wantTook(t, "start", took(func() { p = w.start(t) }), 0)
			for range 10 {
				d := took(func() {
					_, err := p.Send(bg, msg("x"))
					wantFailure(t, err, core.ClassNetwork, core.NotSent)
					wantText(t, err, w.NameServers()[0])
				})
				wantAtMost(t, "a send without a name server", d, fault.most)
				time.Sleep(50 * time.Millisecond)
			}
			fault.back(w.NameServer(0))
			wantAtMost(t, "the way back", p.recovery(t), time.Second)
			want(t, "stored", w.StoredCount("T"), 1)
		})
	}
}

// Row 5: the name server goes down later. Sends go on with the cached route, for
// as long as it lasts.
func TestFault05NameServerDownLater(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		w.NameServer(0).Stop()
		for i := range 60 {
			time.Sleep(time.Minute)
			wantTook(t, "a send", took(func() { p.ok(t, fmt.Sprint(i)) }), 0)
		}
		if s := p.stats(); s.HeartbeatFailures > 0 || s.Heartbeats < 100 {
			t.Errorf("an hour without name server: %d heartbeats, %d failed", s.Heartbeats, s.HeartbeatFailures)
		}
	})
}

// Row 6: the name server that a client uses hangs. Look-ups move on to the other
// one after their own limit, and the next ones begin there.
func TestFault06OneOfTwoNameServersHung(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorldOf(t, embedded.Config{NameServers: 2, Network: embedded.NewNetwork()})
		p := w.start(t)
		p.ok(t, "x")
		reqs := w.Requests(wire.GetRouteInfoByTopic)
		used := reqs[len(reqs)-1].Node
		for i := range 2 {
			if s := w.NameServer(i); s.Name() == used {
				s.Pause()
			}
		}
		for i, want := range []time.Duration{remoting.DefaultNameServerTimeout, 0, 0} {
			m := &core.Message{Topic: fmt.Sprintf("new-%d", i), Body: []byte("x")}
			d := took(func() {
				if _, err := p.Send(bg, m); err != nil {
					t.Error(err)
				}
			})
			wantTook(t, "the send to a new topic", d, want)
		}
	})
}

// A topic's only broker moves, and its old address swallows what comes. One send waits out its
// time and asks for the route, so those after the look-up go to the new address. It was three
// sends and 9 s, until the connection's end or the next refresh.
func TestFaultBrokerMovedFromAnAddressThatSwallows(t *testing.T) {
	for _, moment := range []time.Duration{-time.Second, time.Second} { // after the fault begins
		sub(t, moment.String(), func(t *testing.T) {
			w := newWorld(t, 2)
			at := func(b string) { w.routeIs(routeTo(w.Broker(b).Addr())) }
			at("broker-a")
			p := w.start(t)
			p.ok(t, "before")
			w.Broker("broker-a").Pause()
			go func() {
				time.Sleep(moment)
				at("broker-b")
			}()
			if moment < 0 {
				synctest.Wait()
			}
			start := time.Now()
			_, err := p.Send(bg, msg("swallowed"))
			wantFailure(t, err, core.ClassTimeout, core.MaybeStored)
			synctest.Wait() // the look-up takes no time here
			p.ok(t, "after")
			wantTook(t, "both", time.Since(start), core.DefaultTimeout)
			w.Broker("broker-a").Resume()
		})
	}
}

// badRoutes are routes that cannot be sent to.
func badRoutes() map[string]struct{ body, says string } {
	queue := func(broker string, write int64, perm int) string {
		return fmt.Sprintf(`{"brokerName":%q,"perm":%d,"readQueueNums":4,"writeQueueNums":%d,"topicSysFlag":0}`, broker, perm, write)
	}
	broker := func(addrs string) string {
		return `{"cluster":"C","brokerName":"a","brokerAddrs":` + addrs + `}`
	}
	route := func(queues, brokers string) string {
		return `{"queueDatas":[` + queues + `],"brokerDatas":[` + brokers + `],"filterServerTable":{}}`
	}
	good := broker(`{"0":"127.0.0.1:10002"}`)
	return map[string]struct{ body, says string }{
		"no body":              {"", "route"},
		"null":                 {"null", "route"},
		"empty object":         {"{}", "no writable queue"},
		"an array":             {"[]", "route"},
		"cut off":              {route(queue("a", 4, 6), good)[:40], "route"},
		"no brokers":           {route(queue("a", 4, 6), ""), "no writable queue has a master"},
		"no queues":            {route("", good), "no writable queue"},
		"no brokerAddrs":       {route(queue("a", 4, 6), `{"cluster":"C","brokerName":"a"}`), "no writable queue has a master"},
		"brokerAddrs null":     {route(queue("a", 4, 6), broker("null")), "no writable queue has a master"},
		"no master":            {route(queue("a", 4, 6), broker(`{"1":"127.0.0.1:10002"}`)), "no writable queue has a master"},
		"empty address":        {route(queue("a", 4, 6), broker(`{"0":""}`)), "no writable queue has a master"},
		"address without port": {route(queue("a", 4, 6), broker(`{"0":"127.0.0.1"}`)), "not host:port"},
		"no write queues":      {route(queue("a", 0, 6), good), "no writable queue"},
		"negative queues":      {route(queue("a", -1, 6), good), "route"},
		"read only":            {route(queue("a", 4, 4), good), "no writable queue"},
		"unknown broker":       {route(queue("b", 4, 6), good), "no writable queue has a master"},
		"a million queues":     {route(queue("a", 1_000_000, 6), good), "queues"},
		"too many queues":      {route(queue("a", 1<<40, 6), good), "route"},
		"order without colon":  {`{"orderTopicConf":"a",` + route(queue("a", 4, 6), good)[1:], "order"},
		"2 MiB":                {route(queue(strings.Repeat("b", 2<<20), 4, 6), good), "longer than"},
		"nested":               {strings.Repeat(`{"queueDatas":`, 10_000), "route"},
	}
}

// Row 7: empty, stale, broken and hostile routes. Without another route the send
// fails as having none and says why; a route that is already known stays, unless the
// topic was made read-only.
func TestFault07BadRoutes(t *testing.T) {
	for name, bad := range badRoutes() {
		sub(t, name, func(t *testing.T) {
			w := newWorld(t, 1)
			p := w.start(t)
			heal := w.routeBody([]byte(bad.body))
			before := allocated()
			_, err := p.Send(bg, msg("x"))
			if grown := allocated() - before; grown > 16<<20 {
				t.Errorf("%d bytes allocated for it", grown)
			}
			wantFailure(t, err, core.ClassNoRoute, core.NotSent)
			wantText(t, err, bad.says)
			if !errors.Is(err, core.ErrNoRoute) {
				t.Errorf("got %v", err)
			}
			if len(err.Error()) > 4<<10 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			want(t, "requests", w.count(), 0)

			heal()
			p.ok(t, "healed")
			w.routeBody([]byte(bad.body))
			for range 4 {
				time.Sleep(core.DefaultRouteRefresh + time.Second)
				if name == "read only" {
					continue // somebody means it
				}
				p.ok(t, "with the old route")
			}
			if name == "read only" {
				_, err := p.Send(bg, msg("x"))
				wantFailure(t, err, core.ClassNoRoute, core.NotSent)
				if !errors.Is(err, core.ErrNotWritable) {
					t.Errorf("got %v", err)
				}
				want(t, "requests", w.count(), 1)
			}
		})
	}
	sub(t, "bare integer keys", func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		r := routeTo(w.Broker("broker-a").Addr())
		r.Brokers[0].BrokerName, r.Queues[0].BrokerName = "broker-a", "broker-a"
		body := wire.AppendRoute(nil, r, wire.BareKeys)
		if !bytes.Contains(body, []byte("{0:")) {
			t.Fatalf("no bare key in %s", body)
		}
		w.routeBody(body)
		p.ok(t, "x")
	})
}

// allocated is how many bytes the process has allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// Row 8: the route flips at each refresh, between two brokers and over ever new
// addresses. Sends follow, and nothing is left of the old ones: no connection,
// breaker or goroutine.
func TestFault08RouteFlips(t *testing.T) {
	sub(t, "between two", func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		var flips atomic.Int64
		w.Control(wire.GetRouteInfoByTopic, func(*embedded.Request) embedded.Action {
			b := w.Brokers()[(flips.Add(1)-1)%2]
			r := routeTo(b.Addr())
			r.Brokers[0].BrokerName, r.Queues[0].BrokerName = b.Name(), b.Name()
			return embedded.ReplyWith(wire.Command{Body: wire.AppendRoute(nil, r, wire.StandardKeys)})
		})
		for i := range 40 {
			res := p.ok(t, fmt.Sprint(i))
			want(t, "broker", res.Queue.Broker, w.Brokers()[(flips.Load()-1)%2].Name())
			time.Sleep(core.DefaultRouteRefresh)
			synctest.Wait()
		}
		if n := flips.Load(); n < 30 {
			t.Fatalf("only %d flips", n)
		}
		if n := p.stats().Connections; n > 3 {
			t.Errorf("%d connections", n)
		}
	})
	sub(t, "ever new addresses", func(t *testing.T) {
		const peers = 60
		w := newWorld(t, 1)
		var all []*peer
		for range peers {
			all = append(all, newPeer(t, w.net, (*link).serve))
		}
		p := w.startWith(t, liftoff.Config{})
		var at atomic.Int64
		w.Control(wire.GetRouteInfoByTopic, func(*embedded.Request) embedded.Action {
			at := at.Load()
			r := routeTo(all[at].addr())
			name := fmt.Sprintf("peer-%d", at)
			r.Brokers[0].BrokerName, r.Queues[0].BrokerName = name, name
			return embedded.ReplyWith(wire.Command{Body: wire.AppendRoute(nil, r, wire.StandardKeys)})
		})
		p.ok(t, "x")
		most, goroutines, early := 0, 0, 0
		for i := 1; i < peers; i++ {
			at.Store(int64(i))
			time.Sleep(core.DefaultRouteRefresh)
			synctest.Wait()
			want(t, "broker", p.ok(t, "x").Queue.Broker, fmt.Sprintf("peer-%d", i))
			most = max(most, p.stats().Connections)
			goroutines = max(goroutines, runtime.NumGoroutine())
			if i == peers/4 {
				early = goroutines
			}
		}
		// The current one, the name server, and those that the next sweep takes.
		if most > 5 {
			t.Errorf("%d connections at a time", most)
		}
		if goroutines > early+4 {
			t.Errorf("%d goroutines after a quarter, %d at the end", early, goroutines)
		}
		if n := len(p.breakers.States()); n > 2 {
			t.Errorf("%d breakers", n)
		}
	})
}
