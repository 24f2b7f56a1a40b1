package embedded_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// edited returns fields with those of edits replaced, NAME=VALUE, or left out, NAME.
func edited(fields wire.Fields, edits ...string) wire.Fields {
	out := slices.Clone(fields)
	for _, e := range edits {
		name, value, keep := strings.Cut(e, "=")
		if keep {
			out.Set(name, value)
		} else {
			out = slices.DeleteFunc(out, func(f wire.Field) bool { return f.Key == name })
		}
	}
	return out
}

// Requests with wrong or missing fields had other answers than those of a 5.3.3 broker: a read-only topic refused sends, a
// delay level that is no number was stored, a send without group was refused. The codes are those that the integration tests
// saw a real 5.3.3 give; where there are two, the second one is for a binary header, in which an empty text is none.
func TestAnswersToWrongRequests(t *testing.T) {
	send := func(edits ...string) wire.Command {
		cmd := sendCommand(wire.SendMessageV2, "t", 1, "x")
		cmd.Ext = edited(cmd.Ext, edits...)
		return cmd
	}
	long := func(edits ...string) wire.Command {
		cmd := sendCommand(wire.SendMessage, "t", 1, "x")
		cmd.Ext = edited(cmd.Ext, edits...)
		return cmd
	}
	with := func(props ...string) wire.Command {
		return send("i=" + string(wire.AppendProperties(nil, edited(nil, props...))))
	}
	inner, err := wire.AppendBatchMessage(nil, 0, []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	batch := func(props ...string) wire.Command {
		cmd := sendCommand(wire.SendBatchMessage, "t", 0, string(inner))
		cmd.Ext = edited(cmd.Ext, "i="+string(wire.AppendProperties(nil, edited(nil, props...))))
		return cmd
	}
	of := func(code int, base string, edits ...string) wire.Command {
		return wire.Command{Code: code, Ext: edited(edited(nil, strings.Fields(base)...), edits...)}
	}
	topic := func(edits ...string) wire.Command {
		return of(wire.UpdateAndCreateTopic, "topic=made readQueueNums=2 writeQueueNums=2 perm=6 topicFilterType=SINGLE_TAG", edits...)
	}
	update := func(edits ...string) wire.Command {
		return of(wire.UpdateConsumerOffset, "consumerGroup=cg topic=t queueId=1 commitOffset=1", edits...)
	}
	query := func(edits ...string) wire.Command {
		return of(wire.QueryConsumerOffset, "consumerGroup=new topic=t queueId=1", edits...)
	}
	pull := func(edits ...string) wire.Command {
		return of(wire.PullMessage, "consumerGroup=cg topic=t queueId=1 queueOffset=0 maxMsgNums=1 sysFlag=4 commitOffset=0 "+
			"suspendTimeoutMillis=0 subscription=* subVersion=0", edits...)
	}
	body := func(code int, text string) wire.Command { return wire.Command{Code: code, Body: []byte(text)} }
	tests := []struct {
		name string
		cmd  wire.Command
		code []int
	}{
		{"group is missing", send("a"), []int{0}},
		{"group is empty", send("a="), []int{0}},
		{"long name of the group is missing", long("producerGroup"), []int{0}},
		{"topic is missing", send("b"), []int{1}},
		{"topic is empty", send("b="), []int{29, 1}},
		{"default topic of a known topic is missing", send("c"), []int{0}},
		{"default topic of a known topic is empty", send("c="), []int{0}},
		{"number of queues of a known topic is missing", send("d"), []int{0}},
		{"long name of the number of queues is missing", long("defaultTopicQueueNums"), []int{0}},
		{"default topic of an unknown topic is missing", send("b=unknown", "c"), []int{1}},
		{"default topic of an unknown topic is empty", send("b=unknown", "c="), []int{17, 1}},
		{"number of queues of an unknown topic is missing", send("b=unknown", "d"), []int{1}},
		{"number of queues is no number", send("d=many"), []int{1}},
		{"queue is missing", send("e"), []int{1}},

		{"DELAY=x", with("DELAY=x"), []int{1}},
		{"DELAY=1.5", with("DELAY=1.5"), []int{1}},
		{"DELAY beyond 32 bits", with("DELAY=9999999999"), []int{1}},
		{"DELAY without value", send("i=DELAY\x01\x02"), []int{0}},
		{"DELAY=x and a time", with("DELAY=x", "TIMER_DELAY_SEC=60"), []int{1}},
		{"DELAY=x and too many properties", with("DELAY=x", "big="+strings.Repeat("p", 40_000)), []int{1}},
		{"DELAY=-1", with("DELAY=-1"), []int{0}},
		{"INNER_NUM without an inner batch", with("INNER_NUM=2"), []int{13}},
		{"INNER_NUM and DELAY=x", with("INNER_NUM=2", "DELAY=x"), []int{13}},
		{"delayed batch", batch("DELAY=1"), []int{13}},
		{"batch with DELAY=0", batch("DELAY=0"), []int{0}},
		{"batch with DELAY=x", batch("DELAY=x"), []int{1}},
		{"batch with a time that is none", batch("TIMER_DELAY_SEC=x"), []int{13}},

		{"read-only topic", send("b=readonly"), []int{0}},
		{"topic without permissions", send("b=neither"), []int{0}},
		{"topic without filter type", topic("topicFilterType"), []int{1}},
		{"topic of an unknown filter type", topic("topicFilterType=ALL"), []int{1}},
		{"topic of many tags", topic("topicFilterType=MULTI_TAG"), []int{0}},

		{"producer without a group's name", body(wire.HeartBeat, `{"clientID":"c","producerDataSet":[{}]}`), []int{1}},
		{"consumer without a group's name", body(wire.HeartBeat, `{"clientID":"c","consumerDataSet":[{}]}`), []int{1}},
		{"producer with an empty group", body(wire.HeartBeat, `{"clientID":"c","producerDataSet":[{"groupName":""}]}`), []int{0}},

		{"greatest offset of an empty topic", of(wire.GetMaxOffset, "topic= queueId=1"), []int{0, 1}},
		{"query without group", query("consumerGroup"), []int{0}},
		{"query of an empty topic", query("topic="), []int{22, 1}},
		{"query of an unknown topic", query("topic=none"), []int{22}},
		{"query of an empty queue", query("queueId=2"), []int{22}},
		{"query of a queue with messages", query(), []int{0}},
		{"update without group", update("consumerGroup"), []int{26}},
		{"update of an illegal group", update("consumerGroup=no good"), []int{26}},
		{"update of an illegal group and an unknown topic", update("consumerGroup=no good", "topic=none"), []int{26}},
		{"update without topic", update("topic"), []int{1}},
		{"update of an empty topic", update("topic="), []int{17, 1}},
		{"update of an unknown topic", update("topic=none"), []int{17}},
		{"update without queue", update("queueId"), []int{29}},
		{"update of a queue that is no number", update("queueId=first"), []int{29}},
		{"update without offset", update("commitOffset"), []int{29}},
		{"update to -1", update("commitOffset=-1"), []int{0}},
		{"query after -1", query("consumerGroup=cg"), []int{0}},

		{"pull of an empty topic", pull("topic="), []int{17, 1}},
		{"pull of an illegal group", pull("consumerGroup=no good"), []int{26}},
		{"pull of an illegal group and an unknown topic", pull("consumerGroup=no good", "topic=none"), []int{26}},
		{"pull of a long group", pull("consumerGroup=" + strings.Repeat("g", 256)), []int{26}},
		{"pull of an empty group", pull("consumerGroup="), []int{0, 1}},

		{"lock without group", body(wire.LockBatchMQ, `{"clientId":"c","mqSet":[{"brokerName":"broker-a","queueId":1,"topic":"t"}]}`), []int{1}},
	}
	for _, ser := range serializations {
		c := inMemory(t, embedded.Config{})
		for name, perm := range map[string]int{"readonly": 4, "neither": 0} {
			if err := c.PutTopic(embedded.Topic{Name: name, ReadQueues: 4, WriteQueues: 4, Perm: perm}); err != nil {
				t.Fatal(err)
			}
		}
		p := connect(t, c, c.Brokers()[0].Addr(), ser)
		mustCode(t, p.send("t", 1, "x"), 0)
		for _, tt := range tests {
			want := tt.code[0]
			if ser == wire.RocketMQ {
				want = tt.code[len(tt.code)-1]
			}
			if got := p.call(tt.cmd); got.Code != want {
				t.Errorf("%v: %s: code %d %q, want %d", ser, tt.name, got.Code, got.Remark, want)
			}
		}
	}
}

// A name server was asked for a configuration value, as `mqadmin updateTopic -o` does, and did not know the request.
func TestNameServerHasNoConfiguration(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	p := connect(t, c, c.NameServers()[0], wire.JSON)
	key := wire.Fields{prop("namespace", "ORDER_TOPIC_CONFIG"), prop("key", "t")}
	for code, want := range map[int]int{wire.GetKVConfig: 22, 219: 22, 102: 0, wire.PutKVConfig: 3} {
		mustCode(t, p.call(wire.Command{Code: code, Ext: key}), want)
	}
}

// The answer to a pull that is not permitted did not say why, which Java's consumers ask for.
func TestForbiddenPullsSayWhy(t *testing.T) {
	c := inMemory(t, embedded.Config{})
	if err := c.PutTopic(embedded.Topic{Name: "writeonly", ReadQueues: 1, WriteQueues: 1, Perm: 2}); err != nil {
		t.Fatal(err)
	}
	b := c.Brokers()[0]
	p := connect(t, c, b.Addr(), wire.JSON)
	if got := mustCode(t, p.call(pullCommand("writeonly", 0, 0, 1)), 16).Ext.Get("forbiddenType"); got != "3" {
		t.Errorf("forbidden by the topic: type %q, want 3", got)
	}
	b.SetPerm(2)
	if got := mustCode(t, p.call(pullCommand("writeonly", 0, 0, 1)), 16).Ext.Get("forbiddenType"); got != "1" {
		t.Errorf("forbidden by the broker: type %q, want 1", got)
	}
}
