package validate

import "strings"

// reserved are the property names that belong to RocketMQ. They are Java's
// MessageConst.STRING_HASH_SET, 4.9 and 5.x together, and the names outside that
// set that brokers and clients write themselves or that a field of core.Message
// stands for: user data under them would be overwritten, or change how the
// message is stored and delivered.
//
// Three names of MessageConst are missing on purpose, as in Java's set: users set
// CHECK_IMMUNITY_TIME_IN_SECONDS, INNER_MULTI_DISPATCH and TRACE_CONTEXT themselves.
//
// A switch, unlike a map, is no variable, and the compiler turns it into a
// search by length.
func reserved(name string) bool {
	switch name {
	case "KEYS", "TAGS", "WAIT", "DELAY", "RETRY_TOPIC", "REAL_TOPIC", "REAL_QID",
		"TRAN_MSG", "PGROUP", "MIN_OFFSET", "MAX_OFFSET", "BUYER_ID", "ORIGIN_MESSAGE_ID",
		"TRANSFER_FLAG", "CORRECTION_FLAG", "MQ2_FLAG", "RECONSUME_TIME", "MSG_REGION",
		"TRACE_ON", "UNIQ_KEY", "EXTEND_UNIQ_INFO", "MAX_RECONSUME_TIMES",
		"CONSUME_START_TIME", "INNER_NUM", "INNER_BASE", "DUP_INFO",
		"TRAN_PREPARED_QUEUE_OFFSET", "__transactionId__", "TRANSACTION_CHECK_TIMES",
		"INSTANCE_ID", "CORRELATION_ID", "REPLY_TO_CLIENT", "TTL", "ARRIVE_TIME",
		"PUSH_REPLY_TIME", "CLUSTER", "MSG_TYPE",
		// 5.x
		"POP_CK", "POP_CK_OFFSET", "1ST_POP_TIME", "__SHARDINGKEY",
		"PROPERTY_FORWARD_QUEUE_ID", "REDIRECT", "INNER_MULTI_QUEUE_OFFSET",
		"TIMER_DELAY_SEC", "TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_ENQUEUE_MS",
		"TIMER_DEQUEUE_MS", "TIMER_ROLL_TIMES", "TIMER_OUT_MS", "TIMER_DEL_UNIQKEY",
		"TIMER_DELAY_LEVEL", "__BORNHOST", "BORN_TIMESTAMP", "__CRC32#",
		"DLQ_ORIGIN_TOPIC", "DLQ_ORIGIN_MESSAGE_ID":
		return true
	}
	return strings.HasPrefix(name, transientPrefix)
}

// transientPrefix begins the names of properties that a broker does not store.
const transientPrefix = "__RMQ.TRANSIENT."

// typed names the field of core.Message that stands for a reserved name, or "".
func typed(name string) string {
	switch name {
	case "KEYS":
		return "Keys"
	case "TAGS":
		return "Tag"
	case "WAIT":
		return "NoWaitStore"
	case "DELAY":
		return "DelayLevel"
	case "__SHARDINGKEY":
		return "ShardingKey"
	case "TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_DELAY_SEC":
		return "DeliverAt"
	}
	return ""
}

// forbiddenTopic reports whether t is a topic in which a broker keeps its own
// records (Java: TopicValidator's set of topics not allowed to send).
func forbiddenTopic(t string) bool {
	switch t {
	case "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC",
		"TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT":
		return true
	}
	return false
}
