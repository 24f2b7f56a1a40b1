package integration

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// recaller is a broker that is asked to take messages back.
type recaller struct {
	t     *testing.T
	addr  string
	ser   wire.Serialization
	topic string
}

func (r *recaller) ask(x *exchange) wire.Command {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	a, err := x.call(ctx, r.addr, r.ser)
	if err != nil {
		r.t.Fatalf("%s: %v", x.name, err)
	}
	return a
}

// send sends a message to the recaller's topic and gives the answer.
func (r *recaller) send(body string, props ...wire.Field) wire.Command {
	r.t.Helper()
	x := sendOf(body, wire.SendMessageV2, r.topic, body, "d=1", "e=0", "i="+string(wire.AppendProperties(nil, props)))
	return r.ask(&x)
}

// recall makes a recall and gives what the broker says of it.
func (r *recaller) recall(x exchange) string {
	r.t.Helper()
	x.code = wire.RecallMessage
	a := r.ask(&x)
	id, there := a.Ext.Lookup("msgId")
	remark, _, _ := strings.Cut(a.Remark, ": ") // of an exception its name alone
	return fmt.Sprintf("code %d %q, region %s, id %v %.40s", a.Code, remark, a.Ext.Get(rocketmq.PropertyMsgRegion), there, id)
}

func (r *recaller) handle(at time.Time, id string) string {
	return rocketmq.RecallHandle{Topic: r.topic, Broker: "broker-a", DeliverAt: at, MessageID: id}.String()
}

// recallScript is what all sides are asked; soon is a time that they hold messages until.
func recallScript(topic string, now, soon time.Time) []exchange {
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	ms := strconv.FormatInt(soon.UnixMilli(), 10)
	handle := func(topic, broker string, at time.Time, id string) string {
		return rocketmq.RecallHandle{Topic: topic, Broker: broker, DeliverAt: at, MessageID: id}.String()
	}
	x := func(name, topic, handle string) exchange {
		return exchange{name: name, ext: wire.Recall{Group: "g", Topic: topic, Handle: handle, BrokerName: "broker-a"}.Fields()}
	}
	good := handle(topic, "broker-a", soon, "ID")
	return []exchange{
		x("good", topic, good),
		x("again", topic, good),
		x("without padding", topic, strings.TrimRight(good, "=")),
		{name: "without group and broker", ext: wire.Recall{Topic: topic, Handle: good}.Fields()},
		x("retry topic", "%RETRY%"+topic, handle("%RETRY%"+topic, "broker-a", soon, "ID")),
		x("system topic", rocketmq.ScheduleTopic, handle(rocketmq.ScheduleTopic, "broker-a", soon, "ID")),
		x("six parts", topic, raw("v1 "+topic+" broker-a "+ms+" ID more")),
		x("empty id", topic, raw("v1 "+topic+" broker-a "+ms+"  more")),
		x("long id", topic, handle(topic, "broker-a", soon, strings.Repeat("x", 5000))),
		x("oversize id", topic, handle(topic, "broker-a", soon, strings.Repeat("x", 20_000))),
		x("nearly too far", topic, handle(topic, "broker-a", now.Add(72*time.Hour-time.Minute), "ID")),
		x("too far", topic, handle(topic, "broker-a", now.Add(72*time.Hour+time.Minute), "ID")),
		x("late", topic, handle(topic, "broker-a", now.Add(-time.Second), "ID")),
		x("a time that is none", topic, raw("v1 "+topic+" broker-a soon ID")),
		x("the first time", topic, raw("v1 "+topic+" broker-a -9223372036854775808 ID")),
		x("unknown topic", topic+"_none", handle(topic+"_none", "broker-a", soon, "ID")),
		x("unknown topic and a bad handle", topic+"_none", "%"),
		x("empty topic", "", good),
		{name: "no topic", ext: wire.Fields{{Key: "recallHandle", Value: good}}},
		{name: "no fields"},
		{name: "no handle", ext: wire.Fields{{Key: "topic", Value: topic}}},
		x("empty handle", topic, ""),
		x("malformed handle", topic, "%%%"),
		x("later version", topic, raw("v2 "+topic+" broker-a "+ms+" ID")),
		x("four parts", topic, raw("v1 "+topic+" broker-a "+ms)),
		x("other topic", topic, handle(topic+"x", "broker-a", soon, "ID")),
		x("other broker", topic, handle(topic, "broker-z", soon, "ID")),
		x("other topic and broker", topic, handle(topic+"x", "broker-z", soon, "ID")),
	}
}

// The embedded broker answers recalls as brokers of 5.x do, in code, remark and fields, and what it then delivers is what
// they deliver. What 4.9.7 says to a recall has a test of its own.
func TestEmbeddedBrokerRecallsAsARealOne(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		if c.Version() == "4.9.7" {
			return
		}
		ours := embedded.New(t, embedded.Config{}).Broker("broker-a").Addr()
		for _, ser := range []wire.Serialization{wire.JSON, wire.RocketMQ} {
			t.Run(ser.String(), func(t *testing.T) {
				topic := topicFor(t, "t")
				sides := [...]recaller{
					{t: t, addr: ours, ser: ser, topic: topic},
					{t: t, addr: c.BrokerAddr("broker-a"), ser: ser, topic: topic},
				}
				for _, r := range sides {
					r.send("first")
					r.topic = "%RETRY%" + topic
					r.send("first")
				}
				now := time.Now()
				for _, x := range recallScript(topic, now, now.Add(time.Hour)) {
					if got, want := sides[0].recall(x), sides[1].recall(x); got != want {
						t.Errorf("%s: %s, want %s", x.name, got, want)
					}
				}
				due := time.Now().Truncate(time.Second).Add(8 * time.Second)
				for _, r := range sides {
					r.recallSome(due, c.Version())
				}
				time.Sleep(time.Until(due.Add(6 * time.Second)))
				if got, want := sides[0].delivered(), sides[1].delivered(); !slices.Equal(got, want) || len(want) < 5 {
					t.Errorf("delivered are %q, want %q", got, want)
				}
			})
		}
	})
}

// recallSome sends timed messages and recalls them, rightly and wrongly.
func (r *recaller) recallSome(due time.Time, version string) {
	r.t.Helper()
	id := func(s string) wire.Field { return wire.Field{Key: rocketmq.PropertyUniqKey, Value: s} }
	at := func(d time.Duration) wire.Field {
		return wire.Field{Key: rocketmq.PropertyTimerDeliverMS, Value: strconv.FormatInt(due.Add(d).UnixMilli(), 10)}
	}
	recall := func(handle string) {
		r.t.Helper()
		if said := r.recall(exchange{name: "recall", ext: wire.Recall{Topic: r.topic, Handle: handle}.Fields()}); !strings.HasPrefix(said, "code 0") {
			r.t.Fatal(said)
		}
	}
	const half = 500 * time.Millisecond
	recall(r.send("by its own handle", id("A"), at(0)).Ext.Get("recallHandle"))
	r.send("other second", id("B"), at(3*half))
	recall(r.handle(due.Add(half), "B"))
	r.send("another time of the same second", id("C"), at(3*half))
	recall(r.handle(due.Add(2*half+time.Millisecond), "C"))
	r.send("whole second", id("D"), at(2*time.Second))
	recall(r.handle(due.Add(2*time.Second), "D"))
	r.send("whole second, recalled by the next one", id("E"), at(2*time.Second))
	recall(r.handle(due.Add(2*time.Second+time.Millisecond), "E"))
	recall(r.handle(due.Add(half), "F"))
	r.send("sent after the recall", id("F"), at(half))
	for range 2 {
		r.send("two copies", id("G"), at(half))
	}
	recall(r.handle(due.Add(half), "G"))
	r.send("not recalled", id("H"), at(half))
	r.send("by level", id("I"), wire.Field{Key: rocketmq.PropertyDelay, Value: "2"})
	recall(r.handle(time.Now().Add(5*time.Second), "I"))
	r.send("sent as a timer's message", id("J"), at(half), wire.Field{Key: rocketmq.PropertyTimerOutMS, Value: "7"})
	if version != "5.5.0" { // which looks at the id alone
		r.send("erased by hand", id("K"), at(half))
		r.send("eraser", id("L"), at(half), wire.Field{Key: rocketmq.PropertyTimerDelUniqKey, Value: r.topic + "+K"})
	}
	late := r.send("late eraser", id("M"), at(-time.Hour), wire.Field{Key: rocketmq.PropertyTimerDelUniqKey, Value: r.topic + "+K"})
	if late.Code != rocketmq.CodeMessageIllegal.Number() {
		r.t.Errorf("a late eraser: code %d %s", late.Code, late.Remark)
	}
}

// delivered pulls all bodies of the topic.
func (r *recaller) delivered() []string {
	r.t.Helper()
	var bodies []string
	for {
		a := r.ask(&exchange{name: "pull", code: wire.PullMessage, ext: wire.Fields{
			{Key: "consumerGroup", Value: "recall"},
			{Key: "topic", Value: r.topic},
			{Key: "queueId", Value: "0"},
			{Key: "queueOffset", Value: strconv.Itoa(len(bodies))},
			{Key: "maxMsgNums", Value: "32"},
			{Key: "sysFlag", Value: "4"},
			{Key: "commitOffset", Value: "0"},
			{Key: "suspendTimeoutMillis", Value: "0"},
			{Key: "subscription", Value: "*"},
			{Key: "subVersion", Value: "0"},
			{Key: "expressionType", Value: "TAG"},
		}})
		if a.Code != 0 {
			slices.Sort(bodies)
			return bodies
		}
		for rest := a.Body; len(rest) > 0; {
			var m wire.StoredMessage
			var err error
			if m, rest, err = wire.ParseStored(rest); err != nil {
				r.t.Fatal(err)
			}
			bodies = append(bodies, string(m.Body))
		}
	}
}
