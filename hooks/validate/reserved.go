package validate

import (
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// reserved reports whether a property name belongs to RocketMQ: those of
// [rocketmq.IsReservedProperty], and others that brokers and clients write themselves
// or that a field of core.Message stands for. User data under them would be
// overwritten, or change how the message is stored and delivered.
//
// Three names are missing on purpose, as in Java's set: users set
// CHECK_IMMUNITY_TIME_IN_SECONDS, INNER_MULTI_DISPATCH and TRACE_CONTEXT themselves.
func reserved(name string) bool {
	switch name {
	case rocketmq.PropertyInnerNum, rocketmq.PropertyInnerBase, rocketmq.PropertyTransactionID,
		rocketmq.PropertyTransactionCheckTimes, rocketmq.PropertyShardingKey, rocketmq.PropertyForwardQueueID,
		rocketmq.PropertyRedirect, rocketmq.PropertyTimerRollLabel, rocketmq.PropertyTransOffset:
		return true
	}
	return rocketmq.IsReservedProperty(name) || strings.HasPrefix(name, rocketmq.PropertyTransientPrefix)
}

// typed names the field of core.Message that stands for a reserved name, or "".
func typed(name string) string {
	switch name {
	case rocketmq.PropertyKeys:
		return "Keys"
	case rocketmq.PropertyTags:
		return "Tag"
	case rocketmq.PropertyWait:
		return "NoWaitStore"
	case rocketmq.PropertyDelay:
		return "DelayLevel"
	case rocketmq.PropertyShardingKey:
		return "ShardingKey"
	case rocketmq.PropertyTimerDeliverMS:
		return "DeliverAt"
	case rocketmq.PropertyTimerDelayMS, rocketmq.PropertyTimerDelaySec:
		return "DeliverAfter"
	case rocketmq.PropertyPriority:
		return "Priority"
	case rocketmq.PropertyLiteTopic:
		return "LiteTopic"
	}
	return ""
}
