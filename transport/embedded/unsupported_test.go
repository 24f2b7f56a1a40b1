package embedded_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Nobody saw what a cluster refused, because the client was the only one who was told.
func TestUnsupportedIsToldOnce(t *testing.T) {
	var mu sync.Mutex
	var told []string
	var from []string
	c := inMemory(t, embedded.Config{Unsupported: func(req *embedded.Request, what string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf("%s: %d %v %s", req.Node, req.Command.Code, req.Command.Language, what))
		from = append(from, req.Remote.String())
	}})
	broker, ns := connect(t, c, c.Brokers()[0].Addr(), wire.JSON), connect(t, c, c.NameServers()[0], wire.JSON)
	topic := wire.Fields{
		prop("topic", "t"), prop("readQueueNums", "1"), prop("writeQueueNums", "1"), prop("perm", "6"),
		prop("topicFilterType", "SINGLE_TAG"), prop("attributes", "+queue.type=BatchCQ"),
	}
	for range 2 {
		mustCode(t, broker.call(wire.Command{Code: wire.QueryBrokerOffset, Language: wire.LanguageJava}), 3)
		mustCode(t, broker.call(wire.Command{Code: wire.PopMessage, Language: wire.LanguageCPP}), 3)
		mustCode(t, broker.call(wire.Command{Code: 9999, Language: wire.LanguageGo}), 3)
		mustCode(t, ns.call(wire.Command{Code: wire.PutKVConfig, Language: wire.LanguageJava}), 3)
		mustCode(t, broker.send("t", 0, "x"), 0)
		mustCode(t, broker.call(pullCommand("t", 0, 0, 1, prop("expressionType", "SQL92"))), 1)
		mustCode(t, broker.call(wire.Command{Code: wire.UpdateAndCreateTopic, Ext: topic}), 29)
		mustCode(t, broker.call(wire.Command{Code: wire.DeleteTopicInBroker, Ext: wire.Fields{prop("topic", "t")}}), 0)
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{
		"broker-a: 13 JAVA query broker offset", "broker-a: 200050 CPP pop message", "broker-a: 9999 GO request 9999",
		"namesrv: 100 JAVA put kv config", "broker-a: 11 JAVA filters by other expressions than tags",
		"broker-a: 17 JAVA attributes of topics",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if len(from) > 0 && from[0] != broker.conn.LocalAddr().String() {
		t.Errorf("from %s, want %v", from[0], broker.conn.LocalAddr())
	}
}

// A peer that makes codes up is told of 256 times and not more.
func TestUnsupportedIsBounded(t *testing.T) {
	var told int
	c := inMemory(t, embedded.Config{Unsupported: func(*embedded.Request, string) { told++ }})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
	for code := range 300 {
		mustCode(t, p.call(wire.Command{Code: 10_000 + code}), 3)
	}
	if told != 256 {
		t.Errorf("told of %d codes, want 256", told)
	}
}

// Brokers took ports by chance, which a container cannot publish.
func TestBrokersTakeTheirPortsInOrder(t *testing.T) {
	network := embedded.NewNetwork()
	c := embedded.New(t, embedded.Config{Network: network, Brokers: embedded.BrokerNames(3), BrokerPort: 10911})
	for i, b := range c.Brokers() {
		if want := fmt.Sprintf("127.0.0.1:%d", 10911+i); b.Addr() != want {
			t.Errorf("%s at %s, want %s", b.Name(), b.Addr(), want)
		}
	}
	for _, port := range []int{-1, 65534, 65536} {
		_, err := embedded.Start(t.Context(), embedded.Config{Network: embedded.NewNetwork(), Brokers: embedded.BrokerNames(3), BrokerPort: port})
		if !errors.Is(err, embedded.ErrConfig) {
			t.Errorf("port %d: got %v, want an error for the configuration", port, err)
		}
	}
}
