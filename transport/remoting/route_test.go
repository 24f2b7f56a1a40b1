package remoting_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// show writes a route in one line.
func show(r *core.Route) string {
	var b strings.Builder
	for i := range r.Len() {
		fmt.Fprintf(&b, "%v=%s ", r.Queue(i), r.Broker(i).Addr)
	}
	return strings.TrimSpace(b.String())
}

// A client that dials in a way of its own may find other brokers at the addresses that others
// know. What is learned of them must not be mixed.
func TestNetworkOfBrokers(t *testing.T) {
	ns := broker(t, func(s *session, c wire.Command) {
		s.answer(c, 0, "", []byte(`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[{"brokerName":"a","readQueueNums":1,"writeQueueNums":1,"perm":6}]}`)...)
	})
	network := func(dial func(context.Context, string, string) (net.Conn, error)) string {
		c := client(t, remoting.Config{NameServers: []string{ns.addr()}, Dial: dial})
		var networks []string
		for range 2 {
			r, err := c.Route(bg, "T")
			if err != nil {
				t.Fatal(err)
			}
			networks = append(networks, r.Broker(0).Network)
		}
		if networks[0] != networks[1] {
			t.Errorf("one client's networks are %q", networks)
		}
		return networks[0]
	}
	own := new(net.Dialer).DialContext
	if one, two := network(own), network(own); one == "" || one == two {
		t.Errorf("two clients with dial functions are in the networks %q and %q", one, two)
	}
	if one, two := network(nil), network(nil); one != "" || two != "" {
		t.Errorf("two clients without are in the networks %q and %q", one, two)
	}
}

// Row 7: whatever name servers answer gives a route of usable queues or a typed
// error that names the cause.
func TestRoute(t *testing.T) {
	const good = `{"brokerName":"a","readQueueNums":1,"writeQueueNums":1,"perm":6,"topicSysFlag":0}`
	for name, test := range map[string]struct {
		body string
		want string // the route, or a part of the error
	}{
		"standard":           {`{"brokerDatas":[{"brokerName":"a","cluster":"C","brokerAddrs":{"0":"h:1","1":"slave:1"}}],"queueDatas":[` + good + `]}`, "a/0=h:1"},
		"bare keys":          {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{0:"h:1"}}],"queueDatas":[` + good + `]}`, "a/0=h:1"},
		"sorted":             {`{"brokerDatas":[{"brokerName":"b","brokerAddrs":{"0":"h:2"}},{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[{"brokerName":"b","writeQueueNums":1,"perm":2},` + good + `]}`, "a/0=h:1 b/0=h:2"},
		"broker twice":       {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}},{"brokerName":"a","brokerAddrs":{"0":"h:2"}}],"queueDatas":[` + good + `,` + good + `]}`, "a/0=h:1"},
		"half":               {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}},{"brokerName":"b"}],"queueDatas":[{"brokerName":"b","writeQueueNums":9,"perm":6},` + good + `]}`, "a/0=h:1"},
		"order":              {`{"orderTopicConf":"b:1;a:2","brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[` + good + `]}`, "b/0= a/0=h:1 a/1=h:1"},
		"order, bad address": {`{"orderTopicConf":"a:1;b:1","brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}},{"brokerName":"b","brokerAddrs":{"0":"junk"}}],"queueDatas":[` + good + `]}`, "a/0=h:1 b/0="},
		"order, no master":   {`{"orderTopicConf":"a:1;b:1","brokerDatas":[{"brokerName":"a","brokerAddrs":{"1":"h:1"}}],"queueDatas":[` + good + `]}`, "no writable queue has a master"},
		"IPv6":               {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"fd00::2:10911"}}],"queueDatas":[` + good + `]}`, "a/0=[fd00::2]:10911"},
		"IPv6, short port":   {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"fd00::2:1091"}}],"queueDatas":[` + good + `]}`, "a/0=[fd00::2]:1091"},
		"IPv6, in full":      {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"fd00:0:0:0:0:0:0:2:10911"}}],"queueDatas":[` + good + `]}`, "a/0=[fd00:0:0:0:0:0:0:2]:10911"},
		"IPv6, loopback":     {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"::1:10911"}}],"queueDatas":[` + good + `]}`, "a/0=[::1]:10911"},
		"IPv6, of a zone":    {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"fe80::1%eth0:10911"}}],"queueDatas":[` + good + `]}`, "a/0=[fe80::1%eth0]:10911"},
		"IPv6, of IPv4":      {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"::ffff:10.0.0.1:10911"}}],"queueDatas":[` + good + `]}`, "a/0=[::ffff:10.0.0.1]:10911"},
		"IPv6, in brackets":  {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"[fd00::2]:10911"}}],"queueDatas":[` + good + `]}`, "a/0=[fd00::2]:10911"},
		"IPv6, no port":      {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"fd00::"}}],"queueDatas":[` + good + `]}`, "not host:port"},
		"colons":             {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"a:b:10911"}}],"queueDatas":[` + good + `]}`, "not host:port"},
		"bad address":        {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}},{"brokerName":"b","brokerAddrs":{"0":"junk"}}],"queueDatas":[{"brokerName":"b","writeQueueNums":9,"perm":6},` + good + `]}`, "a/0=h:1"},
		"empty":              {``, "unusable"},
		"null":               {`null`, "no writable queue"},
		"empty object":       {`{}`, "no writable queue"},
		"no addresses":       {`{"brokerDatas":[{"brokerName":"a"}],"queueDatas":[` + good + `]}`, "no writable queue has a master"},
		"no master":          {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"1":"h:1"}}],"queueDatas":[` + good + `]}`, "no writable queue has a master"},
		"unknown broker":     {`{"brokerDatas":[],"queueDatas":[` + good + `]}`, "no writable queue has a master"},
		"no write queues":    {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[{"brokerName":"a","readQueueNums":4,"perm":6}]}`, "no writable queue"},
		"not writable":       {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[{"brokerName":"a","writeQueueNums":4,"perm":4}]}`, "no writable queue"},
		"million queues":     {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[{"brokerName":"a","writeQueueNums":1000000,"perm":6}]}`, "65536 queues"},
		"negative queues":    {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[{"brokerName":"a","writeQueueNums":-1,"perm":6}]}`, "no writable queue"},
		"order with junk":    {`{"orderTopicConf":"junk","brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[` + good + `]}`, "order configuration"},
		"order of nobody":    {`{"orderTopicConf":"z:4","brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:1"}}],"queueDatas":[` + good + `]}`, "master"},
		"only bad address":   {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"no port"}}],"queueDatas":[` + good + `]}`, `"no port"`},
		"zero port":          {`{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":"h:0"}}],"queueDatas":[` + good + `]}`, "port"},
		"cut":                {`{"brokerDatas":[{"brokerName":"a"`, "unusable"},
		"too long":           {`{"x":"` + strings.Repeat("x", wire.MaxRoute) + `"}`, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := broker(t, func(s *session, c wire.Command) { s.answer(c, 0, "", []byte(test.body)...) })
			c := client(t, remoting.Config{NameServers: []string{ns.addr()}})
			route, err := c.Route(bg, "T")
			if err == nil {
				if show(route) != test.want {
					t.Errorf("got %q, want %q", show(route), test.want)
				}
				return
			}
			var re *remoting.RouteError
			if !errors.Is(err, core.ErrNoRoute) || core.ClassOf(err) != core.ClassNoRoute || !errors.As(err, &re) || re.Topic != "T" {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

// The name server is asked for standard JSON.
func TestRouteRequest(t *testing.T) {
	ns := nameServer(t, one)
	for _, ser := range []remoting.Serialization{remoting.Binary, remoting.JSON} {
		c := client(t, remoting.Config{NameServers: []string{ns.addr()}, Serialization: ser})
		if _, err := c.Route(bg, "T"); err != nil {
			t.Fatal(err)
		}
	}
	seen := ns.requests(wire.GetRouteInfoByTopic)
	for i, want := range []wire.Serialization{wire.RocketMQ, wire.JSON} {
		if c := seen[i]; c.Serialization != want || c.Ext.Get("topic") != "T" || c.Ext.Get("acceptStandardJsonOnly") != "true" || c.Language != wire.LanguageGo {
			t.Errorf("request %+v", c)
		}
	}
}

// An unknown topic gets the queues that brokers would create.
func TestAutoCreate(t *testing.T) {
	routes := map[string]*wire.RouteData{"KEY": routeTo(8, "h:1", "h:2")}
	routes["KEY"].Queues[1].ReadQueueNums = 1
	ns := nameServer(t, func(topic string) *wire.RouteData { return routes[topic] })
	c := client(t, remoting.Config{NameServers: []string{ns.addr()}, CreateTopicKey: "KEY", DefaultTopicQueueNums: 3})
	route, err := c.Route(bg, "new")
	if err != nil || show(route) != "broker-a/0=h:1 broker-a/1=h:1 broker-a/2=h:1 broker-b/0=h:2" {
		t.Errorf("got %v, %v", route, err)
	}
	c = client(t, remoting.Config{NameServers: []string{ns.addr()}})
	_, err = c.Route(bg, "new")
	if !errors.Is(err, core.ErrNoRoute) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v", err)
	}
}

func TestAddressHooks(t *testing.T) {
	ns := nameServer(t, func(string) *wire.RouteData { return routeTo(1, "10.0.0.1:1", "10.0.0.2:2") })
	c := client(t, remoting.Config{
		NameServers: []string{ns.addr()},
		MapAddr:     func(addr string) string { return strings.Replace(addr, "10.0.0", "127.0.0", 1) },
		AllowBroker: func(addr string) bool { return addr == "127.0.0.2:2" },
	})
	route, err := c.Route(bg, "T")
	if err != nil || show(route) != "broker-b/0=127.0.0.2:2" {
		t.Errorf("got %v, %v", route, err)
	}
	c = client(t, remoting.Config{NameServers: []string{ns.addr()}, AllowBroker: func(string) bool { return false }})
	if _, err = c.Route(bg, "T"); !errors.Is(err, core.ErrNoRoute) || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("got %v", err)
	}
}
