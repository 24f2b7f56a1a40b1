package embedded

// SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320): requests to a broker.
//
// Versions: the checks, their order and their codes are those of a 5.3.3 broker; 4.9 answers 1
// where this one answers 29. The code says which field names the header has, the header's batch
// field says whether the body is a batch. Messages are stored with the properties that a broker
// adds (MSG_REGION, TRACE_ON, CLUSTER). Those of a batch get all properties of the request as
// well, which take precedence for whoever reads them: an id on the request, as Java 5 puts there,
// replaces the ids of the messages. Brokers after 5.3.3 do not do that any more. A timed message
// with TIMER_DEL_UNIQKEY erases another one, as a recall does (see req_recall.go).
//
// A topic's permission is the route's affair: a broker stores whatever it is sent, also to a topic
// that is read-only or neither. A topic of 0 queues has none to send to.
//
// Deviations: a broker without write permission refuses every topic, where a real one refuses
// only ordered topics and else leaves it to the route. A batch with a delivery time of its own is
// stored at once; one of more than some 7,900 messages, or that takes more than 16 MiB with the
// properties of its request in each message, is refused. A negative queue id takes the queues in
// turn instead of at random. Topics with batch queues do not exist. Half messages of transactions are
// the matter of req_transaction.go.

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// maxMessageSize is a broker's limit for a body (Java MessageStoreConfig.maxMessageSize).
const maxMessageSize = 4 << 20

const (
	// maxBatchMessages is how many messages a batch may have, so that the header of its answer holds
	// their ids.
	maxBatchMessages = (wire.MaxHeader - 1<<10) / 33
	// maxBatchBytes bounds a batch with the properties of its request in each message.
	maxBatchBytes = 16 << 20
)

// regionID is what brokers say unless configured otherwise.
const regionID = "DefaultRegion"

func (b *Broker) send(c *conn, cmd *wire.Command) reply {
	req, err := wire.ParseSend(cmd)
	if err != nil {
		return badField(err)
	}
	if len(cmd.Body) == 0 {
		// Java reads an empty body as none and then asks for its length.
		return javaException("java.lang.NullPointerException", "the message has no body")
	}
	r := b.putLogical(c, cmd, &req)
	if !r.stored && !r.thrown {
		// A refusal carries the two fields as well, the answer to an exception does not.
		r.ext = wire.Fields{{Key: rocketmq.PropertyMsgRegion, Value: regionID}, {Key: rocketmq.PropertyTraceOn, Value: "true"}}
	}
	return r
}

func (b *Broker) put(c *conn, cmd *wire.Command, req *wire.SendRequest) reply {
	body := cmd.Body
	topic, refusal := b.admit(c, cmd, req)
	if refusal.code != rocketmq.CodeSuccess {
		return refusal
	}
	if req.QueueID < 0 {
		if topic.WriteQueues == 0 {
			return javaException("java.lang.ArithmeticException", "the topic has no writable queue to choose")
		}
		req.QueueID = int(b.next.Add(1) % uint64(topic.WriteQueues))
	}
	if req.Batch {
		return b.putBatch(c, req, body)
	}
	return b.putSingle(c, req, body)
}

// admit checks the request in the order of Java's AbstractSendMessageProcessor.msgCheck.
func (b *Broker) admit(c *conn, cmd *wire.Command, req *wire.SendRequest) (Topic, reply) {
	if b.Perm()&rocketmq.PermWrite == 0 {
		return Topic{}, refuse(rocketmq.CodeNoPermission, "the broker["+b.host()+"] sending message is forbidden")
	}
	if remark := illegalTopic(req.Topic); remark != "" {
		return Topic{}, refuse(rocketmq.CodeInvalidParameter, remark)
	}
	if rocketmq.IsForbiddenTopic(req.Topic) {
		return Topic{}, refuse(rocketmq.CodeNoPermission, "Sending message to topic["+req.Topic+"] is forbidden.")
	}
	topic, ok := b.topics.get(req.Topic)
	if !ok && !namesTemplate(cmd) {
		return Topic{}, javaException("java.lang.NullPointerException", "the request does not say from which topic to make a new one")
	}
	if !ok {
		topic, ok = b.topics.create(req.Topic, req.DefaultTopic, req.DefaultTopicQueueNums)
	}
	if !ok && rocketmq.IsRetryTopic(req.Topic) {
		topic = Topic{Name: req.Topic, ReadQueues: 1, WriteQueues: 1, Perm: rocketmq.PermRead | rocketmq.PermWrite}
		ok = b.topics.put(topic)
	}
	if !ok {
		return Topic{}, refuse(rocketmq.CodeTopicNotExist, "topic["+req.Topic+"] not exist, apply first please!")
	}
	if req.QueueID >= max(topic.WriteQueues, topic.ReadQueues) {
		return Topic{}, refuse(rocketmq.CodeInvalidParameter, "request queueId["+strconv.Itoa(req.QueueID)+"] is illegal, topic "+topic.Name+
			" has "+strconv.Itoa(topic.WriteQueues)+" write and "+strconv.Itoa(topic.ReadQueues)+" read queues. Producer: "+c.remote.String())
	}
	return topic, reply{}
}

// namesTemplate reports whether the request has the two fields of which a new topic is made.
func namesTemplate(cmd *wire.Command) bool {
	from, queues := "c", "d"
	if cmd.Code == wire.SendMessage || cmd.Code == wire.SendReplyMessage {
		from, queues = "defaultTopic", "defaultTopicQueueNums"
	}
	f := readFields(cmd)
	f.text(from)
	f.text(queues)
	return f.err == nil
}

func (b *Broker) putSingle(c *conn, req *wire.SendRequest, body []byte) reply {
	m := wire.StoredMessage{
		Topic: req.Topic, QueueID: req.QueueID, Flag: req.Flag, SysFlag: req.SysFlag, BornTimestamp: req.BornTimestamp,
		BornHost: c.remote, ReconsumeTimes: req.ReconsumeTimes, Body: body,
	}
	var props wire.Fields
	var due time.Time
	var recall string
	if rocketmq.IsRetryTopic(req.Topic) {
		if r := b.deadLetter(&m, req); r.code != rocketmq.CodeSuccess {
			return r
		}
	}
	text := string(req.Properties)
	unique, given := wire.LookupProperty(text, rocketmq.PropertyUniqKey)
	if !given {
		unique = b.uniqueID()
	}
	if plainProperties(text) {
		m.Properties = req.Properties
		if n := len(text); n > 0 && text[n-1] != rocketmq.PropertySeparator {
			m.Properties = append(m.Properties, rocketmq.PropertySeparator) // 4.9 leaves the last one out
		}
		m.Properties = slices.Grow(m.Properties, 140)
		if !given {
			m.Properties = wire.AppendProperty(m.Properties, rocketmq.PropertyUniqKey, unique)
		}
		m.Properties = wire.AppendProperty(m.Properties, rocketmq.PropertyMsgRegion, regionID)
		m.Properties = wire.AppendProperty(m.Properties, rocketmq.PropertyTraceOn, "true")
		m.Properties = wire.AppendProperty(m.Properties, rocketmq.PropertyCluster, b.node.cluster.cfg.ClusterName)
	} else {
		props = wire.ParseProperties(text)
		props.Set(rocketmq.PropertyMsgRegion, regionID)
		props.Set(rocketmq.PropertyTraceOn, "true")
		props.Set(rocketmq.PropertyCluster, b.node.cluster.cfg.ClusterName)
		props.Set(rocketmq.PropertyUniqKey, unique)
		if isHalf(props) {
			return b.putHalf(&m, props)
		}
		var refusal reply
		if due, refusal = b.checkTiming(&m, &props); refusal.code != rocketmq.CodeSuccess {
			return refusal
		}
		recall = recallHandle(req.Topic, b.Name(), props)
		m.Properties = wire.AppendProperties(nil, props)
	}
	if len(body) > maxMessageSize || len(m.Properties) > rocketmq.ProtocolMaxPropertiesLength {
		return illegalMessage()
	}
	err := b.putAt(&m, props, due)
	switch {
	case errors.Is(err, errTooManyDelayed):
		return refuse(rocketmq.CodeSystemError, "timer message is under flow control, max num limit is "+strconv.Itoa(maxDelayed))
	case err != nil:
		return notStored(err)
	}
	return reply{stored: true, send: wire.SendResponse{
		MsgID: m.MsgID().String(), QueueID: req.QueueID, QueueOffset: m.QueueOffset,
		TransactionID: unique, RecallHandle: recall, RegionID: regionID, TraceOn: true,
	}}
}

// checkTiming is schedule with the answer of a broker that refuses the message for it, or for what is
// looked at before (Java HookUtils.checkInnerBatch).
func (b *Broker) checkTiming(m *wire.StoredMessage, props *wire.Fields) (due time.Time, refusal reply) {
	if _, inner := props.Lookup(rocketmq.PropertyInnerNum); inner {
		return time.Time{}, illegalMessage() // there are no inner batches
	}
	due, err := b.schedule(m, props)
	switch {
	case err == nil:
		return due, reply{}
	case errors.Is(err, errTimer):
		return time.Time{}, refuse(rocketmq.CodeMessageIllegal, "timer message illegal, the delay time should not be bigger than the max delay "+
			strconv.FormatInt(maxTimer.Milliseconds(), 10)+"ms; or if set del msg, the delay time should be bigger than the current time")
	}
	return time.Time{}, javaException("java.lang.NumberFormatException", wire.TrimRemark(err.Error()))
}

// uniqueID makes an id in Java's form for a message that has none: address, port for the process
// id, zero, milliseconds, counter.
func (b *Broker) uniqueID() string {
	host := hostOf(b.Addr())
	id := make([]byte, 0, 16)
	if addr := host.Addr(); addr.Is4() {
		id = append(id, addr.AsSlice()...)
	} else {
		id = append(id, 127, 0, 0, 1)
	}
	id = binary.BigEndian.AppendUint16(id, host.Port())
	id = binary.BigEndian.AppendUint32(id, 0)
	id = binary.BigEndian.AppendUint32(id, uint32(time.Now().UnixMilli()))
	id = binary.BigEndian.AppendUint16(id, uint16(b.ids.Add(1)))
	return strings.ToUpper(hex.EncodeToString(id))
}

// plainProperties reports whether no property of the text means anything to a broker, so that
// the text can be stored as it is. It may err on the safe side.
func plainProperties(text string) bool {
	for _, name := range [...]string{
		rocketmq.PropertyDelay, "TIMER_", rocketmq.PropertyInnerNum, rocketmq.PropertyTransactionPrepared, rocketmq.PropertyMsgRegion, rocketmq.PropertyTraceOn, rocketmq.PropertyCluster,
	} {
		if strings.Contains(text, name) {
			return false
		}
	}
	return true
}

func (b *Broker) putBatch(c *conn, req *wire.SendRequest, body []byte) reply {
	if rocketmq.IsRetryTopic(req.Topic) {
		return refuse(rocketmq.CodeMessageIllegal, "batch request does not support retry group "+req.Topic)
	}
	outer := wire.ParseProperties(req.Properties)
	scratch, timed := wire.StoredMessage{}, slices.Clone(outer)
	if _, refusal := b.checkTiming(&scratch, &timed); refusal.code != rocketmq.CodeSuccess {
		return refusal
	}
	if scratch.Topic == rocketmq.ScheduleTopic {
		return illegalMessage()
	}
	if len(body) > maxMessageSize {
		return javaException("java.lang.RuntimeException", "message body size exceeded")
	}
	batch, err := wire.ParseBatch(body)
	if err != nil {
		return javaException("java.lang.IllegalArgumentException", wire.TrimRemark(err.Error()))
	}
	if len(batch) == 0 || len(batch) > maxBatchMessages {
		return illegalMessage()
	}
	outer.Set(rocketmq.PropertyMsgRegion, regionID)
	outer.Set(rocketmq.PropertyTraceOn, "true")
	outer.Set(rocketmq.PropertyCluster, b.node.cluster.cfg.ClusterName)
	common := wire.AppendProperties(nil, outer)
	if total := len(body) + len(batch)*len(common); total > maxBatchBytes {
		return illegalMessage()
	}
	messages := make([]wire.StoredMessage, len(batch))
	places := make([]*wire.StoredMessage, len(batch))
	for i, m := range batch {
		props := append(make([]byte, 0, len(m.Properties)+1+len(common)), m.Properties...)
		if n := len(props); n > 0 && props[n-1] != rocketmq.PropertySeparator {
			props = append(props, rocketmq.PropertySeparator)
		}
		if props = append(props, common...); len(props) > rocketmq.ProtocolMaxPropertiesLength {
			return javaException("java.lang.RuntimeException", "message properties length exceeded")
		}
		messages[i] = wire.StoredMessage{
			Topic: req.Topic, QueueID: req.QueueID, Flag: m.Flag, SysFlag: req.SysFlag, BornTimestamp: req.BornTimestamp,
			BornHost: c.remote, ReconsumeTimes: req.ReconsumeTimes, Body: m.Body, Properties: props,
		}
		places[i] = &messages[i]
	}
	if err := b.store.append(places...); err != nil {
		return notStored(err)
	}
	ids := make([]byte, 0, 33*len(messages))
	for i := range messages {
		if i > 0 {
			ids = append(ids, ',')
		}
		ids = append(ids, messages[i].MsgID().String()...)
	}
	return reply{stored: true, send: wire.SendResponse{
		MsgID: string(ids), QueueID: req.QueueID, QueueOffset: messages[0].QueueOffset,
		TransactionID: outer.Get(rocketmq.PropertyUniqKey), RegionID: regionID, TraceOn: true,
	}}
}

// notStored is the answer to a message that the store refused.
func notStored(err error) reply {
	if errors.Is(err, errTooManyQueues) {
		return refuse(rocketmq.CodeSystemError, err.Error())
	}
	return illegalMessage()
}

func illegalMessage() reply {
	return refuse(rocketmq.CodeMessageIllegal, "the message is illegal, maybe msg body or properties length not matched. msg body length limit "+
		strconv.Itoa(maxMessageSize)+"B, msg properties length limit 32KB.")
}
