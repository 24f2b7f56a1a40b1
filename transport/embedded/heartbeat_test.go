package embedded_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// waitFor polls what another goroutine brings about soon.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 60_000 {
		if ok() {
			return
		}
		pause()
	}
	t.Fatalf("waited in vain for %s", what)
}

func TestHeartbeatRegistersGroups(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	b := c.Brokers()[0]
	p := connect(t, c, b.Addr(), wire.JSON)
	beat := func(body string) wire.Fields {
		t.Helper()
		return mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Language: wire.LanguageGo, Body: []byte(body)}), 0).Ext
	}
	v2 := wire.Fields{prop("IS_SUPPORT_HEART_BEAT_V2", "true"), prop("IS_SUB_CHANGE", "true")}
	if got := beat(`{"clientID":"c1","consumerDataSet":[],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"p2"},{"groupName":"p1"}],"withoutSub":false}`); !slices.Equal(got, v2) {
		t.Errorf("fields %v", got)
	}
	beat(`{"clientID":"c1","producerDataSet":[{"groupName":"p3"}],"consumerDataSet":[{"groupName":"g1","consumeType":"CONSUME_ACTIVELY","subscriptionDataSet":[{"topic":"t"}]}]}`)
	clients := c.Clients("broker-a")
	if len(clients) != 1 {
		t.Fatalf("clients %+v", clients)
	}
	got := clients[0]
	if got.ID != "c1" || !slices.Equal(got.ProducerGroups, []string{"p1", "p2", "p3"}) || !slices.Equal(got.ConsumerGroups, []string{"g1"}) ||
		got.Heartbeats != 2 || got.Language != wire.LanguageGo || got.Version != wire.CurrentVersion || got.Conn == 0 {
		t.Errorf("client %+v", got)
	}
	if c.Clients("nobody") != nil {
		t.Error("an unknown broker has clients")
	}
	ids := mustCode(t, p.call(wire.Command{Code: wire.GetConsumerListByGroup, Ext: wire.Fields{prop("consumerGroup", "g1")}}), 0)
	if string(ids.Body) != `{"consumerIdList":["c1"]}` {
		t.Errorf("consumers %s", ids.Body)
	}
	mustCode(t, p.call(wire.Command{Code: wire.GetConsumerListByGroup, Ext: wire.Fields{prop("consumerGroup", "g2")}}), 1)
	mustCode(t, p.send("%RETRY%g1", 0, "x"), 0)

	// The shortened form says only whether something is new.
	if got := beat(`{"clientID":"c1","heartbeatFingerprint":7,"withoutSub":true}`); got.Get("IS_SUB_CHANGE") != "true" {
		t.Errorf("new fingerprint: %v", got)
	}
	if got := beat(`{"clientID":"c1","heartbeatFingerprint":7,"withoutSub":true}`); got.Get("IS_SUB_CHANGE") != "false" {
		t.Errorf("same fingerprint: %v", got)
	}

	leave := func(producer, consumer string) {
		t.Helper()
		u := wire.Unregister{ClientID: "c1", ProducerGroup: producer, ConsumerGroup: consumer}
		mustCode(t, p.call(wire.Command{Code: wire.UnregisterClient, Ext: u.Fields()}), 0)
	}
	leave("p2", "")
	if got := b.ProducerGroups(); !slices.Equal(got, []string{"p1", "p3"}) {
		t.Errorf("groups %v", got)
	}
	leave("p1", "g1")
	leave("p3", "")
	if clients := b.Clients(); len(clients) != 0 {
		t.Errorf("clients after all groups left: %+v", clients)
	}
	leave("p3", "") // once more is no error
	mustCode(t, p.call(wire.Command{Code: wire.UnregisterClient}), 0)
	for _, body := range []string{"", "no json", `{}`, `{"clientID":""}`} {
		mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Body: []byte(body)}), 1)
	}
	if a := p.call(wire.Command{Code: wire.HeartBeat, Body: []byte(strings.Repeat("x", 1<<20+1))}); a.Code != 1 {
		t.Errorf("endless heartbeat: %+v", a)
	}
}

func TestClientIsForgottenWithItsConnection(t *testing.T) {
	c := embedded.New(t, embedded.Config{})
	b := c.Brokers()[0]
	p := connect(t, c, b.Addr(), wire.RocketMQ)
	mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Body: wire.AppendHeartbeat(nil, &wire.Heartbeat{ClientID: "c1", ProducerGroups: []string{"p"}})}), 0)
	if n := len(b.Clients()); n != 1 || b.Connections() != 1 {
		t.Fatalf("%d clients, %d connections", n, b.Connections())
	}
	_ = p.conn.Close()
	waitFor(t, "the client to be forgotten", func() bool { return len(b.Clients()) == 0 && b.Connections() == 0 })
}

// Consumers share queues anew when told that their group has changed.
func TestConsumersAreToldOfChanges(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	addr := c.Brokers()[0].Addr()
	join := func(p *peer, client string) {
		t.Helper()
		cmd := wire.Command{Code: wire.HeartBeat, Body: []byte(`{"clientID":"` + client + `","consumerDataSet":[{"groupName":"g"}]}`)}
		p.write(&cmd)
	}
	// told reads until the notice has come and, if told to, an answer; their order is open.
	told := func(p *peer, answers int) {
		t.Helper()
		notices := 0
		for notices == 0 || answers > 0 {
			cmd, err := p.next()
			switch {
			case err != nil:
				t.Fatal(err)
			case cmd.IsResponse():
				answers--
			case cmd.Code == wire.NotifyConsumerIDsChanged && cmd.Ext.Get("consumerGroup") == "g" && cmd.IsOneway():
				notices++
			default:
				t.Fatalf("got %+v", cmd)
			}
		}
	}
	first, second, third := connect(t, c, addr, wire.JSON), connect(t, c, addr, wire.RocketMQ), connect(t, c, addr, wire.JSON)
	join(first, "one")
	told(first, 1)
	join(second, "two")
	told(second, 1)
	told(first, 0)
	join(third, "three")
	told(third, 1)
	told(second, 0)
	told(first, 0)
	leave := wire.Command{Code: wire.UnregisterClient, Ext: wire.Unregister{ClientID: "two", ConsumerGroup: "g"}.Fields()}
	second.write(&leave)
	told(first, 0)
	told(third, 0)
	_ = third.conn.Close()
	told(first, 0)
	join(first, "one") // nothing new: only an answer comes
	if cmd, err := first.next(); err != nil || !cmd.IsResponse() {
		t.Errorf("%+v, %v", cmd, err)
	}
}
