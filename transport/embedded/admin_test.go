package embedded_test

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// "Query by key" and "by unique id" found nothing whatever was stored.
func TestMessagesAreFoundByKeyAndByUniqueID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
		begin := time.Now()
		for i := range 5 {
			mustCode(t, p.send("t", i%4, strconv.Itoa(i), prop("KEYS", "all k"+strconv.Itoa(i)), prop("UNIQ_KEY", "ID"+strconv.Itoa(i))), 0)
			time.Sleep(time.Second)
		}
		mustCode(t, p.send("other", 0, "x", prop("KEYS", "all")), 0)
		mustCode(t, p.send("nokeys", 0, "x"), 0)
		query := func(key string, edit ...wire.Field) wire.Command {
			f := wire.Fields{prop("topic", "t"), prop("key", key), prop("maxNum", "64"), prop("beginTimestamp", "0"), prop("endTimestamp", "9223372036854775807")}
			for _, e := range edit {
				f.Set(e.Key, e.Value)
			}
			return wire.Command{Code: wire.QueryMessage, Ext: f}
		}
		at := func(d time.Duration) string { return strconv.FormatInt(begin.Add(d).UnixMilli(), 10) }
		for _, tt := range []struct {
			name string
			cmd  wire.Command
			want string
		}{
			{"one key", query("k3"), "3"},
			{"a key of all", query("all"), "0 1 2 3 4"},
			{"the newest two", query("all", prop("maxNum", "2")), "3 4"},
			{"from a time on", query("all", prop("beginTimestamp", at(3*time.Second))), "3 4"},
			{"up to a time", query("all", prop("endTimestamp", at(time.Second))), "0 1"},
			{"unique id", query("ID2", prop("_UNIQUE_KEY_QUERY", "true"), prop("maxNum", "0")), "2"},
			{"unique id, asked as a key", query("ID2"), "2"},
			{"key, asked as a unique id", query("k3", prop("_UNIQUE_KEY_QUERY", "true")), "3"},
		} {
			a := mustCode(t, p.call(tt.cmd), 0)
			if got := texts(t, a); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
			if a.Ext.Get("indexLastUpdateTimestamp") != at(5*time.Second) || a.Ext.Get("indexLastUpdatePhyoffset") == "" {
				t.Errorf("%s: fields %v", tt.name, a.Ext)
			}
		}
		for _, cmd := range []wire.Command{query(""), query("", prop("topic", "nokeys")), query("none"), query("al"), query("all", prop("topic", "none")), query("all", prop("endTimestamp", "1"))} {
			mustCode(t, p.call(cmd), 22)
		}
		mustCode(t, p.call(wire.Command{Code: wire.QueryMessage, Ext: wire.Fields{prop("topic", "t")}}), 1)
		// What waits for its time is found where it waits, and then where it belongs.
		mustCode(t, p.send("t", 0, "late", prop("KEYS", "later"), prop("DELAY", "1")), 0)
		mustCode(t, p.call(query("later")), 22)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := texts(t, mustCode(t, p.call(query("later")), 0)); got != "late" {
			t.Errorf("got %s", got)
		}
	})
}

// What is found fits into an answer.
func TestQueryStopsAtItsSize(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	for range 6 {
		mustCode(t, p.send("t", 0, strings.Repeat("x", 3<<20), prop("KEYS", "k")), 0)
	}
	a := mustCode(t, p.call(wire.Command{Code: wire.QueryMessage, Ext: wire.Fields{
		prop("topic", "t"), prop("key", "k"), prop("maxNum", "64"), prop("beginTimestamp", "0"), prop("endTimestamp", "9223372036854775807"),
	}}), 0)
	if n := len(messages(t, a.Body)); n < 1 || n > 5 {
		t.Errorf("%d messages, %d bytes", n, len(a.Body))
	}
}

// objectKeys turns Java's objects as keys of objects, which JSON does not know, into texts.
func objectKeys(t testing.TB, body []byte, v any) {
	t.Helper()
	text := regexp.MustCompile(`([{,])(\{[^{}]*\}):`).ReplaceAllStringFunc(string(body), func(s string) string {
		return s[:1] + strconv.Quote(s[1:len(s)-1]) + ":"
	})
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
}

// topicStatus and consumerProgress showed nothing, and a group that consumes as offline.
func TestAdminSeesTopicsAndGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
		begin := time.Now().UnixMilli()
		for range 3 {
			mustCode(t, p.send("t", 1, "x"), 0)
		}
		ask := func(code int, fields ...wire.Field) wire.Command {
			return p.call(wire.Command{Code: code, Ext: fields})
		}

		var stats struct {
			Offsets map[string]struct{ MinOffset, MaxOffset, LastUpdateTimestamp int64 } `json:"offsetTable"`
		}
		objectKeys(t, mustCode(t, ask(wire.GetTopicStatsInfo, prop("topic", "t")), 0).Body, &stats)
		got := stats.Offsets[`{"brokerName":"broker-a","queueId":1,"topic":"t"}`]
		if len(stats.Offsets) != 4 || got.MinOffset != 0 || got.MaxOffset != 3 || got.LastUpdateTimestamp != begin {
			t.Errorf("topic status %+v", stats)
		}
		mustCode(t, ask(wire.GetTopicStatsInfo, prop("topic", "none")), 17)
		if a := mustCode(t, ask(wire.GetTopicConfig, prop("topic", "t")), 0); string(a.Body) != `{"attributes":{},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"t","topicSysFlag":0,"writeQueueNums":4}` {
			t.Errorf("topic configuration %s", a.Body)
		}
		mustCode(t, ask(wire.GetTopicConfig, prop("topic", "none")), 17)

		mustCode(t, ask(wire.GetConsumerConnectionList, prop("consumerGroup", "g")), 206)
		mustCode(t, p.call(join("c1", "g", "t", "a || b", "%RETRY%g", "*")), 0)
		mustCode(t, ask(wire.UpdateConsumerOffset, prop("consumerGroup", "g"), prop("topic", "t"), prop("queueId", "1"), prop("commitOffset", "2")), 0)
		var conns struct {
			ConsumeType, MessageModel, ConsumeFromWhere string
			ConnectionSet                               []struct {
				ClientID, ClientAddr, Language string
				Version                        int
			}
			SubscriptionTable map[string]struct {
				SubString string
				TagsSet   []string
			}
		}
		if err := json.Unmarshal(mustCode(t, ask(wire.GetConsumerConnectionList, prop("consumerGroup", "g")), 0).Body, &conns); err != nil {
			t.Fatal(err)
		}
		if len(conns.ConnectionSet) != 1 || conns.ConnectionSet[0].ClientID != "c1" || conns.ConnectionSet[0].Version != wire.CurrentVersion ||
			conns.ConnectionSet[0].Language != "JAVA" || !strings.HasPrefix(conns.ConnectionSet[0].ClientAddr, "127.0.0.1:") || conns.ConsumeType != "CONSUME_PASSIVELY" ||
			conns.MessageModel != "CLUSTERING" || conns.ConsumeFromWhere != "CONSUME_FROM_LAST_OFFSET" || conns.SubscriptionTable["t"].SubString != "a || b" ||
			strings.Join(conns.SubscriptionTable["t"].TagsSet, " ") != "a b" {
			t.Errorf("connections %+v", conns)
		}
		// A Go client commits -1 for a queue of which it has got nothing.
		mustCode(t, ask(wire.UpdateConsumerOffset, prop("consumerGroup", "g"), prop("topic", "t"), prop("queueId", "0"), prop("commitOffset", "-1")), 0)
		var progress struct {
			Offsets map[string]struct{ BrokerOffset, ConsumerOffset, PullOffset, LastTimestamp int64 } `json:"offsetTable"`
		}
		for _, topic := range []string{"", "t"} {
			objectKeys(t, mustCode(t, ask(wire.GetConsumeStats, prop("consumerGroup", "g"), prop("topic", topic)), 0).Body, &progress)
			at := progress.Offsets[`{"brokerName":"broker-a","queueId":1,"topic":"t"}`]
			if len(progress.Offsets) != 4 || at.BrokerOffset != 3 || at.ConsumerOffset != 2 || at.PullOffset != 2 || at.LastTimestamp != begin {
				t.Errorf("progress of %q: %+v", topic, progress)
			}
			if at := progress.Offsets[`{"brokerName":"broker-a","queueId":0,"topic":"t"}`]; at.ConsumerOffset != 0 || at.PullOffset != 0 {
				t.Errorf("progress of %q where nothing was consumed: %+v", topic, at)
			}
		}
		if a := mustCode(t, ask(wire.QueryTopicConsumeByWho, prop("topic", "t")), 0); string(a.Body) != `{"groupList":["g"]}` {
			t.Errorf("groups %s", a.Body)
		}
		mustCode(t, ask(wire.GetProducerConnectionList, prop("producerGroup", "p")), 1)
		mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Body: []byte(`{"clientID":"c2","producerDataSet":[{"groupName":"p"}]}`), Language: wire.LanguageGo}), 0)
		a := mustCode(t, ask(wire.GetProducerConnectionList, prop("producerGroup", "p")), 0)
		if !strings.Contains(string(a.Body), `"clientId":"c2"`) || !strings.Contains(string(a.Body), `"language":"GO"`) {
			t.Errorf("producers %s", a.Body)
		}
	})
}

// A topic could not be deleted: its messages, offsets and route go, and a pull that waits on it ends.
func TestTopicIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		p, waiting, ns := connect(t, c, b.Addr(), wire.JSON), connect(t, c, b.Addr(), wire.JSON), connect(t, c, c.NameServers()[0], wire.JSON)
		mustCode(t, p.send("t", 0, "x"), 0)
		mustCode(t, p.send("tt", 0, "x"), 0)
		for _, topic := range []string{"t", "tt"} {
			mustCode(t, p.call(wire.Command{Code: wire.UpdateConsumerOffset, Ext: wire.Fields{
				prop("consumerGroup", "g"), prop("topic", topic), prop("queueId", "0"), prop("commitOffset", "1"),
			}}), 0)
		}
		pull := pullCommand("t", 0, 1, 32, prop("sysFlag", "6"), prop("suspendTimeoutMillis", "30000"))
		opaque := waiting.write(&pull)
		synctest.Wait()
		del := func(p *peer, code int, topic string) wire.Command {
			return p.call(wire.Command{Code: code, Ext: wire.Fields{prop("topic", topic)}})
		}
		begin := time.Now()
		mustCode(t, del(p, wire.DeleteTopicInBroker, "t"), 0)
		if a := waiting.answer(opaque); a.Code != 17 || time.Since(begin) != 0 {
			t.Errorf("the pull that waited: %+v after %v", a, time.Since(begin))
		}
		mustCode(t, del(ns, wire.DeleteTopicInNameServer, "t"), 0)
		mustCode(t, ns.call(wire.Command{Code: wire.GetRouteInfoByTopic, Ext: wire.RouteFields("t")}), 17)
		mustCode(t, p.call(pullCommand("t", 0, 0, 32)), 17)
		if _, there := b.ConsumerOffset("g", "t", 0); there || c.StoredCount("t") != 0 || b.MaxOffset("t", 0) != 0 {
			t.Error("something of the topic is left")
		}
		if n, _ := b.ConsumerOffset("g", "tt", 0); n != 1 || c.StoredCount("tt") != 1 {
			t.Error("another topic was harmed")
		}
		a := mustCode(t, p.send("t", 0, "anew"), 0)
		if a.Ext.Get("queueOffset") != "0" {
			t.Errorf("first message of the new topic: %v", a.Ext)
		}
		mustCode(t, del(p, wire.DeleteTopicInBroker, "none"), 0)
		mustCode(t, del(p, wire.DeleteTopicInBroker, "TBW102"), 29)
		mustCode(t, del(p, wire.DeleteTopicInBroker, " "), 29)
		mustCode(t, p.call(wire.Command{Code: wire.DeleteTopicInBroker}), 1)
	})
}

// The attributes of a topic were dropped although the answer said success; pop consumers started and got nothing.
func TestWhatIsNotModelledIsRefused(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	topic := func(name string, edit ...wire.Field) wire.Command {
		f := wire.Fields{prop("topic", name), prop("defaultTopic", "TBW102"), prop("readQueueNums", "4"), prop("writeQueueNums", "4"), prop("perm", "6"), prop("topicFilterType", "SINGLE_TAG"), prop("order", "false"), prop("attributes", "")}
		for _, e := range edit {
			f.Set(e.Key, e.Value)
		}
		return wire.Command{Code: wire.UpdateAndCreateTopic, Ext: f}
	}
	mustCode(t, p.call(topic("plain")), 0)
	for _, attributes := range []string{"+queue.type=BatchCQ", "+message.type=FIFO,+queue.type=BatchCQ", "-queue.type", "x"} {
		if a := mustCode(t, p.call(topic("refused", prop("attributes", attributes))), 29); !strings.Contains(a.Remark, attributes) {
			t.Errorf("remark %q", a.Remark)
		}
	}
	for _, name := range c.Topics() {
		if name == "refused" {
			t.Error("a refused topic exists")
		}
	}
	mustCode(t, p.call(wire.Command{Code: wire.UpdateAndCreateSubscription, Body: []byte(`{"groupName":"g","attributes":{"a":"b"}}`)}), 29)
	for _, code := range []int{wire.PopMessage, 200051, 200052, 200053, 200054, 401} {
		if a := mustCode(t, p.call(wire.Command{Code: code}), 3); !strings.Contains(a.Remark, strconv.Itoa(code)) {
			t.Errorf("code %d: %q", code, a.Remark)
		}
	}
}

// The type of a topic's messages and the order flag are kept; a topic that is made again keeps its type.
func TestTopicHasTypeAndOrder(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	for i, tt := range []struct {
		name, attributes, order string
		code                    int
		want                    string // after it
	}{
		{"t", "-message.type", "false", 1, ""},
		{"t", "+message.type=NOSUCH", "false", 1, ""},
		{"t", "+message.type=MIXED", "false", 29, ""},
		{"t", "+message.type", "false", 1, ""},
		{"t", "-message.type=FIFO", "false", 1, ""},
		{"t", "+message.type=FIFO", "true", 0, `{"attributes":{"message.type":"FIFO"},"order":true,`},
		{"t", "", "false", 0, `{"attributes":{"message.type":"FIFO"},"order":false,`},
		{"t", "+message.type=DELAY", "perhaps", 0, `{"attributes":{"message.type":"DELAY"},"order":false,`},
		{"t", "-message.type", "TRUE", 0, `{"attributes":{},"order":true,`},
		{"t", "-message.type", "true", 1, `{"attributes":{},"order":true,`},
		{"other", "", "true", 0, `{"attributes":{},"order":true,`},
	} {
		mustCode(t, p.call(wire.Command{Code: wire.UpdateAndCreateTopic, Ext: wire.Fields{
			prop("topic", tt.name), prop("defaultTopic", "TBW102"), prop("readQueueNums", "4"), prop("writeQueueNums", "4"), prop("perm", "6"),
			prop("topicFilterType", "SINGLE_TAG"), prop("order", tt.order), prop("attributes", tt.attributes),
		}}), tt.code)
		a := p.call(wire.Command{Code: wire.GetTopicConfig, Ext: wire.Fields{prop("topic", tt.name)}})
		if tt.want == "" && a.Code != 17 || !strings.HasPrefix(string(a.Body), tt.want) {
			t.Errorf("%d: %d %s, want %s", i, a.Code, a.Body, tt.want)
		}
	}
}

// A consumer that asks the broker which queues are its own, as pop consumption needs it, got nothing: it gets its share, to pull.
func TestBrokerSharesOutQueues(t *testing.T) {
	c := inMemory(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	if err := c.CreateTopic("t", 5); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"c3", "c1", "c2"} {
		mustCode(t, p.call(join(id, "g", "t", "*")), 0)
	}
	ask := func(client, topic, strategy, model string) (string, int) {
		t.Helper()
		a := p.call(wire.Command{Code: wire.QueryAssignment, Body: []byte(`{"clientId":"` + client + `","consumerGroup":"g","topic":"` + topic + `","strategyName":"` + strategy + `","messageModel":"` + model + `"}`)})
		var body struct {
			Assignments []struct {
				MessageQueue struct {
					Topic, BrokerName string
					QueueID           int
				}
				Mode string
			} `json:"messageQueueAssignments"`
		}
		if a.Code != 0 {
			return a.Remark, a.Code
		}
		if err := json.Unmarshal(a.Body, &body); err != nil {
			t.Fatal(err)
		}
		var queues []string
		for _, as := range body.Assignments {
			if as.MessageQueue.Topic != topic || as.Mode != "PULL" {
				t.Errorf("assignment %+v", as)
			}
			queues = append(queues, strings.TrimPrefix(as.MessageQueue.BrokerName, "broker-")+strconv.Itoa(as.MessageQueue.QueueID))
		}
		return strings.Join(queues, " "), 0
	}
	for _, tt := range []struct{ client, topic, strategy, model, want string }{
		{"c1", "t", "AVG", "CLUSTERING", "a0 a1 a2 a3"},
		{"c2", "t", "AVG", "CLUSTERING", "a4 b0 b1"},
		{"c3", "t", "AVG", "CLUSTERING", "b2 b3 b4"},
		{"c2", "t", "AVG_BY_CIRCLE", "CLUSTERING", "a1 a4 b2"},
		{"c2", "t", "AVG", "BROADCASTING", "a0 a1 a2 a3 a4 b0 b1 b2 b3 b4"},
		{"c1", "%RETRY%g", "AVG", "CLUSTERING", "a0"}, // one queue, for the first
		{"c3", "%RETRY%g", "AVG", "CLUSTERING", ""},
		{"stranger", "t", "AVG", "CLUSTERING", ""},
		{"c1", "none", "AVG", "CLUSTERING", ""},
	} {
		if got, code := ask(tt.client, tt.topic, tt.strategy, tt.model); got != tt.want || code != 0 {
			t.Errorf("%+v: got %q, code %d", tt, got, code)
		}
	}
	if got, code := ask("c1", "t", "MINE", "CLUSTERING"); code != 1 || !strings.Contains(got, "MINE") {
		t.Errorf("unknown strategy: %q, code %d", got, code)
	}
	mustCode(t, p.call(wire.Command{Code: wire.QueryAssignment, Body: []byte("{")}), 1)
	// Brokers that cannot be read from or are gone have no queues to share out.
	b := c.Brokers()[1]
	b.SetPerm(rocketmq.PermWrite)
	if got, _ := ask("c2", "t", "AVG", "BROADCASTING"); got != "a0 a1 a2 a3 a4" {
		t.Errorf("with a broker that cannot be read from: %q", got)
	}
	b.SetPerm(rocketmq.PermRead | rocketmq.PermWrite)
	b.Stop()
	if got, _ := ask("c2", "t", "AVG", "BROADCASTING"); got != "a0 a1 a2 a3 a4" {
		t.Errorf("with a broker that is gone: %q", got)
	}
}
