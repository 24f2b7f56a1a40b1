package embedded

// UPDATE_AND_CREATE_TOPIC (17): a request to a broker.
//
// Versions: checks and codes as 5.3.3; 4.9 answers 1 where this one answers 29.
//
// Deviations: the order flag and the attributes are ignored, the filter type has no effect. Numbers
// of queues below 0 or beyond 65536 are refused.

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
	if !b.topics.put(topic) {
		return refuse(rocketmq.CodeSystemError, "too many topics")
	}
	return reply{}
}
