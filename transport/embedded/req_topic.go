package embedded

// UPDATE_AND_CREATE_TOPIC (17), DELETE_TOPIC_IN_BROKER (215): requests to a broker;
// DELETE_TOPIC_IN_NAMESRV (216): a request to a name server, which has nothing to do for it.
//
// Versions: checks and codes as 5.3.3; 4.9 answers 1 where this one answers 29.
//
// Deviations: the order flag is ignored, the filter type has no effect; attributes, such as the type of
// a topic's messages, are refused with code 29. Numbers of queues below 0 or beyond 65536 are
// refused. What waits for its time when its topic is deleted is stored all the same.

import (
	"strconv"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func (b *Broker) createTopic(cmd *wire.Command) reply {
	f := readFields(cmd)
	topic := Topic{
		Name: f.text("topic"), ReadQueues: f.int("readQueueNums"), WriteQueues: f.int("writeQueueNums"), Perm: f.int("perm"),
		SysFlag: int(f.optional("topicSysFlag", 0)),
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
	if attributes := cmd.Ext.Get("attributes"); attributes != "" {
		return refuse(rocketmq.CodeInvalidParameter, "this broker has no attributes of topics: "+wire.TrimRemark(attributes))
	}
	if !b.topics.put(topic) {
		return refuse(rocketmq.CodeSystemError, "too many topics")
	}
	return reply{}
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
