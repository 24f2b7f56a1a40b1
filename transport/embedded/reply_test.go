package embedded_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const replyTopic = "DefaultCluster_REPLY_TOPIC"

// replyTo is a reply to a client; "" names none.
func replyTo(t testing.TB, code int, ser wire.Serialization, client, body string) wire.Command {
	t.Helper()
	props := wire.Fields{prop("MSG_TYPE", "reply"), prop("CORRELATION_ID", "7")}
	if client != "" {
		props = append(props, prop("REPLY_TO_CLIENT", client))
	}
	send := wire.SendRequest{
		Group: "repliers", Topic: replyTopic, DefaultTopic: "TBW102", DefaultTopicQueueNums: 4, BornTimestamp: 1234, Flag: 5, SysFlag: 1,
		Properties: wire.AppendProperties(nil, props), MaxReconsumeTimes: -1,
	}
	fields, err := send.Fields(code, nil)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Command{Code: code, Ext: fields, Body: []byte(body), Serialization: ser}
}

// A reply is brought to the client that it names, over its own connection, and the answer to it
// is what that client says. It is stored in any case.
func TestReply(t *testing.T) {
	for _, code := range []int{wire.SendReplyMessage, wire.SendReplyMessageV2} {
		for _, ser := range serializations {
			t.Run(ser.String(), func(t *testing.T) {
				c := embedded.New(t, embedded.Config{})
				wanted, other := producer(t, c, "wanted", ser, "g"), producer(t, c, "other", ser, "g")
				replier := connect(t, c, c.Brokers()[0].Addr(), ser)
				for i, tt := range []struct {
					client string
					answer int // of the client
					code   int
					remark string
				}{
					{"wanted", 0, 0, ""},
					{"wanted", 1, 1, "push reply message to wantedfail."},
					{"gone", 0, 1, "push reply message fail, channel of <gone> not found."},
					{"", 0, 1, "reply message properties[REPLY_TO_CLIENT] is null"},
				} {
					cmd := replyTo(t, code, ser, tt.client, "answer")
					replier.write(&cmd)
					if tt.client == "wanted" {
						r := wanted.asked()
						props := wire.ParseProperties(r.Ext.Get("properties"))
						if r.Code != wire.PushReplyMessageToClient || r.IsOneway() || string(r.Body) != "answer" || r.Ext.Get("topic") != replyTopic ||
							r.Ext.Get("sysFlag") != "1" || r.Ext.Get("flag") != "5" || r.Ext.Get("bornTimestamp") != "1234" || r.Ext.Get("producerGroup") != "repliers" ||
							r.Ext.Get("bornHost") == "" || r.Ext.Get("storeHost") != c.Brokers()[0].Addr() ||
							props.Get("CORRELATION_ID") != "7" || props.Get("PUSH_REPLY_TIME") == "" {
							t.Errorf("the client got %+v", r)
						}
						wanted.reply(r, wire.Command{Code: tt.answer})
					}
					a, err := replier.next()
					if err != nil || a.Code != tt.code || a.Remark != tt.remark || a.Ext.Get("msgId") == "" || a.Ext.Get("queueOffset") != textOf(i) || a.Ext.Get("MSG_REGION") != "DefaultRegion" {
						t.Errorf("%q: %+v, %v", tt.client, a, err)
					}
				}
				stored := c.Stored(replyTopic)
				if len(stored) != 4 || string(stored[0].Body) != "answer" || stored[0].Property("PUSH_REPLY_TIME") != "" {
					t.Errorf("%+v", stored)
				}
				mustCode(t, other.send("t", 0, "x"), 0) // and nothing came before the answer
			})
		}
	}
}

// A client's replies go to the last connection that brought a group which it had not brought before.
// They go nowhere after any group of the client has left, or any connection that brought one has
// ended, until a connection brings a new group: heartbeats of known groups change nothing.
func TestWhereRepliesGo(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	addr := c.Brokers()[0].Addr()
	first := producer(t, c, "me", wire.RocketMQ, "g", "h")
	second := producer(t, c, "me", wire.RocketMQ, "g")
	beat := func(p *peer, groups ...string) {
		t.Helper()
		body := wire.AppendHeartbeat(nil, &wire.Heartbeat{ClientID: "me", ProducerGroups: groups})
		mustCode(t, p.call(wire.Command{Code: wire.HeartBeat, Body: body}), 0)
	}
	leave := func(p *peer, group string) {
		t.Helper()
		mustCode(t, p.call(wire.Command{Code: wire.UnregisterClient, Ext: wire.Unregister{ClientID: "me", ProducerGroup: group}.Fields()}), 0)
	}
	replier := connect(t, c, addr, wire.RocketMQ)
	goes := func(when string, to *peer) {
		t.Helper()
		cmd := replyTo(t, wire.SendReplyMessageV2, wire.RocketMQ, "me", when)
		replier.write(&cmd)
		code := 1
		if to != nil {
			code = 0
			if r := to.asked(); string(r.Body) != when {
				t.Errorf("%s: it was asked %+v", when, r)
			} else {
				to.reply(r, wire.Command{})
			}
		}
		if a, err := replier.next(); err != nil || a.Code != code {
			t.Errorf("%s: %+v, %v", when, a, err)
		}
	}
	goes("the second is the last", second)
	beat(first, "g", "h")
	goes("the first brings nothing new", second)
	beat(first, "g", "h", "i")
	goes("the first brings something new", first)
	leave(first, "nobody's")
	goes("a group left that was not there", first)
	leave(second, "g")
	goes("a group has left", nil)
	beat(first, "g", "h", "i")
	goes("the others are known", nil)
	beat(second, "g")
	goes("it is new again", second)
	mustCode(t, first.call(wire.Command{Code: wire.HeartBeat, Body: wire.AppendHeartbeat(nil, &wire.Heartbeat{ClientID: "mark", ProducerGroups: []string{"g"}})}), 0)
	_ = first.conn.Close()
	waitFor(t, "the end of the first connection", func() bool { return len(c.Clients("broker-a")) == 1 })
	beat(second, "g")
	goes("another connection has ended", nil)
	beat(second, "g", "new")
	goes("a group is new", second)
}

func textOf(n int) string { return string(rune('0' + n)) }

// A client may reply to itself over one connection: the broker reads on while it waits. A client
// that does not answer is waited for ten seconds.
func TestReplyToOneself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{})
		p := producer(t, c, "me", wire.RocketMQ, "g")
		cmd := replyTo(t, wire.SendReplyMessageV2, wire.RocketMQ, "me", "answer")
		p.write(&cmd)
		p.reply(p.asked(), wire.Command{})
		if a, err := p.next(); err != nil || !a.IsResponse() || a.Code != 0 {
			t.Errorf("%+v, %v", a, err)
		}
		began := time.Now()
		p.write(&cmd)
		p.asked()
		if a, err := p.next(); err != nil || a.Code != 1 || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %+v, %v", time.Since(began), a, err)
		}
	})
}

// Replies that wait for their clients are bounded by what they take.
func TestTooManyReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, embedded.Config{MaxTableBytes: 1 << 20})
		producer(t, c, "silent", wire.RocketMQ, "g")
		replier := connect(t, c, c.Brokers()[0].Addr(), wire.RocketMQ)
		cmd := replyTo(t, wire.SendReplyMessageV2, wire.RocketMQ, "silent", string(make([]byte, 300<<10)))
		for range 4 {
			replier.write(&cmd)
		}
		if a, err := replier.next(); err != nil || a.Code != 2 {
			t.Errorf("code %d %s, %v", a.Code, a.Remark, err)
		}
		for range 3 {
			if a, err := replier.next(); err != nil || a.Code != 1 {
				t.Errorf("code %d %s, %v", a.Code, a.Remark, err)
			}
		}
		replier.write(&cmd) // there is room again
		if a, err := replier.next(); err != nil || a.Code != 1 {
			t.Errorf("code %d %s, %v", a.Code, a.Remark, err)
		}
	})
}
