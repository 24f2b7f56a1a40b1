package remoting_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// With the VIP channel brokers are dialed at their port less two, for sends and heartbeats
// alike. Name servers are not, and what the table has is the address with that port.
func TestVIPChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		a, b := run(t, n.listen("10.0.0.1:10909"), nil), run(t, n.listen("b:1"), nil)
		ns := run(t, n.listen("10.0.0.9:9876"), func(s *session, c wire.Command) {
			answerRoute(s, c, func(string) *wire.RouteData { return routeTo(1, "10.0.0.1:10911", "10.0.0.2:10911") })
		})
		c := client(t, remoting.Config{
			NameServers: []string{"10.0.0.9"}, Dial: n.dial, ClientID: "me", VIPChannel: true, Addresses: []string{"10.0.0.2:10909=b:1"},
			AllowedBrokers: []string{"10.0.0.1:10909,b:1"},
		})
		cfg := coretest.Config(c)
		cfg.Routes = c
		p := coretest.Start(t, cfg)
		for _, name := range []string{"broker-a", "broker-b"} {
			m := coretest.Message("x")
			m.Queue = &core.Queue{Broker: name}
			if _, err := p.Send(bg, m); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for name, f := range map[string]*fake{"a": a, "b": b} {
			if len(f.requests(wire.SendMessageV2)) != 1 || len(beats(t, f)) != 1 || f.accepted.Load() != 1 {
				t.Errorf("%s: %d sends, %d heartbeats, %d connections", name, len(f.requests(wire.SendMessageV2)), len(beats(t, f)), f.accepted.Load())
			}
		}
		if ns.accepted.Load() != 1 || !strings.Contains(core.Describe(c).String(), "VIP channel brokers are dialed at their port less 2") {
			t.Error(core.Describe(c))
		}
	})
}

// A broker whose port has no VIP channel cannot be sent to, and the error says why.
func TestNoVIPChannel(t *testing.T) {
	ns := nameServer(t, func(string) *wire.RouteData { return routeTo(1, "10.0.0.1:2") })
	c := client(t, remoting.Config{NameServers: []string{ns.addr()}, VIPChannel: true})
	_, err := c.Route(bg, "T")
	if !errors.Is(err, core.ErrNoRoute) || !strings.Contains(err.Error(), `port "2" has no VIP channel`) {
		t.Error(err)
	}
}
