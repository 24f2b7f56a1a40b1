package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Request codes that package wire does not name.
const (
	deleteKVConfig  = 102
	listKVConfig    = 219
	litePullMessage = 361
)

// exchange is one request of the differential script.
type exchange struct {
	name string
	// toNameServer sends it there and not to the broker.
	toNameServer bool
	code         int
	ext          wire.Fields
	body         []byte
	raw          []byte // is written as it is, in place of all that
	// loose are the fields of the answer of which only the presence is compared, beside looseFields.
	loose []string
}

// loosely says which fields of the answer depend on chance or on what others have sent.
func (x exchange) loosely(fields ...string) exchange {
	x.loose = fields
	return x
}

// with returns fields with those of edits replaced or, where an edit has no value, left out. An edit is NAME=VALUE or
// NAME; "NAME=" leaves the field in, with an empty value.
func with(fields wire.Fields, edits ...string) wire.Fields {
	out := slices.Clone(fields)
	for _, e := range edits {
		name, value, keep := strings.Cut(e, "=")
		if !keep {
			out = slices.DeleteFunc(out, func(f wire.Field) bool { return f.Key == name })
			continue
		}
		out.Set(name, value)
	}
	return out
}

// fieldsOf reads NAME=VALUE.
func fieldsOf(texts ...string) wire.Fields { return with(nil, texts...) }

// properties is the text of properties NAME=VALUE.
func properties(texts ...string) string {
	return string(wire.AppendProperties(nil, fieldsOf(texts...)))
}

// differentialScript is what all sides are asked, in this order. Every request that the embedded servers know is there,
// as it should be and without each of its fields, of topics and groups that exist and that do not.
func differentialScript(topic string) []exchange {
	return slices.Concat(
		nameServerSteps(topic), sendSteps(topic), propertySteps(topic), batchSteps(topic), topicSteps(topic), clientSteps(topic),
		offsetSteps(topic), pullSteps(topic), lockSteps(topic), replySteps(topic), otherSteps(topic), lastSteps(topic),
	)
}

func nameServerSteps(topic string) []exchange {
	ns := func(name string, code int, ext ...string) exchange {
		return exchange{name: name, toNameServer: true, code: code, ext: fieldsOf(ext...)}
	}
	return []exchange{
		ns("route: unknown topic", wire.GetRouteInfoByTopic, "topic="+topic+"_none", "acceptStandardJsonOnly=true"),
		ns("route: the auto-create topic", wire.GetRouteInfoByTopic, "topic=TBW102", "acceptStandardJsonOnly=true"),
		ns("route: without topic", wire.GetRouteInfoByTopic),
		ns("route: empty topic", wire.GetRouteInfoByTopic, "topic="),
		ns("route: flag is no boolean", wire.GetRouteInfoByTopic, "topic=TBW102", "acceptStandardJsonOnly=perhaps"),
		ns("cluster: information", wire.GetBrokerClusterInfo),
		ns("topics: list", wire.GetAllTopicListFromNameServer),
		ns("configuration: unknown key", wire.GetKVConfig, "namespace=ORDER_TOPIC_CONFIG", "key="+topic),
		ns("configuration: without key", wire.GetKVConfig, "namespace=ORDER_TOPIC_CONFIG"),
		ns("configuration: without namespace", wire.GetKVConfig, "key="+topic),
		ns("configuration: put", wire.PutKVConfig, "namespace=ORDER_TOPIC_CONFIG", "key="+topic+"_kv", "value=broker-a:1"),
		ns("configuration: list of an unknown namespace", listKVConfig, "namespace="+topic),
		ns("configuration: delete", deleteKVConfig, "namespace=ORDER_TOPIC_CONFIG", "key="+topic+"_kv"),
		ns("unknown request code at the name server", 9999),
	}
}

// sendOf is a send as a client makes it, with edits of its fields; its code decides how they are called.
func sendOf(name string, code int, topic, body string, edits ...string) exchange {
	r := wire.SendRequest{
		Group: "g", Topic: topic, DefaultTopic: rocketmq.DefaultTopic, DefaultTopicQueueNums: 4, QueueID: 1,
		BornTimestamp: time.Now().UnixMilli(), MaxReconsumeTimes: -1, Batch: code == wire.SendBatchMessage,
		Properties: []byte(properties("UNIQ_KEY="+goldenID, "a=b")),
	}
	f, err := r.Fields(code, nil)
	if err != nil {
		panic(err) // fixed input
	}
	return exchange{name: name, code: code, ext: with(f, edits...), body: []byte(body)}
}

func sendSteps(topic string) []exchange {
	send := func(name string, edits ...string) exchange {
		return sendOf("send: "+name, wire.SendMessageV2, topic, "x", edits...)
	}
	long := func(name string, edits ...string) exchange {
		return sendOf("send, long names: "+name, wire.SendMessage, topic, "x", edits...)
	}
	steps := []exchange{
		sendOf("send: the first one creates the topic", wire.SendMessageV2, topic, "one"),
		sendOf("send: the second one", wire.SendMessageV2, topic, "two"),
		long("a plain one"),
		sendOf("send: body above the limit", wire.SendMessageV2, topic, strings.Repeat("x", maxBody+1)),
		sendOf("send: no body", wire.SendMessageV2, topic+"_empty", ""),
		send("queue out of range", "e=99"),
		send("queue -1", "b="+topic+"_any", "e=-1").loosely("queueId", "queueOffset"),
		send("queue -7", "b="+topic+"_any", "e=-7").loosely("queueId", "queueOffset"),
		send("illegal topic", "b=no good"),
		send("topic of 128 characters", "b="+strings.Repeat("t", 128)),
		send("topic of 128 characters that exists nowhere, no default topic", "b="+strings.Repeat("t", 128), "c=none"),
		send("blank topic", "b=  "),
		send("empty topic", "b="),
		send("empty group", "a="),
		send("illegal group", "a=no good"),
		send("empty default topic of a known topic", "c="),
		send("unknown topic, unknown default topic", "b="+topic+"_no", "c=none"),
		send("unknown topic, ordinary topic as default", "b="+topic+"_no", "c="+topic),
		send("unknown topic, without default topic", "b="+topic+"_no_c", "c"),
		send("unknown topic, without number of queues", "b="+topic+"_no_d", "d"),
		send("number of queues is no number", "d=many"),
		send("number of deliveries is no number", "j=many"),
		send("unknown topic, 0 queues", "b="+topic+"_zero", "d=0", "e=0"),
		send("unknown topic, -1 queues", "b="+topic+"_minus", "d=-1", "e=0"),
		send("unknown topic, 1000 queues", "b="+topic+"_many", "d=1000", "e=7"),
		send("retry topic of a group", "b=%RETRY%"+topic, "e=0"),
		send("retry topic of a group, no default topic", "b=%RETRY%"+topic+"_2", "c=none", "e=0"),
		send("dead-letter topic of a group, no default topic", "b=%DLQ%"+topic, "c=none", "e=0"),
		send("version of a property is none", "g=yesterday"),
		send("system flag of compression, body that is not compressed", "f=1"),
		send("flag -1", "h=-1"),
		send("unit mode", "k=true"),
		send("unit mode is no boolean", "k=perhaps"),
		send("maximum of deliveries", "l=3"),
		send("maximum of deliveries is no number", "l=many"),
		send("name of another broker", "n=broker-z"),
		send("unknown field", "zz=top"),
		send("queue beyond 32 bits", "e=99999999999"),
		send("queue is no number", "e=first"),
		long("field with a short name", "producerGroup", "a=g"),
	}
	for _, t := range []string{
		"SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC",
		"SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "rmq_sys_wheel_timer", "TBW102", "BenchmarkTest",
	} {
		steps = append(steps, send("to "+t, "b="+t, "e=0").loosely("queueOffset"))
	}
	for _, f := range "abcdefghijklm" {
		steps = append(steps, send("without field "+string(f), string(f)))
	}
	for _, f := range []string{"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag", "bornTimestamp", "flag", "batch"} {
		steps = append(steps, long("without "+f, f))
	}
	return steps
}

func propertySteps(topic string) []exchange {
	topic += "_p" // what is delivered later changes the offsets of no other step
	send := func(name string, props ...string) exchange {
		return sendOf("properties: "+name, wire.SendMessageV2, topic, "x", "i="+properties(props...)).loosely("queueOffset")
	}
	at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).UnixMilli(), 10) }
	return []exchange{
		send("none"),
		sendOf("properties: no text", wire.SendMessageV2, topic, "x", "i=text"),
		sendOf("properties: a name without value", wire.SendMessageV2, topic, "x", "i=name\x01\x02"),
		send("32,000 bytes", "big="+strings.Repeat("p", 32_000)),
		send("32,767 bytes", "big="+strings.Repeat("p", 32_762)),
		send("40,000 bytes", "big="+strings.Repeat("p", 40_000)),
		send("DELAY=5", "DELAY=5"),
		send("DELAY=99", "DELAY=99"),
		send("DELAY=0", "DELAY=0"),
		send("DELAY=-1", "DELAY=-1"),
		send("DELAY=x", "DELAY=x"),
		send("DELAY=1.5", "DELAY=1.5"),
		send("DELAY of 10 digits", "DELAY=9999999999"),
		send("DELAY=+5", "DELAY=+5"),
		sendOf("properties: DELAY without value", wire.SendMessageV2, topic, "x", "i=DELAY\x01\x02").loosely("queueOffset"),
		send("DELAY=x and INNER_NUM", "DELAY=x", "INNER_NUM=2"),
		send("DELAY=x and 40,000 bytes", "DELAY=x", "big="+strings.Repeat("p", 40_000)),
		send("TIMER_DELAY_SEC=60", "TIMER_DELAY_SEC=60"),
		send("TIMER_DELAY_SEC=x", "TIMER_DELAY_SEC=x"),
		send("TIMER_DELAY_MS=x", "TIMER_DELAY_MS=x"),
		send("TIMER_DELIVER_MS=x", "TIMER_DELIVER_MS=x"),
		send("TIMER_DELIVER_MS in a minute", "TIMER_DELIVER_MS="+at(time.Minute)),
		send("TIMER_DELIVER_MS a minute ago", "TIMER_DELIVER_MS="+at(-time.Minute)),
		send("TIMER_DELIVER_MS in four days", "TIMER_DELIVER_MS="+at(4*24*time.Hour)),
		send("TIMER_DELIVER_MS and DELAY=x", "TIMER_DELIVER_MS="+at(time.Minute), "DELAY=x"),
		send("WAIT=false", "WAIT=false"),
		send("WAIT=perhaps", "WAIT=perhaps"),
		send("CLUSTER=other", "CLUSTER=other"),
		send("half message of a transaction", "TRAN_MSG=true", "PGROUP=g"),
		send("INNER_NUM without an inner batch", "INNER_NUM=2"),
		send("LMQ", "INNER_MULTI_DISPATCH=%LMQ%"+topic),
	}
}

func batchSteps(topic string) []exchange {
	topic += "_b"
	one := string(goldenBatchMessage(0))
	three := one + string(goldenBatchMessage(1)) + string(goldenBatchMessage(2))
	batch := func(name, body string, edits ...string) exchange {
		return sendOf("batch: "+name, wire.SendBatchMessage, topic, body, slices.Concat([]string{"i"}, edits)...)
	}
	delayed, err := wire.AppendBatchMessage(nil, 0, []byte("x"), []byte(properties("DELAY=3")))
	if err != nil {
		panic(err) // fixed input
	}
	return []exchange{
		batch("three messages", three),
		batch("one message", one),
		batch("an id on the request", three, "i="+properties("UNIQ_KEY="+goldenID)),
		batch("broken", three[:50]),
		batch("no message at all", "x"),
		batch("no body", ""),
		batch("to a retry topic", one, "b=%RETRY%"+topic, "e=0"),
		batch("above the limit of a body", strings.Repeat(one, maxBody/len(one)+1)),
		batch("above the limit of a body, no messages", strings.Repeat("x", maxBody+1)),
		batch("of many small messages", strings.Repeat(one, 1900)), // the answer of 4.9 must fit a binary header
		batch("of messages that the request's properties make too large", strings.Repeat(one, 200), "i="+properties("big="+strings.Repeat("p", 30_000))),
		batch("that says it is none", one, "m=false"),
		sendOf("batch: in a single request", wire.SendMessageV2, topic, three, "i", "m=true"),
		batch("delayed by the request", three, "i="+properties("DELAY=5")).loosely("queueOffset"),
		batch("delayed by the request, DELAY=x", three, "i="+properties("DELAY=x")),
		batch("timed by the request", three, "i="+properties("TIMER_DELAY_SEC=60")).loosely("queueOffset"),
		batch("timed by the request, TIMER_DELAY_SEC=x", three, "i="+properties("TIMER_DELAY_SEC=x")).loosely("queueOffset"),
		batch("one of its messages is delayed", string(delayed)).loosely("queueOffset"),
		batch("queue out of range", three, "e=99"),
		batch("system topic", three, "b=SCHEDULE_TOPIC_XXXX"),
	}
}

func topicSteps(topic string) []exchange {
	put := func(name, topic string, edits ...string) exchange {
		base := fieldsOf("topic="+topic, "defaultTopic=TBW102", "readQueueNums=2", "writeQueueNums=2", "perm=6",
			"topicFilterType=SINGLE_TAG", "topicSysFlag=0", "order=false")
		return exchange{name: "topic: " + name, code: wire.UpdateAndCreateTopic, ext: with(base, edits...)}
	}
	send := func(name, topic string, edits ...string) exchange {
		return sendOf("topic: "+name, wire.SendMessageV2, topic, "x", slices.Concat([]string{"e=0"}, edits)...)
	}
	steps := []exchange{
		put("create", topic+"_t"),
		put("create again", topic+"_t"),
		put("create with more queues", topic+"_t", "readQueueNums=3", "writeQueueNums=3"),
		put("blank name", "  "),
		put("illegal name", "no good"),
		put("name of 128 characters", strings.Repeat("t", 128)),
		put("system topic", "SCHEDULE_TOPIC_XXXX"),
		put("TBW102", "TBW102", "readQueueNums=8", "writeQueueNums=8", "perm=7"),
		put("0 queues", topic+"_t0", "readQueueNums=0", "writeQueueNums=0"),
		put("-1 queues", topic+"_t1", "readQueueNums=-1", "writeQueueNums=-1"),
		put("permission 0", topic+"_t2", "perm=0"),
		put("permission 99", topic+"_t3", "perm=99"),
		put("filter type that is none", topic+"_t4", "topicFilterType=ALL"),
		put("order is no boolean", topic+"_t5", "order=perhaps"),
		put("queues are no number", topic+"_t6", "readQueueNums=two"),
		put("unknown attribute", topic+"_t7", "attributes=+no.such=1"),
		put("read-only", topic+"_r", "perm=4"),
		put("write-only", topic+"_w", "perm=2"),
		put("neither", topic+"_n", "perm=0"),
		send("send to a read-only topic", topic+"_r"),
		send("send to a write-only topic", topic+"_w"),
		send("send to a topic that is neither", topic+"_n"),
		sendOf("topic: batch to a read-only topic", wire.SendBatchMessage, topic+"_r", string(goldenBatchMessage(0)), "e=0", "i"),
		send("send to a topic of 0 queues", topic+"_t0"),
		send("send to a topic of 0 queues, any queue", topic+"_t0", "e=-1"),
	}
	for _, f := range []string{"topic", "defaultTopic", "readQueueNums", "writeQueueNums", "perm", "topicFilterType", "topicSysFlag", "order"} {
		steps = append(steps, put("without "+f, topic+"_t8", f))
	}
	return steps
}

// subscriber is the heartbeat of a consumer.
func subscriber(client, group, topic string) []byte {
	return fmt.Appendf(nil, `{"clientID":%q,"consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET",`+
		`"consumeType":"CONSUME_PASSIVELY","groupName":%q,"messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,`+
		`"codeSet":[],"expressionType":"TAG","subString":"*","subVersion":1,"tagsSet":[],"topic":%q}],"unitMode":false}],`+
		`"heartbeatFingerprint":0,"producerDataSet":[],"withoutSub":false}`, client, group, topic)
}

func clientSteps(topic string) []exchange {
	beat := func(name, body string) exchange {
		return exchange{name: "heartbeat: " + name, code: wire.HeartBeat, body: []byte(body)}
	}
	leave := func(name string, ext ...string) exchange {
		return exchange{name: "unregister: " + name, code: wire.UnregisterClient, ext: fieldsOf(ext...)}
	}
	list := func(name string, ext ...string) exchange {
		return exchange{name: "consumers: " + name, code: wire.GetConsumerListByGroup, ext: fieldsOf(ext...)}
	}
	return []exchange{
		beat("of a producer", string(wire.AppendHeartbeat(nil, &goldenHeartbeat))),
		beat("of a consumer", string(subscriber("c1", topic, topic))),
		beat("no body", ""),
		beat("no JSON", "hello"),
		beat("no client id", `{"producerDataSet":[{"groupName":"g"}],"consumerDataSet":[]}`),
		beat("no groups", `{"clientID":"c2"}`),
		beat("producer without a group's name", `{"clientID":"c2","producerDataSet":[{}],"consumerDataSet":[]}`),
		beat("producer with an empty group", `{"clientID":"c2","producerDataSet":[{"groupName":""}],"consumerDataSet":[]}`),
		beat("consumer without a group's name", `{"clientID":"c2","producerDataSet":[],"consumerDataSet":[{"subscriptionDataSet":[]}]}`),
		beat("consumer of an illegal group", string(subscriber("c2", "no good", topic))),
		list("unknown group", "consumerGroup="+topic+"_none"),
		list("without group"),
		list("empty group", "consumerGroup="),
		leave("a producer", "clientID="+goldenHeartbeat.ClientID, "producerGroup=group-1"),
		leave("unknown client", "clientID=nobody", "producerGroup=group-1"),
		leave("without client", "producerGroup=group-1"),
		leave("without group", "clientID=nobody"),
		leave("unknown group", "clientID=nobody", "consumerGroup="+topic+"_none"),
	}
}

func offsetSteps(topic string) []exchange {
	x := func(name string, code int, ext wire.Fields, edits ...string) exchange {
		return exchange{name: "offsets: " + name, code: code, ext: with(ext, edits...)}
	}
	queue := fieldsOf("topic="+topic, "queueId=1")
	group := with(queue, "consumerGroup="+topic)
	commit := with(group, "commitOffset=1")
	search := with(queue, "timestamp=1000")
	var steps []exchange
	for _, c := range []struct {
		name   string
		code   int
		ext    wire.Fields
		fields []string
	}{
		{"greatest", wire.GetMaxOffset, queue, []string{"topic", "queueId"}},
		{"least", wire.GetMinOffset, queue, []string{"topic", "queueId"}},
		{"earliest time", wire.GetEarliestMsgStoreTime, queue, []string{"topic", "queueId"}},
		{"search", wire.SearchOffsetByTimestamp, search, []string{"topic", "queueId", "timestamp"}},
		{"query", wire.QueryConsumerOffset, group, []string{"consumerGroup", "topic", "queueId"}},
		{"update", wire.UpdateConsumerOffset, commit, []string{"consumerGroup", "topic", "queueId", "commitOffset"}},
	} {
		add := func(name string, edits ...string) {
			steps = append(steps, x(c.name+", "+name, c.code, c.ext, edits...))
		}
		add("as it should be")
		for _, f := range c.fields {
			add("without "+f, f)
		}
		add("empty topic", "topic=")
		add("blank topic", "topic=  ")
		add("unknown topic", "topic="+topic+"_none")
		add("queue out of range", "queueId=99")
		add("queue -1", "queueId=-1")
		add("queue is no number", "queueId=first")
		if slices.Contains(c.fields, "consumerGroup") {
			add("empty group", "consumerGroup=")
			add("unknown group", "consumerGroup="+topic+"_none")
		}
	}
	return append(steps,
		x("query, after the update", wire.QueryConsumerOffset, group),
		x("query, not to be 0", wire.QueryConsumerOffset, with(group, "queueId=2"), "setZeroIfNotFound=false"),
		x("query, to be 0", wire.QueryConsumerOffset, with(group, "queueId=2"), "setZeroIfNotFound=true"),
		x("update, -1", wire.UpdateConsumerOffset, commit, "commitOffset=-1"),
		x("query, after -1", wire.QueryConsumerOffset, group),
		x("update, beyond the end", wire.UpdateConsumerOffset, commit, "commitOffset=99999"),
		x("query, after beyond the end", wire.QueryConsumerOffset, group),
		x("search, in the future", wire.SearchOffsetByTimestamp, search, "timestamp=99999999999999"),
		x("search, upper boundary", wire.SearchOffsetByTimestamp, search, "timestamp=99999999999999", "boundaryType=UPPER"),
		x("search, boundary that is none", wire.SearchOffsetByTimestamp, search, "boundaryType=MIDDLE"),
		x("search, -1", wire.SearchOffsetByTimestamp, search, "timestamp=-1"),
	)
}

func pullSteps(topic string) []exchange {
	base := fieldsOf("consumerGroup="+topic, "topic="+topic, "queueId=1", "queueOffset=0", "maxMsgNums=2", "sysFlag=4",
		"commitOffset=0", "suspendTimeoutMillis=0", "subscription=*", "subVersion=0", "expressionType=TAG")
	pull := func(name string, edits ...string) exchange {
		return exchange{name: "pull: " + name, code: wire.PullMessage, ext: with(base, edits...)}
	}
	steps := []exchange{
		pull("two messages"),
		pull("from the second on", "queueOffset=1"),
		pull("unknown topic", "topic="+topic+"_none"),
		pull("empty topic", "topic="),
		pull("empty group", "consumerGroup="),
		pull("group without a heartbeat", "consumerGroup="+topic+"_other"),
		pull("group without a heartbeat, by its subscription", "consumerGroup="+topic+"_other", "sysFlag=0"),
		pull("illegal group", "consumerGroup=no good"),
		pull("illegal group, unknown topic", "consumerGroup=no good", "topic="+topic+"_none"),
		pull("group of 256 characters", "consumerGroup="+strings.Repeat("g", 256)),
		pull("queue out of range", "queueId=99"),
		pull("queue -1", "queueId=-1"),
		pull("offset -1", "queueOffset=-1"),
		pull("offset beyond the end", "queueOffset=99999"),
		pull("offset of an empty queue", "queueId=3"),
		pull("offset 7 of an empty queue", "queueId=3", "queueOffset=7"),
		pull("at most 0", "maxMsgNums=0"),
		pull("at most -1", "maxMsgNums=-1"),
		pull("commit", "sysFlag=5", "commitOffset=1"),
		pull("tag", "subscription=none"),
		pull("SQL92", "expressionType=SQL92", "subscription=a > 1"),
		pull("unknown expression", "expressionType=LUA", "subscription=a > 1"),
		pull("write-only topic", "topic="+topic+"_w", "queueId=0"),
		pull("read-only topic", "topic="+topic+"_r", "queueId=0"),
		pull("without subscription and expression", "subscription", "expressionType"),
		{name: "pull: lite", code: litePullMessage, ext: base},
	}
	for _, f := range []string{
		"consumerGroup", "topic", "queueId", "queueOffset", "maxMsgNums", "sysFlag", "commitOffset", "suspendTimeoutMillis", "subVersion",
	} {
		steps = append(steps, pull("without "+f, f))
	}
	return steps
}

func lockSteps(topic string) []exchange {
	queues := fmt.Sprintf(`"mqSet":[{"brokerName":"broker-a","queueId":1,"topic":%q}]`, topic)
	of := func(client string) string {
		return fmt.Sprintf(`{"clientId":%q,"consumerGroup":%q,"onlyThisBroker":false,%s}`, client, topic, queues)
	}
	lock := func(name, body string) exchange {
		return exchange{name: "lock: " + name, code: wire.LockBatchMQ, body: []byte(body)}
	}
	unlock := func(name, body string) exchange {
		return exchange{name: "unlock: " + name, code: wire.UnlockBatchMQ, body: []byte(body)}
	}
	return []exchange{
		lock("one queue", of("c1")),
		lock("again", of("c1")),
		lock("a queue that another client has", of("c2")),
		lock("no queue", fmt.Sprintf(`{"clientId":"c1","consumerGroup":%q}`, topic)),
		lock("no group", fmt.Sprintf(`{"clientId":"c1",%s}`, queues)),
		lock("no client", fmt.Sprintf(`{"consumerGroup":%q,%s}`, topic, queues)),
		lock("no body", ""),
		lock("no JSON", "hello"),
		unlock("a queue that another client has", of("c2")),
		unlock("one queue", of("c1")),
		unlock("again", of("c1")),
		unlock("no group", fmt.Sprintf(`{"clientId":"c1",%s}`, queues)),
		unlock("no body", ""),
		unlock("no JSON", "hello"),
		lock("after the unlock", of("c2")),
		unlock("at the end", of("c2")),
	}
}

func otherSteps(topic string) []exchange {
	x := func(name string, code int, ext ...string) exchange {
		return exchange{name: name, code: code, ext: fieldsOf(ext...)}
	}
	return []exchange{
		x("view: beyond the log", wire.ViewMessageByID, "offset=999999999999"),
		x("view: -1", wire.ViewMessageByID, "offset=-1"),
		x("view: without offset", wire.ViewMessageByID),
		x("view: no number", wire.ViewMessageByID, "offset=first"),
		x("recall: of a timed message", wire.RecallMessage, "producerGroup=g", "topic="+topic, "recallHandle="+goldenHandle.String()),
		x("unknown request code", 9999),
		x("transaction: end of one of nobody", wire.EndTransaction, "producerGroup=g", "tranStateTableOffset=0", "commitLogOffset=0",
			"commitOrRollback=8", "fromTransactionCheck=false", "msgId="+goldenID, "transactionId="+goldenID),
		x("transaction: rollback of one of nobody", wire.EndTransaction, "producerGroup=g", "tranStateTableOffset=0", "commitLogOffset=99999999999",
			"commitOrRollback=12", "msgId="+goldenID),
		x("transaction: commit of one of nobody, when asked", wire.EndTransaction, "producerGroup=g", "tranStateTableOffset=0", "commitLogOffset=99999999999",
			"commitOrRollback=8", "fromTransactionCheck=true", "msgId="+goldenID),
		x("transaction: unknown decision", wire.EndTransaction, "producerGroup=g", "tranStateTableOffset=0", "commitLogOffset=0",
			"commitOrRollback=0", "msgId="+goldenID),
		x("transaction: decision that is none", wire.EndTransaction, "producerGroup=g", "tranStateTableOffset=0", "commitLogOffset=0",
			"commitOrRollback=4", "msgId="+goldenID),
		x("transaction: without a group", wire.EndTransaction, "tranStateTableOffset=0", "commitLogOffset=0", "commitOrRollback=8", "msgId="+goldenID),
		x("transaction: without an offset", wire.EndTransaction, "producerGroup=g", "commitLogOffset=0", "commitOrRollback=8", "msgId="+goldenID),
		{name: "frame: length 0", raw: []byte{0, 0, 0, 0}},
		{name: "frame: negative length", raw: []byte{0xff, 0, 0, 0, 0, 0, 0, 0}},
		{name: "frame: length beyond 16 MiB", raw: []byte{1, 0, 0, 1, 0, 0, 0, 0}},
		{name: "frame: unknown serialization", raw: []byte{0, 0, 0, 6, 9, 0, 0, 2, '{', '}'}},
		{name: "frame: header longer than the frame", raw: []byte{0, 0, 0, 6, 0, 0, 0, 9, '{', '}'}},
		{name: "frame: header is no JSON", raw: append([]byte{0, 0, 0, 9, 0, 0, 0, 5}, "hello"...)},
		{name: "frame: header without code", raw: append([]byte{0, 0, 0, 20, 0, 0, 0, 16}, `{"opaque":5    }`...)},
		{name: "frame: binary header too short", raw: []byte{0, 0, 0, 6, 1, 0, 0, 2, 0, 34}},
		{name: "frame: HTTP", raw: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
	}
}

func lastSteps(topic string) []exchange {
	return []exchange{
		{name: "route: after the sends", toNameServer: true, code: wire.GetRouteInfoByTopic, ext: wire.RouteFields(topic)},
		{name: "route: read-only topic", toNameServer: true, code: wire.GetRouteInfoByTopic, ext: wire.RouteFields(topic + "_r")},
		{name: "route: topic of 0 queues", toNameServer: true, code: wire.GetRouteInfoByTopic, ext: wire.RouteFields(topic + "_t0")},
		{name: "route: topic that was made with 1000 queues", toNameServer: true, code: wire.GetRouteInfoByTopic, ext: wire.RouteFields(topic + "_many")},
		{name: "route: retry topic", toNameServer: true, code: wire.GetRouteInfoByTopic, ext: wire.RouteFields("%RETRY%" + topic)},
	}
}
