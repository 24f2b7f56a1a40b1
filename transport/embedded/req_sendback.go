package embedded

// CONSUMER_SEND_MSG_BACK (36): a request to a broker of a consumer that could not consume a message.
//
// Versions: as 5.3.3. The message comes again in the group's retry topic %RETRY%group, later each
// time: after the delay level 3 for the first time, 4 for the second, or the level that the
// consumer asks for. Beyond the limit, which the consumer names or else its group has, and for a
// level below 0, it goes to the dead-letter topic %DLQ%group. A consumer can also send to the
// retry topic itself, see [Broker.deadLetter].
//
// Deviations: the retry queues are taken in turn instead of at random.

import (
	"strconv"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// firstRetryLevel is the delay level of the first retry.
	firstRetryLevel = 3
	// deadLetterQueues is the number of queues of a dead-letter topic (Java DLQ_NUMS_PER_GROUP).
	deadLetterQueues = 1
)

func (b *Broker) sendBack(cmd *wire.Command) reply {
	f := readFields(cmd)
	at, name, level := f.int64("offset"), f.text("group"), f.int("delayLevel")
	given := cmd.Ext.Get("maxReconsumeTimes") != ""
	limit := int(f.optional("maxReconsumeTimes", 0))
	if f.err != nil {
		return badField(f.err)
	}
	group, ok := b.groups.get(name)
	switch {
	case !ok:
		return noGroup(name)
	case b.Perm()&rocketmq.PermWrite == 0:
		return refuse(rocketmq.CodeNoPermission, "the broker["+b.host()+"] sending message is forbidden")
	case group.RetryQueues <= 0:
		return reply{}
	}
	if !given {
		limit = group.RetryMaxTimes
	}
	topic, ok := b.backTopic(rocketmq.RetryPrefix+name, group.RetryQueues)
	switch {
	case !ok:
		return refuse(rocketmq.CodeSystemError, "topic["+rocketmq.RetryPrefix+name+"] not exist")
	case topic.Perm&rocketmq.PermWrite == 0:
		return refuse(rocketmq.CodeNoPermission, "the topic["+topic.Name+"] sending message is forbidden")
	}
	m, _, err := wire.ParseStored(b.store.view(at))
	if err != nil {
		return refuse(rocketmq.CodeSystemError, "look message by offset failed, "+textOf(at))
	}
	props := wire.ParseProperties(m.Properties)
	if props.Get(rocketmq.PropertyRetryTopic) == "" {
		props.Set(rocketmq.PropertyRetryTopic, m.Topic)
	}
	if props.Get(rocketmq.PropertyOriginMessageID) == "" {
		props.Set(rocketmq.PropertyOriginMessageID, m.MsgID().String())
	}
	props.Set(rocketmq.PropertyWait, "false")
	m.Topic, m.QueueID = topic.Name, int(b.next.Add(1)%uint64(group.RetryQueues))
	switch {
	case m.ReconsumeTimes >= limit || level < 0:
		if topic, ok = b.backTopic(rocketmq.DLQPrefix+name, deadLetterQueues); !ok {
			return refuse(rocketmq.CodeSystemError, "topic["+rocketmq.DLQPrefix+name+"] not exist")
		}
		m.Topic, m.QueueID, level = topic.Name, 0, 0
	case level == 0:
		level = firstRetryLevel + m.ReconsumeTimes
	}
	props.Set(rocketmq.PropertyDelay, strconv.Itoa(level))
	m.ReconsumeTimes++
	due, err := b.schedule(&m, &props)
	if m.Properties = wire.AppendProperties(nil, props); err != nil || len(m.Properties) > rocketmq.ProtocolMaxPropertiesLength {
		return refuse(rocketmq.CodeSystemError, "MESSAGE_ILLEGAL")
	}
	if err := b.putAt(&m, props, due); err != nil {
		return refuse(rocketmq.CodeSystemError, wire.TrimRemark(err.Error()))
	}
	return reply{}
}

// putAt stores a message now or, for a due time that is not zero, to be delivered then.
func (b *Broker) putAt(m *wire.StoredMessage, props wire.Fields, due time.Time) error {
	if due.IsZero() {
		return b.store.append(m)
	}
	return b.keep(m, props, due)
}

// backTopic returns a retry or dead-letter topic, made if it does not exist.
func (b *Broker) backTopic(name string, queues int) (Topic, bool) {
	if topic, there := b.topics.get(name); there {
		return topic, true
	}
	topic := Topic{Name: name, ReadQueues: queues, WriteQueues: queues, Perm: rocketmq.PermRead | rocketmq.PermWrite}
	return topic, illegalTopic(name) == "" && b.topics.put(topic)
}

// deadLetter redirects m, a message of the request that a consumer sends to its retry topic itself,
// if that has been tried often enough, or if the group holds locks: then it consumes in order and has tried
// again on its own (Java SendMessageProcessor.handleRetryAndDLQ). The answer is not a success if the
// message is refused.
func (b *Broker) deadLetter(m *wire.StoredMessage, req *wire.SendRequest) reply {
	name := m.Topic[len(rocketmq.RetryPrefix):]
	group, ok := b.groups.get(name)
	if !ok {
		return noGroup(name)
	}
	limit := req.MaxReconsumeTimes
	if limit < 0 { // not given
		limit = group.RetryMaxTimes
	}
	if m.ReconsumeTimes <= limit && !b.locks.any(name, time.Now()) {
		return reply{}
	}
	topic, ok := b.backTopic(rocketmq.DLQPrefix+name, deadLetterQueues)
	if !ok {
		return refuse(rocketmq.CodeSystemError, "topic["+rocketmq.DLQPrefix+name+"] not exist")
	}
	m.Topic, m.QueueID = topic.Name, 0
	props := wire.ParseProperties(req.Properties)
	props.Set(rocketmq.PropertyDelay, "-1")
	req.Properties = wire.AppendProperties(nil, props)
	return reply{}
}
