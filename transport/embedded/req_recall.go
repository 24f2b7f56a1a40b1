package embedded

// RECALL_MESSAGE (370): a request to a broker to take a timed message back, by the handle that
// the answer to its send carried.
//
// Versions: as 5.3.3 and 5.5.0 with recallMessageEnable=true (Java RecallMessageProcessor). By
// default that is off there, and every recall is answered with code 16. 5.3.1 and older do not
// know the code and answer 3.
//
// A recall is itself a timed message, which says in TIMER_DEL_UNIQKEY what it erases. It has the
// handle's time, so that the timer meets it in the same second as the message. Therefore a
// success says only that the recall was stored: recalling twice succeeds, and so does a recall of
// what the broker never had, or has in another second. Once the handle's time is over every
// recall is refused, so that what was delivered is never recalled. All copies of a message on the
// broker are erased, also one that arrives after the recall. A broker without write permission
// still takes recalls.
//
// Deviations: the message is erased from the moment of the recall on, where a real timer is up to
// a second behind. A broker of 5.5 looks at the unique id alone unless
// appendTopicForTimerDeleteKey is set. A handle of nothing but blanks has code 604, where a real
// broker throws and answers 1. 100,000 recalls are remembered at a time; the next one has code 1.

import (
	"strconv"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// recallTag and recallBody are what a broker stores for a recall.
const (
	recallTag  = "_RECALL_TAG_"
	recallBody = "0"
)

func (b *Broker) recall(c *conn, cmd *wire.Command) reply {
	req := wire.ParseRecall(cmd)
	if _, given := cmd.Ext.Lookup("topic"); !given || req.Topic == "" && cmd.Serialization == wire.RocketMQ {
		return javaException("java.lang.NullPointerException", "the request has no topic")
	}
	r := b.takeBack(c, &req)
	if r.code != rocketmq.CodeSuccess {
		r.ext = wire.Fields{{Key: rocketmq.PropertyMsgRegion, Value: regionID}}
	}
	return r
}

// takeBack checks the recall in the order of Java's processor, and stores it.
func (b *Broker) takeBack(c *conn, req *wire.Recall) reply {
	if _, ok := b.topics.get(req.Topic); !ok {
		return refuse(rocketmq.CodeTopicNotExist, "recall failed, the topic["+wire.TrimRemark(req.Topic)+"] not exist")
	}
	handle, err := rocketmq.ParseRecallHandle(req.Handle)
	switch {
	case err != nil:
		return refuse(rocketmq.CodeIllegalOperation, "recall handle is invalid")
	case handle.Topic != req.Topic:
		return refuse(rocketmq.CodeIllegalOperation, "recall failed, topic not match")
	case handle.Broker != b.Name():
		return refuse(rocketmq.CodeIllegalOperation, "recall failed, broker service not available")
	}
	// The message must not come due between this look at the clock and the erasure.
	b.delayed.mu.Lock()
	defer b.delayed.mu.Unlock()
	now := time.Now()
	if left := handle.DeliverAt.UnixMilli() - now.UnixMilli(); left <= 0 || left >= maxTimer.Milliseconds() {
		return refuse(rocketmq.CodeIllegalOperation, "recall failed, timestamp invalid")
	}
	m := wire.StoredMessage{Topic: handle.Topic, BornTimestamp: now.UnixMilli(), BornHost: c.remote, Body: []byte(recallBody)}
	props := recallProperties(&handle, req.Group, now)
	if _, err := b.schedule(&m, &props); err != nil {
		return recallError()
	}
	e, _ := erases(&m, props)
	if m.Properties = wire.AppendProperties(nil, props); len(m.Properties) > rocketmq.ProtocolMaxPropertiesLength {
		return recallError()
	}
	if b.erase(e, &m) != nil {
		return recallError()
	}
	// A real broker leaves in place the remark that its answers begin with.
	return reply{remark: "not set any response code", ext: wire.RecallResponse{MsgID: handle.MessageID, RegionID: regionID}.Fields()}
}

// recallError is the answer to a recall that could not be stored, for whatever reason.
func recallError() reply { return refuse(rocketmq.CodeSystemError, "recall failed, execute error") }

// recallProperties are those of Java RecallMessageProcessor.buildMessage. An empty TRACE_CONTEXT,
// which it adds, is read by nobody.
func recallProperties(h *rocketmq.RecallHandle, group string, now time.Time) wire.Fields {
	props := wire.Fields{
		{Key: rocketmq.PropertyTags, Value: recallTag},
		{Key: rocketmq.PropertyTimerDelUniqKey, Value: deleteKey(h.Topic, h.MessageID)},
		{Key: rocketmq.PropertyUniqKey, Value: h.MessageID},
		{Key: rocketmq.PropertyTimerDeliverMS, Value: strconv.FormatInt(h.DeliverAt.UnixMilli(), 10)},
		{Key: rocketmq.PropertyBornTimestamp, Value: strconv.FormatInt(now.UnixMilli(), 10)},
	}
	if group != "" {
		props = append(props, wire.Field{Key: rocketmq.PropertyProducerGroup, Value: group})
	}
	return props
}
