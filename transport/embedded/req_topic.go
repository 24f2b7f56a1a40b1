package embedded

// UPDATE_AND_CREATE_TOPIC (17), DELETE_TOPIC_IN_BROKER (215), GET_TOPIC_CONFIG (351): requests to a broker;
// DELETE_TOPIC_IN_NAMESRV (216): a request to a name server, which has nothing to do for it.
//
// Versions: checks and codes as 5.3.3; 4.9 answers 1 where this one answers 29.
//
// Deviations: the filter type has no effect; of attributes there is the type of a topic's messages, which
// is kept as at a real broker, and others are refused with code 29. Numbers of queues below 0 or beyond 65536 are
// refused. What waits for its time when its topic is deleted is stored all the same.

import (
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func (b *Broker) createTopic(cmd *wire.Command) reply {
	f := readFields(cmd)
	topic := Topic{
		Name: f.text("topic"), ReadQueues: f.int("readQueueNums"), WriteQueues: f.int("writeQueueNums"), Perm: f.int("perm"),
		SysFlag: int(f.optional("topicSysFlag", 0)), Order: strings.EqualFold(cmd.Ext.Get("order"), "true"),
	}
	filter := f.text("topicFilterType")
	if f.err != nil {
		return badField(f.err)
	}
	if filter != "SINGLE_TAG" && filter != "MULTI_TAG" {
		return javaException("java.lang.IllegalArgumentException", "No enum constant org.apache.rocketmq.common.TopicFilterType."+wire.TrimRemark(filter))
	}
	if remark := illegalTopic(topic.Name); remark != "" {
		return refuse(rocketmq.CodeInvalidParameter, remark)
	}
	if rocketmq.IsSystemTopic(topic.Name) {
		return refuse(rocketmq.CodeInvalidParameter, "The topic["+topic.Name+"] is conflict with system topic.")
	}
	if min(topic.ReadQueues, topic.WriteQueues) < 0 || max(topic.ReadQueues, topic.WriteQueues) > maxQueues {
		return refuse(rocketmq.CodeInvalidParameter, "the number of queues is not within 0 to "+strconv.Itoa(maxQueues))
	}
	before, exists := b.topics.get(topic.Name)
	if r, refused := topic.alter(cmd.Ext.Get("attributes"), before, exists); refused {
		return r
	}
	if !b.topics.put(topic) {
		return refuse(rocketmq.CodeSystemError, "too many topics")
	}
	return reply{}
}

// topicConfig answers with a topic's settings, of which the tools of 5.x ask before they show anything.
func (b *Broker) topicConfig(cmd *wire.Command) reply {
	name := cmd.Ext.Get("topic")
	t, ok := b.topics.get(name)
	if !ok {
		return refuse(rocketmq.CodeTopicNotExist, "No topic in this broker. topic: "+wire.TrimRemark(name))
	}
	attributes := map[string]string{}
	if t.MessageType != "" {
		attributes[messageTypeName] = t.MessageType
	}
	return jsonReply(struct {
		Attributes  map[string]string `json:"attributes"`
		Order       bool              `json:"order"`
		Perm        int               `json:"perm"`
		ReadQueues  int               `json:"readQueueNums"`
		FilterType  string            `json:"topicFilterType"`
		Name        string            `json:"topicName"`
		SysFlag     int               `json:"topicSysFlag"`
		WriteQueues int               `json:"writeQueueNums"`
	}{Attributes: attributes, Order: t.Order, Perm: t.Perm, ReadQueues: t.ReadQueues, FilterType: "SINGLE_TAG", Name: t.Name, SysFlag: t.SysFlag, WriteQueues: t.WriteQueues})
}

func (b *Broker) deleteTopic(cmd *wire.Command) reply {
	f := readFields(cmd)
	name := f.text("topic")
	if f.err != nil {
		return badField(f.err)
	}
	if rocketmq.IsBlank(name) {
		return refuse(rocketmq.CodeInvalidParameter, "The specified topic is blank.")
	}
	if rocketmq.IsSystemTopic(name) {
		return refuse(rocketmq.CodeInvalidParameter, "The topic["+name+"] is conflict with system topic.")
	}
	b.topics.remove(name)
	b.offsets.remove(func(k offsetKey) bool { return k.queue.topic == name })
	b.store.removeTopic(name)
	return reply{}
}
