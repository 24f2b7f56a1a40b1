package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// virtual is a cluster in memory: a name server and two brokers.
type virtual struct {
	n      *pipes
	ns     *fake
	a, b   *fake
	routes func(topic string) *wire.RouteData
}

func newVirtual(t *testing.T) *virtual {
	v := &virtual{n: newPipes()}
	v.a, v.b = run(t, v.n.listen("a:1"), nil), run(t, v.n.listen("b:1"), nil)
	v.routes = func(string) *wire.RouteData { return routeTo(1, "a:1", "b:1") }
	v.ns = run(t, v.n.listen("ns:9876"), func(s *session, c wire.Command) { answerRoute(s, c, v.routes) })
	return v
}

func (v *virtual) client(t *testing.T) *remoting.Client {
	return client(t, remoting.Config{NameServers: []string{"ns"}, Dial: v.n.dial, ClientID: "me"})
}

// use sends to both brokers, without a group of its own.
func (v *virtual) use(t *testing.T, c *remoting.Client) {
	t.Helper()
	if _, err := c.Route(bg, "T"); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*fake{v.a, v.b} {
		if _, err := producer(t, c, b.addr()).Send(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
}

func beats(t *testing.T, f *fake) (groups [][]string) {
	t.Helper()
	for _, c := range f.requests(wire.HeartBeat) {
		h, err := wire.ParseHeartbeat(c.Body)
		if err != nil || h.ClientID != "me" {
			t.Fatalf("heartbeat %q: %v", c.Body, err)
		}
		groups = append(groups, h.ProducerGroups)
	}
	return groups
}

// A route of 60 addresses made one send dial them all and tell each the client's id and its
// groups: a name server that lies could ask for anything. Who is not sent to is not dialed.
func TestOneSendDialsOneBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		var addrs []string
		var brokers []*fake
		for i := range 60 {
			addr := fmt.Sprintf("broker-%d:1", i)
			addrs = append(addrs, addr)
			brokers = append(brokers, run(t, v.n.listen(addr), nil))
		}
		v.routes = func(string) *wire.RouteData {
			r := &wire.RouteData{}
			for i, addr := range addrs {
				one := routeTo(1, addr)
				one.Brokers[0].BrokerName = fmt.Sprint("broker-", i)
				one.Queues[0].BrokerName = one.Brokers[0].BrokerName
				r.Brokers, r.Queues = append(r.Brokers, one.Brokers...), append(r.Queues, one.Queues...)
			}
			return r
		}
		c := v.client(t)
		cfg := coretest.Config(c)
		cfg.Routes, cfg.Selector = c, selector.RoundRobin()
		p := coretest.Start(t, cfg)
		for sends := range 3 {
			if _, err := p.Send(bg, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // heartbeats
			met, beaten := 0, 0
			for _, b := range brokers {
				if b.accepted.Load() > 0 {
					met++
				}
				if len(beats(t, b)) > 1 {
					beaten++
				}
			}
			if met != sends+1 || beaten != sends+1 {
				t.Errorf("%d sends: %d brokers were dialed, %d got heartbeats", sends+1, met, beaten)
			}
		}
	})
}

// Brokers that were sent to hear of the groups at once, then every 30 s, and when a group
// goes.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.client(t)
		v.use(t, c)
		if len(beats(t, v.a)) != 0 {
			t.Error("a heartbeat without a group")
		}
		if err := c.RegisterGroup(bg, core.Registration{Group: "g2"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for name, f := range map[string]*fake{"a": v.a, "b": v.b} {
			if got := beats(t, f); len(got) != 1 || !slices.Equal(got[0], []string{"g2"}) {
				t.Errorf("%s after the first group: %v", name, got)
			}
		}
		if err := c.RegisterGroup(bg, core.Registration{Group: "g1"}); err != nil {
			t.Fatal(err)
		}
		if err := c.RegisterGroup(bg, core.Registration{Group: "g1"}); !errors.Is(err, core.ErrGroupTaken) {
			t.Errorf("registered twice: %v", err)
		}
		time.Sleep(95 * time.Second)
		if got := beats(t, v.b); len(got) != 5 || !slices.Equal(got[4], []string{"g1", "g2"}) {
			t.Errorf("after 95 s: %v", got)
		}
		if err := c.UnregisterGroup(bg, "g1"); err != nil {
			t.Fatal(err)
		}
		for _, f := range []*fake{v.a, v.b} {
			gone := f.requests(wire.UnregisterClient)
			if len(gone) != 1 {
				t.Fatalf("%d unregistrations", len(gone))
			}
			if u, err := wire.ParseUnregister(&gone[0]); err != nil || u.ClientID != "me" || u.ProducerGroup != "g1" || u.ConsumerGroup != "" {
				t.Errorf("unregistration %+v, %v", u, err)
			}
		}
		if err := c.RegisterGroup(bg, core.Registration{Group: "g1"}); err != nil {
			t.Errorf("registered again: %v", err)
		}
		if s := c.Stats(); s.Heartbeats < 10 || s.HeartbeatFailures != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A broker that comes back hears of the groups on the new connection.
func TestHeartbeatOnReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.client(t)
		cfg := coretest.Config(c)
		cfg.Routes = c
		p := coretest.Start(t, cfg)
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := len(beats(t, v.a))
		v.a.mu.Lock()
		v.a.sessions[0].nc.Close()
		v.a.mu.Unlock()
		synctest.Wait()
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := beats(t, v.a); len(got) != before+1 || !slices.Equal(got[before], []string{"test"}) {
			t.Errorf("heartbeats %v, %d of them before", got, before)
		}
	})
}

// A hung broker holds up neither the heartbeats of others nor an unregistration.
func TestHeartbeatHungBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		v.a.script = func(s *session, c wire.Command) {
			if c.Code == wire.SendMessageV2 {
				s.ok(c)
			}
		}
		c := v.client(t)
		if err := c.RegisterGroup(bg, core.Registration{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		v.use(t, c)
		time.Sleep(5 * time.Minute)
		if got := beats(t, v.b); len(got) < 10 {
			t.Errorf("the good broker got %d", len(got))
		}
		if s := c.Stats(); s.HeartbeatFailures < 9 || s.Connections > 4 {
			t.Errorf("stats %+v", s)
		}
		start := time.Now()
		if err := c.UnregisterGroup(bg, "g"); err != nil || time.Since(start) > remoting.DefaultRequestTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if n := len(v.b.requests(wire.UnregisterClient)); n == 0 || n > 2 { // twice if a heartbeat was under way
			t.Error("the good broker did not hear of it")
		}
	})
}

// Row 8: a route that flips leaves nothing behind, and an idle connection goes.
func TestOfflineBrokersAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.client(t)
		if err := c.RegisterGroup(bg, core.Registration{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			addr := []string{"a:1", "b:1"}[i%2]
			v.routes = func(string) *wire.RouteData { return routeTo(1, addr) }
			route, err := c.Route(bg, "T")
			if err != nil {
				t.Fatal(err)
			}
			cfg := coretest.Config(unregistered{c})
			cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return route, nil })
			if _, err := coretest.Start(t, cfg).Send(bg, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(70 * time.Second) // two sweeps
		// The name server's connection and that to the broker of the last route.
		if s := c.Stats(); s.Connections != 2 {
			t.Errorf("%d connections", s.Connections)
		}
		time.Sleep(3 * time.Minute)
		if s := c.Stats(); s.Connections != 1 || s.Lost != 0 {
			t.Errorf("after some time without look-ups: %+v", s)
		}
	})
}

// A connection without groups has no heartbeats and goes after the idle time; the
// next send dials again.
func TestIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.client(t)
		cfg := coretest.Config(unregistered{c})
		cfg.Routes = coretest.RouteFunc(c.Route)
		cfg.RouteRefresh = 1000 * time.Hour
		p := coretest.Start(t, cfg)
		for range 2 {
			if _, err := p.Send(bg, coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Second)
			if n := c.Stats().Connections; n == 0 {
				t.Error("closed too early")
			}
			time.Sleep(80 * time.Second)
			if n := c.Stats().Connections; n != 0 {
				t.Errorf("%d connections are open", n)
			}
		}
		if s := c.Stats(); s.Lost != 0 || s.Reconnects != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Brokers hear of a group when they come into use, not with every topic.
func TestTopicsMakeNoHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.client(t)
		if err := c.RegisterGroup(bg, core.Registration{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		v.use(t, c)
		for i := range 100 {
			if _, err := c.Route(bg, fmt.Sprint("T", i)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if n := len(beats(t, v.a)); n != 1 {
			t.Errorf("%d heartbeats for 100 topics", n)
		}
	})
}

// Heartbeats do not dial a broker to which no known route leads: it may be gone for good.
func TestHeartbeatsDialNoStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtual(t)
		c := v.client(t)
		if err := c.RegisterGroup(bg, core.Registration{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		// By a route that the client knows nothing of.
		p := producer(t, c, v.a.addr())
		time.Sleep(25 * time.Second) // shortly before a round
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		v.a.stop()
		dials := v.n.count()
		time.Sleep(10 * time.Minute)
		if n := v.n.count() - dials; n != 0 {
			t.Errorf("%d dials", n)
		}
	})
}
