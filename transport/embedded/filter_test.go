package embedded_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func texts(t testing.TB, a wire.Command) string {
	t.Helper()
	var out []string
	for _, m := range messages(t, a.Body) {
		out = append(out, string(m.Body))
	}
	return strings.Join(out, " ")
}

// A broker left the tags to the client: it leaves out what the subscription does not name, by the hash of the tag.
func TestBrokerFiltersByTag(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	for i, tag := range []string{"a", "b", "", "c", "a", "Grüße", "Aa", "BB"} { // the last two have the same hash
		var props []wire.Field
		if tag != "" {
			props = append(props, prop("TAGS", tag))
		}
		mustCode(t, p.send("t", 0, strconv.Itoa(i), props...), 0)
	}
	for _, tt := range []struct{ expression, want string }{
		{"*", "0 1 2 3 4 5 6 7"}, {"", "0 1 2 3 4 5 6 7"}, {"a", "0 4"}, {" a || c ", "0 3 4"}, {"Grüße", "5"}, {"BB", "6 7"}, {"b||b", "1"},
	} {
		a := mustCode(t, p.call(pullCommand("t", 0, 0, 32, prop("subscription", tt.expression))), 0)
		if got := texts(t, a); got != tt.want || a.Ext.Get("nextBeginOffset") != "8" {
			t.Errorf("%q: got %s, next %s, want %s", tt.expression, got, a.Ext.Get("nextBeginOffset"), tt.want)
		}
	}
	a := mustCode(t, p.call(pullCommand("t", 0, 0, 2, prop("subscription", "a||c"))), 0)
	if got := texts(t, a); got != "0 3" || a.Ext.Get("nextBeginOffset") != "4" {
		t.Errorf("two of three: %s, next %s", got, a.Ext.Get("nextBeginOffset"))
	}
	// What does not match is passed over at once, also by a pull that would wait.
	a = mustCode(t, p.call(pullCommand("t", 0, 1, 32, prop("subscription", "none"), prop("sysFlag", "6"), prop("suspendTimeoutMillis", "15000"))), 20)
	if a.Ext.Get("nextBeginOffset") != "8" || len(a.Body) > 0 {
		t.Errorf("nothing matches: %v", a.Ext)
	}
}

// One pull passes over 16,000 messages and no more, so that nobody else waits for it long.
func TestPullPassesOverSoMany(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	var batch []byte
	for range 4001 {
		var err error
		if batch, err = wire.AppendBatchMessage(batch, 0, []byte("x"), []byte("TAGS\x01other\x02")); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		mustCode(t, p.call(sendCommand(wire.SendBatchMessage, "t", 0, string(batch))), 0)
	}
	for from, next := range map[int64]string{0: "16000", 16000: "16004"} {
		a := mustCode(t, p.call(pullCommand("t", 0, from, 32, prop("subscription", "mine"))), 20)
		if a.Ext.Get("nextBeginOffset") != next {
			t.Errorf("from %d: next %s, want %s", from, a.Ext.Get("nextBeginOffset"), next)
		}
	}
}

// Without an expression of its own a pull is filtered by what its group's last heartbeat said.
func TestPullUsesTheGroupsSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		addr := c.Brokers()[0].Addr()
		p, other := connect(t, c, addr, wire.JSON), connect(t, c, addr, wire.JSON)
		mustCode(t, p.send("t", 0, "0", prop("TAGS", "a")), 0)
		mustCode(t, p.send("t", 0, "1", prop("TAGS", "b")), 0)
		pull := func(extra ...wire.Field) wire.Command {
			return pullCommand("t", 0, 0, 32, append([]wire.Field{prop("sysFlag", "0"), prop("subscription", "")}, extra...)...)
		}
		mustCode(t, p.call(pull()), 24) // nobody knows the group
		mustCode(t, other.call(join("c1", "readers", "t", "b", "u", "*")), 0)
		if got := texts(t, mustCode(t, p.call(pull()), 0)); got != "1" {
			t.Errorf("got %s", got)
		}
		mustCode(t, p.call(pull(prop("subVersion", "2"))), 25) // the heartbeat with the new subscription is still to come
		beat := join("c1", "readers")
		beat.Body = []byte(strings.Replace(string(beat.Body), `"subscriptionDataSet":[`, `"subscriptionDataSet":[`+subscription("t", "a", "TAG", 2), 1))
		mustCode(t, other.call(beat), 0)
		if got := texts(t, mustCode(t, p.call(pull(prop("subVersion", "2"))), 0)); got != "0" {
			t.Errorf("got %s", got)
		}
		mustCode(t, p.call(pullCommand("u", 0, 0, 32, prop("sysFlag", "0"))), 17)
		if err := c.CreateTopic("u", 1); err != nil {
			t.Fatal(err)
		}
		mustCode(t, p.call(pullCommand("u", 0, 0, 32, prop("sysFlag", "0"))), 24) // the group does not subscribe to it any more
		// The shortened heartbeat keeps the subscriptions.
		mustCode(t, other.call(wire.Command{Code: wire.HeartBeat, Body: []byte(`{"clientID":"c1","heartbeatFingerprint":7,"withoutSub":true,"consumerDataSet":[{"groupName":"readers"}]}`)}), 0)
		mustCode(t, p.call(pull()), 0)
		mustCode(t, other.call(wire.Command{Code: wire.HeartBeat, Body: []byte(strings.Replace(string(beat.Body), subscription("t", "a", "TAG", 2), subscription("t", "b", "TAG", 2), 1))}), 0)
		// Neither a changed one of the same version nor an older one of another client replaces it, and it ends with the group's last client.
		third := connect(t, c, addr, wire.JSON)
		mustCode(t, third.call(join("c2", "readers", "t", "*")), 0)
		if got := texts(t, mustCode(t, p.call(pull(prop("subVersion", "2"))), 0)); got != "0" {
			t.Errorf("got %s", got)
		}
		mustCode(t, third.call(wire.Command{Code: wire.UnregisterClient, Ext: wire.Unregister{ClientID: "c2", ConsumerGroup: "readers"}.Fields()}), 0)
		mustCode(t, p.call(pull()), 0)
		_ = other.conn.Close()
		time.Sleep(time.Second)
		mustCode(t, p.call(pull()), 24)
		mustCode(t, p.call(join("c3", "readers", "t", "a")), 0)
		mustCode(t, p.call(pull()), 0)
		mustCode(t, p.call(wire.Command{Code: wire.UnregisterClient, Ext: wire.Unregister{ClientID: "c3", ConsumerGroup: "readers"}.Fields()}), 0)
		mustCode(t, p.call(pull()), 24)
		// Of an unknown group the shortened heartbeat is not enough, and the client is told to send its subscriptions.
		short := wire.Command{Code: wire.HeartBeat, Body: []byte(`{"clientID":"c4","heartbeatFingerprint":7,"withoutSub":true,"consumerDataSet":[{"groupName":"readers"}]}`)}
		if a := mustCode(t, p.call(short), 0); a.Ext.Get("IS_SUB_CHANGE") != "true" {
			t.Errorf("unknown group: %v", a.Ext)
		}
		if a := mustCode(t, p.call(short), 0); a.Ext.Get("IS_SUB_CHANGE") != "false" {
			t.Errorf("known group: %v", a.Ext)
		}
	})
}

// A Go consumer names no expression when it pulls, so that its SQL subscription was delivered unfiltered: every way to
// subscribe by another expression than tags is refused, with words that name it.
func TestOtherThanTagsIsRefusedAtSubscription(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	b := c.Brokers()[0]
	p := connect(t, c, b.Addr(), wire.JSON)
	mustCode(t, p.send("t", 0, "0", prop("a", "1")), 0)
	sql := subscription("t", "a > 1", "SQL92", 1)
	beat := wire.Command{Code: wire.HeartBeat, Body: []byte(`{"clientID":"c1","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[
		{"groupName":"readers","consumeType":"CONSUME_PASSIVELY","subscriptionDataSet":[` + sql + `]},
		{"groupName":"others","subscriptionDataSet":[` + subscription("t", "*", "TAG", 1) + `]}]}`)}
	check := func(body string) wire.Command { return wire.Command{Code: wire.CheckClientConfig, Body: []byte(body)} }
	for name, cmd := range map[string]wire.Command{
		"heartbeat":    beat,
		"pull":         pullCommand("t", 0, 0, 32, prop("expressionType", "SQL92"), prop("subscription", "a > 1")),
		"check":        check(`{"clientId":"c1","group":"readers","namespace":"","subscriptionData":` + sql + `}`),
		"old consumer": check(`{"subscriptionData":{"expressionType":"SQL92"}}`),
	} {
		if a := mustCode(t, p.call(cmd), 1); a.Remark != "The broker does not support consumer to filter message by SQL92" {
			t.Errorf("%s: %q", name, a.Remark)
		}
	}
	// The others of the heartbeat are not harmed, and the refused group is no consumer.
	if got := b.Clients(); len(got) != 1 || len(got[0].ProducerGroups) != 1 || strings.Join(got[0].ConsumerGroups, " ") != "others" {
		t.Errorf("clients %+v", got)
	}
	mustCode(t, p.call(wire.Command{Code: wire.GetConsumerListByGroup, Ext: wire.Fields{prop("consumerGroup", "readers")}}), 1)
	mustCode(t, p.call(pullCommand("t", 0, 0, 32, prop("sysFlag", "0"), prop("subscription", ""))), 24)
	mustCode(t, p.call(pullCommand("t", 0, 0, 32, prop("subscription", "||"))), 23)
	mustCode(t, p.call(check(`{"clientId":"c1","group":"readers","subscriptionData":`+subscription("t", "a", "TAG", 1)+`}`)), 0)
	mustCode(t, p.call(check(``)), 0)
	mustCode(t, p.call(check(`{`)), 1)
}
