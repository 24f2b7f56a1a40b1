package embedded_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var serializations = []wire.Serialization{wire.JSON, wire.RocketMQ}

func prop(key, value string) wire.Field { return wire.Field{Key: key, Value: value} }

// inMemory is a cluster without sockets.
func inMemory(t testing.TB, cfg embedded.Config) *embedded.Cluster {
	cfg.Network = embedded.NewNetwork()
	return embedded.New(t, cfg)
}

func TestSendIsStored(t *testing.T) {
	for _, ser := range serializations {
		for _, code := range []int{wire.SendMessage, wire.SendMessageV2} {
			t.Run(fmt.Sprintf("%v/%d", ser, code), func(t *testing.T) {
				c := embedded.New(t, embedded.Config{})
				b := c.Brokers()[0]
				p := connect(t, c, b.Addr(), ser)
				a := mustCode(t, p.call(sendCommand(code, "t", 2, "hello", prop("TAGS", "x"), prop("UNIQ_KEY", "id1"))), 0)
				if a.Version != wire.V5_3_3 || a.Language != wire.LanguageJava {
					t.Errorf("answer of version %d, language %v", a.Version, a.Language)
				}
				stored := c.Stored("t")
				if len(stored) != 1 || c.StoredCount("t") != 1 {
					t.Fatalf("%d stored, want 1", len(stored))
				}
				m := stored[0]
				if string(m.Body) != "hello" || m.Broker != "broker-a" || m.QueueID != 2 || m.UniqueID() != "id1" || m.BornTime.UnixMilli() != 1700000000000 {
					t.Errorf("stored %+v", m)
				}
				if m.StoreHost != netip.MustParseAddrPort(b.Addr()) || m.BornHost != netip.MustParseAddrPort(p.conn.LocalAddr().String()) {
					t.Errorf("hosts %v and %v", m.BornHost, m.StoreHost)
				}
				for k, want := range map[string]string{"TAGS": "x", "MSG_REGION": "DefaultRegion", "TRACE_ON": "true", "CLUSTER": "DefaultCluster"} {
					if got := m.Property(k); got != want {
						t.Errorf("property %s is %q, want %q", k, got, want)
					}
				}
				want := wire.Fields{
					prop("msgId", m.MsgID), prop("queueId", "2"), prop("queueOffset", "0"),
					prop("transactionId", "id1"), prop("MSG_REGION", "DefaultRegion"), prop("TRACE_ON", "true"),
				}
				if !slices.Equal(a.Ext, want) {
					t.Errorf("answer %v, want %v", a.Ext, want)
				}
			})
		}
	}
}

func TestBatchIsStoredInOnePiece(t *testing.T) {
	for _, ser := range serializations {
		c := inMemory(t, embedded.Config{})
		p := connect(t, c, c.Brokers()[0].Addr(), ser)
		mustCode(t, p.send("t", 1, "before"), 0)
		var body []byte
		for i := range 3 {
			var err error
			props := wire.AppendProperty(nil, "UNIQ_KEY", "id"+strconv.Itoa(i))
			props = append(props, "n\x01"+strconv.Itoa(i)...) // 4.9 leaves the last separator out
			if body, err = wire.AppendBatchMessage(body, int32(i), []byte("m"+strconv.Itoa(i)), props); err != nil {
				t.Fatal(err)
			}
		}
		a := mustCode(t, p.call(sendCommand(wire.SendBatchMessage, "t", 1, string(body), prop("UNIQ_KEY", "outer"))), 0)
		if a.Ext.Get("queueOffset") != "1" || a.Ext.Get("transactionId") != "outer" {
			t.Errorf("answer %v", a.Ext)
		}
		stored := c.Stored("t")[1:]
		var ids []string
		for i, m := range stored {
			ids = append(ids, m.MsgID)
			if string(m.Body) != "m"+strconv.Itoa(i) || m.Flag != int32(i) || m.QueueOffset != int64(1+i) || m.Property("n") != strconv.Itoa(i) {
				t.Errorf("stored %+v", m)
			}
			// As in 5.3.3, the properties of the request are appended to each message's own.
			if m.UniqueID() != "outer" || m.Properties[0].Value != "id"+strconv.Itoa(i) || m.Property("CLUSTER") != "DefaultCluster" {
				t.Errorf("properties %v", m.Properties)
			}
		}
		if len(stored) != 3 || a.Ext.Get("msgId") != strings.Join(ids, ",") {
			t.Errorf("%d stored, answer %q, ids %q", len(stored), a.Ext.Get("msgId"), ids)
		}
	}
}

func TestRefusals(t *testing.T) {
	batch := func(body string) wire.Command { return sendCommand(wire.SendBatchMessage, "t", 0, body) }
	inner, err := wire.AppendBatchMessage(nil, 0, []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	large, err := wire.AppendBatchMessage(nil, 0, []byte("x"), make([]byte, 32767))
	if err != nil {
		t.Fatal(err)
	}
	of := func(topic string, queue int, body string, props ...wire.Field) wire.Command {
		return sendCommand(wire.SendMessageV2, topic, queue, body, props...)
	}
	without := func(field string) wire.Command {
		cmd := of("t", 0, "x")
		cmd.Ext = slices.DeleteFunc(cmd.Ext, func(f wire.Field) bool { return f.Key == field })
		return cmd
	}
	edited := func(field, value string) wire.Command {
		cmd := of("t", 0, "x")
		cmd.Ext.Set(field, value)
		return cmd
	}
	tests := []struct {
		name   string
		cmd    wire.Command
		code   int
		remark string
	}{
		{"body too large", of("t", 0, strings.Repeat("x", 4<<20+1)), 13, "msg body length limit 4194304B"},
		{"body as large as allowed", of("t", 0, strings.Repeat("x", 4<<20)), 0, ""},
		{"properties too large with what the broker adds", of("t", 0, "x", prop("a", strings.Repeat("y", 32750))), 13, "properties length limit"},
		{"no body", of("t", 0, ""), 1, "NullPointerException"},
		{"topic too long", of(strings.Repeat("t", 128), 0, "x"), 29, "longer than topic max length"},
		{"longest topic", of(strings.Repeat("t", 127), 0, "x"), 0, ""},
		{"illegal characters", of("a b", 0, "x"), 29, "illegal characters"},
		{"blank topic", of(" ", 0, "x"), 29, "blank"},
		{"system topic", of("SCHEDULE_TOPIC_XXXX", 0, "x"), 16, "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden."},
		{"unknown topic, no model", edited("c", "none"), 17, "topic[t] not exist, apply first please!"},
		{"queue too large", of("four", 4, "x"), 29, "request queueId[4] is illegal"},
		{"last queue", of("four", 3, "x"), 0, ""},
		{"topic without write permission, which is the route's affair", of("readonly", 0, "x"), 0, ""},
		{"topic without queues, broker's choice", of("none", -1, "x"), 1, "ArithmeticException"},
		{"half message with a delay", of("t", 0, "x", prop("TRAN_MSG", "true"), prop("DELAY", "1")), 13, "illegal"},
		{"half message with a delivery time", of("t", 0, "x", prop("TRAN_MSG", "true"), prop("TIMER_DELIVER_MS", "1")), 13, "illegal"},
		{"half message too large", of("t", 0, strings.Repeat("x", 4<<20+1), prop("TRAN_MSG", "true")), 13, "illegal"},
		{"timer beyond three days", of("t", 0, "x", prop("TIMER_DELAY_SEC", "259300")), 13, "timer message illegal"},
		{"timer that is no number", of("t", 0, "x", prop("TIMER_DELAY_MS", "soon")), 13, "timer message illegal"},
		{"no topic", without("b"), 1, "RemotingCommandException"},
		{"no born time", without("g"), 1, "RemotingCommandException"},
		{"queue that is no number", edited("e", "one"), 1, "RemotingCommandException"},
		{"empty batch", batch(""), 1, "NullPointerException"},
		{"batch with properties too large for the broker's own", batch(string(large)), 1, "properties length exceeded"},
		{"broken batch", batch(string(inner[:20])), 1, "IllegalArgumentException"},
		{"batch too large", batch(strings.Repeat("x", 4<<20+1)), 1, "message body size exceeded"},
		{"batch to a retry topic", sendCommand(wire.SendBatchMessage, "%RETRY%g", 0, string(inner)), 13, "does not support retry group"},
	}
	for _, ser := range serializations {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%v/%s", ser, tt.name), func(t *testing.T) {
				c := inMemory(t, embedded.Config{})
				for _, topic := range []embedded.Topic{
					{Name: "four", ReadQueues: 4, WriteQueues: 4, Perm: 6},
					{Name: "readonly", ReadQueues: 4, WriteQueues: 4, Perm: 4},
					{Name: "none", ReadQueues: 4, Perm: 6},
				} {
					if err := c.PutTopic(topic); err != nil {
						t.Fatal(err)
					}
				}
				p := connect(t, c, c.Brokers()[0].Addr(), ser)
				cmd := tt.cmd
				a := mustCode(t, p.call(cmd), tt.code)
				if !strings.Contains(a.Remark, tt.remark) {
					t.Errorf("remark %q does not contain %q", a.Remark, tt.remark)
				}
				if topic := cmd.Ext.Get("b"); (tt.code == 0) != (c.StoredCount(topic) == 1) {
					t.Errorf("%d stored", c.StoredCount(topic))
				}
				if tt.code > 1 && (a.Ext.Get("TRACE_ON") != "true" || a.Ext.Get("MSG_REGION") != "DefaultRegion") {
					t.Errorf("fields %v", a.Ext)
				}
				if tt.code == 1 && len(a.Ext) > 0 {
					t.Errorf("an exception with fields %v", a.Ext)
				}
				// Whatever it was, the connection is as good as before.
				cmd = of("t", 0, "x")
				cmd.Opaque = 0
				mustCode(t, p.call(cmd), 0)
			})
		}
	}
}

func TestAutoCreateTopics(t *testing.T) {
	c := inMemory(t, embedded.Config{Queues: 3})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
	mustCode(t, p.send("t", 2, "the client asks for four, TBW102 has three"), 0)
	mustCode(t, p.send("t", 3, "x"), 29)
	mustCode(t, p.send("%RETRY%g", 0, "always made"), 0)

	c = inMemory(t, embedded.Config{NoAutoCreateTopics: true})
	p = connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
	mustCode(t, p.send("t", 0, "x"), 17)
	if err := c.CreateTopic("t", 1); err != nil {
		t.Fatal(err)
	}
	mustCode(t, p.send("t", 0, "x"), 0)
}

func TestBrokerChoosesQueue(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
	used := map[string]int{}
	for range 8 {
		used[mustCode(t, p.send("t", -1, "x"), 0).Ext.Get("queueId")]++
	}
	if len(used) != 4 || used["0"] != 2 {
		t.Errorf("queues used: %v", used)
	}
}

func TestOnewayIsStoredAndNotAnswered(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.JSON)
	cmd := sendCommand(wire.SendMessageV2, "t", 0, "x")
	cmd.Flag = wire.FlagOneway
	p.write(&cmd)
	bad := sendCommand(wire.SendMessageV2, "a b", 0, "x")
	bad.Flag = wire.FlagOneway
	p.write(&bad)
	// The next answer is that of the next request, and by then the first has been handled.
	mustCode(t, p.send("other", 0, "x"), 0)
	if n := c.StoredCount("t"); n != 1 {
		t.Errorf("%d stored", n)
	}
}

func TestPropertiesAreNormalized(t *testing.T) {
	c := inMemory(t, embedded.Config{ClusterName: "c1"})
	p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
	for _, text := range []string{"a\x01b", "a\x01b\x02", "MSG_REGION\x01elsewhere\x02a\x01b\x02"} {
		cmd := sendCommand(wire.SendMessageV2, "t", 0, "x")
		cmd.Ext.Set("i", text)
		mustCode(t, p.call(cmd), 0)
	}
	ids := map[string]bool{}
	for _, m := range c.Stored("t") {
		ids[m.UniqueID()] = true
		if m.Property("a") != "b" || m.Property("MSG_REGION") != "DefaultRegion" || m.Property("CLUSTER") != "c1" || len(m.UniqueID()) != 32 || len(m.Properties) != 5 {
			t.Errorf("properties %q", m.Properties)
		}
	}
	if len(ids) != 3 {
		t.Errorf("ids made for messages without one: %v", ids)
	}
}

func TestCommitLogOffsetsGrowByRecordSize(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	b := c.Brokers()[0]
	p := connect(t, c, b.Addr(), wire.RocketMQ)
	var want int64
	for i := range 200 {
		body := strings.Repeat("x", 1+i*37%900)
		a := mustCode(t, p.send("t"+strconv.Itoa(i%3), i%4, body), 0)
		id, err := wire.ParseOffsetID(a.Ext.Get("msgId"))
		if err != nil {
			t.Fatal(err)
		}
		if id.Offset != want || id.Addr.String() != b.Addr() {
			t.Fatalf("message %d lies at %v, want offset %d", i, id, want)
		}
		view := mustCode(t, p.call(wire.Command{Code: wire.ViewMessageByID, Ext: wire.Fields{prop("offset", strconv.FormatInt(id.Offset, 10))}}), 0)
		m, rest, err := wire.ParseStored(view.Body)
		if err != nil || len(rest) > 0 || string(m.Body) != body {
			t.Fatalf("view: %v, %d bytes too many", err, len(rest))
		}
		want += int64(len(view.Body))
	}
	mustCode(t, p.call(wire.Command{Code: wire.ViewMessageByID, Ext: wire.Fields{prop("offset", "1")}}), 1)
	mustCode(t, p.call(wire.Command{Code: wire.ViewMessageByID, Ext: wire.Fields{prop("offset", strconv.FormatInt(want, 10))}}), 1)
}

func TestOldestMessagesAreDropped(t *testing.T) {
	c := inMemory(t, embedded.Config{MaxStoredBytes: 100 << 10})
	b := c.Brokers()[0]
	p := connect(t, c, b.Addr(), wire.RocketMQ)
	for i := range 500 {
		mustCode(t, p.send("t", i%2, strings.Repeat("x", 1000)), 0)
	}
	stored := c.Stored("t")
	if n := len(stored); n < 50 || n > 100 || int64(n)+b.Dropped() != 500 {
		t.Errorf("%d stored, %d dropped", n, b.Dropped())
	}
	low, high := b.MinOffset("t", 0), b.MaxOffset("t", 0)
	if low == 0 || high != 250 || stored[0].QueueOffset != low || stored[len(stored)-1].QueueOffset != 249 {
		t.Errorf("offsets %d to %d, stored from %d", low, high, stored[0].QueueOffset)
	}
	pull := mustCode(t, p.call(pullCommand("t", 0, 0, 32)), 21)
	if pull.Ext.Get("nextBeginOffset") != strconv.FormatInt(low, 10) {
		t.Errorf("pull from the start: %v", pull.Ext)
	}
}

func TestDelayedMessagesArriveInTime(t *testing.T) {
	tests := []struct {
		name    string
		prop    wire.Field
		parked  string
		queue   int
		arrives time.Duration
	}{
		{"level 1", prop("DELAY", "1"), "SCHEDULE_TOPIC_XXXX", 0, time.Second},
		{"level 3", prop("DELAY", "3"), "SCHEDULE_TOPIC_XXXX", 2, 10 * time.Second},
		{"beyond the last level", prop("DELAY", "99"), "SCHEDULE_TOPIC_XXXX", 17, 2 * time.Hour},
		{"seconds", prop("TIMER_DELAY_SEC", "7"), "rmq_sys_wheel_timer", 0, 7 * time.Second},
		{"milliseconds", prop("TIMER_DELAY_MS", "1500"), "rmq_sys_wheel_timer", 0, 1500 * time.Millisecond},
		{"point in time", prop("TIMER_DELIVER_MS", "+3600000"), "rmq_sys_wheel_timer", 0, time.Hour},
		{"past", prop("TIMER_DELIVER_MS", "5"), "", 0, 0},
		{"level 0", prop("DELAY", "0"), "", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inMemory(t, embedded.Config{})
				p := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
				if after, ok := strings.CutPrefix(tt.prop.Value, "+"); ok {
					n, _ := strconv.ParseInt(after, 10, 64)
					tt.prop.Value = strconv.FormatInt(time.Now().UnixMilli()+n, 10)
				}
				a := mustCode(t, p.send("t", 3, "later", tt.prop, prop("k", "v")), 0)
				if a.Ext.Get("queueId") != "3" || (a.Ext.Get("recallHandle") != "") != (tt.parked == "rmq_sys_wheel_timer") {
					t.Errorf("answer %v", a.Ext)
				}
				if tt.parked != "" {
					parked := c.Stored(tt.parked)
					if len(parked) != 1 || parked[0].QueueID != tt.queue || parked[0].Property("REAL_TOPIC") != "t" || parked[0].Property("REAL_QID") != "3" {
						t.Fatalf("parked: %+v", parked)
					}
					time.Sleep(tt.arrives - time.Millisecond)
					synctest.Wait()
					if n := c.StoredCount("t"); n != 0 {
						t.Fatalf("%d there a millisecond early", n)
					}
					time.Sleep(time.Millisecond)
					synctest.Wait()
				}
				got := c.Stored("t")
				if len(got) != 1 || string(got[0].Body) != "later" || got[0].QueueID != 3 || got[0].Property("k") != "v" {
					t.Fatalf("delivered: %+v", got)
				}
				if tt.parked != "" && got[0].Property("DELAY") != "" {
					t.Error("the delivered message still has a delay level")
				}
			})
		})
	}
}

func TestDelayedMessageWaitsForStoppedBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		b := c.Brokers()[0]
		p := connect(t, c, b.Addr(), wire.RocketMQ)
		mustCode(t, p.send("t", 0, "later", prop("DELAY", "2")), 0)
		b.Stop()
		time.Sleep(time.Minute)
		if n := c.StoredCount("t"); n != 0 {
			t.Fatalf("%d delivered by a stopped broker", n)
		}
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := c.StoredCount("t"); n != 1 {
			t.Fatalf("%d delivered after the start", n)
		}
	})
}

func TestConcurrentSendsAreStoredOnceEach(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	const each = 200
	var wg sync.WaitGroup
	for w := range 8 {
		b := c.Brokers()[w%2]
		p := connect(t, c, b.Addr(), serializations[w/4])
		wg.Go(func() {
			for i := range each {
				cmd := sendCommand(wire.SendMessageV2, "t", i%4, fmt.Sprintf("%d-%d", w, i))
				p.write(&cmd)
			}
			for range each {
				if cmd, err := p.next(); err != nil || cmd.Code != 0 {
					t.Errorf("%v, %+v", err, cmd)
					return
				}
			}
		})
		wg.Go(func() { // readers meanwhile
			for range 20 {
				c.StoredCount("t")
				c.Stored("t")
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, m := range c.Stored("t") {
		if seen[string(m.Body)] {
			t.Errorf("%s stored twice", m.Body)
		}
		seen[string(m.Body)] = true
	}
	if len(seen) != 8*each {
		t.Errorf("%d of %d stored", len(seen), 8*each)
	}
}

func TestPutTopicErrors(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	for _, topic := range []embedded.Topic{{Name: "a b"}, {Name: ""}, {Name: "t", ReadQueues: -1}, {Name: "t", WriteQueues: 65537}} {
		if err := c.PutTopic(topic); err == nil {
			t.Errorf("%+v was accepted", topic)
		}
	}
	if err := c.CreateTopic("t", 1, "broker-z"); err == nil || errors.Is(err, embedded.ErrConfig) {
		t.Errorf("unknown broker: %v", err)
	}
}

// As a real server that is not configured otherwise: JSON, whatever the form of the request, at
// once, by way of a rule, and after a wait.
func TestAnswersInJSON(t *testing.T) {
	c := inMemory(t, embedded.Config{AnswerJSON: true})
	broker := c.Brokers()[0]
	p := connect(t, c, broker.Addr(), wire.RocketMQ)
	check := func(cmd wire.Command) {
		t.Helper()
		opaque := p.write(&cmd)
		a, err := p.next()
		if err != nil || a.Serialization != wire.JSON || a.Opaque != opaque || !a.IsResponse() {
			t.Errorf("got %+v, %v, want an answer in JSON", a, err)
		}
	}
	check(sendCommand(wire.SendMessageV2, "t", 0, "m"))
	check(wire.Command{Code: 9999})
	c.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return embedded.Reply(2, "busy") })
	check(sendCommand(wire.SendMessageV2, "t", 0, "m"))
	check(pullCommand("t", 0, 1, 1, prop("sysFlag", "6"), prop("suspendTimeoutMillis", "1")))
	p = connect(t, c, c.NameServers()[0], wire.RocketMQ)
	check(wire.Command{Code: wire.GetRouteInfoByTopic, Ext: wire.Fields{prop("topic", "t")}})
}
