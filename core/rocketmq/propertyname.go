package rocketmq

// Names of message properties (Java MessageConst).
const (
	PropertyKeys                     = "KEYS"
	PropertyTags                     = "TAGS"
	PropertyWait                     = "WAIT"
	PropertyDelay                    = "DELAY"
	PropertyRetryTopic               = "RETRY_TOPIC"
	PropertyRealTopic                = "REAL_TOPIC"
	PropertyRealQueueID              = "REAL_QID"
	PropertyTransactionPrepared      = "TRAN_MSG"
	PropertyProducerGroup            = "PGROUP"
	PropertyMinOffset                = "MIN_OFFSET"
	PropertyMaxOffset                = "MAX_OFFSET"
	PropertyBuyerID                  = "BUYER_ID"
	PropertyOriginMessageID          = "ORIGIN_MESSAGE_ID"
	PropertyTransferFlag             = "TRANSFER_FLAG"
	PropertyCorrectionFlag           = "CORRECTION_FLAG"
	PropertyMQ2Flag                  = "MQ2_FLAG"
	PropertyReconsumeTime            = "RECONSUME_TIME"
	PropertyMsgRegion                = "MSG_REGION"
	PropertyTraceOn                  = "TRACE_ON"
	PropertyUniqKey                  = "UNIQ_KEY"
	PropertyExtendUniqInfo           = "EXTEND_UNIQ_INFO"
	PropertyMaxReconsumeTimes        = "MAX_RECONSUME_TIMES"
	PropertyConsumeStartTime         = "CONSUME_START_TIME"
	PropertyInnerNum                 = "INNER_NUM"
	PropertyInnerBase                = "INNER_BASE"
	PropertyDupInfo                  = "DUP_INFO"
	PropertyCheckImmunityTime        = "CHECK_IMMUNITY_TIME_IN_SECONDS"
	PropertyTransactionPreparedQueue = "TRAN_PREPARED_QUEUE_OFFSET"
	PropertyTransactionID            = "__transactionId__"
	PropertyTransactionCheckTimes    = "TRANSACTION_CHECK_TIMES"
	PropertyInstanceID               = "INSTANCE_ID" // the namespace
	PropertyCorrelationID            = "CORRELATION_ID"
	PropertyReplyToClient            = "REPLY_TO_CLIENT"
	PropertyTTL                      = "TTL"
	PropertyArriveTime               = "ARRIVE_TIME"
	PropertyPushReplyTime            = "PUSH_REPLY_TIME"
	PropertyCluster                  = "CLUSTER"
	PropertyMsgType                  = "MSG_TYPE"
	// From here on since 5.x.
	PropertyPopCK                 = "POP_CK"
	PropertyPopCKOffset           = "POP_CK_OFFSET"
	PropertyFirstPopTime          = "1ST_POP_TIME"
	PropertyShardingKey           = "__SHARDINGKEY"
	PropertyForwardQueueID        = "PROPERTY_FORWARD_QUEUE_ID"
	PropertyRedirect              = "REDIRECT"
	PropertyInnerMultiDispatch    = "INNER_MULTI_DISPATCH"
	PropertyInnerMultiQueueOffset = "INNER_MULTI_QUEUE_OFFSET"
	PropertyTraceContext          = "TRACE_CONTEXT"
	PropertyTimerDelaySec         = "TIMER_DELAY_SEC"
	PropertyTimerDeliverMS        = "TIMER_DELIVER_MS"
	PropertyTimerDelayMS          = "TIMER_DELAY_MS"
	PropertyTimerEnqueueMS        = "TIMER_ENQUEUE_MS"
	PropertyTimerDequeueMS        = "TIMER_DEQUEUE_MS"
	PropertyTimerRollTimes        = "TIMER_ROLL_TIMES"
	PropertyTimerOutMS            = "TIMER_OUT_MS"
	PropertyTimerDelUniqKey       = "TIMER_DEL_UNIQKEY"
	PropertyTimerDelayLevel       = "TIMER_DELAY_LEVEL"
	PropertyBornHost              = "__BORNHOST"
	PropertyBornTimestamp         = "BORN_TIMESTAMP"
	PropertyCRC32                 = "__CRC32#"
	PropertyDLQOriginTopic        = "DLQ_ORIGIN_TOPIC"
	PropertyDLQOriginMessageID    = "DLQ_ORIGIN_MESSAGE_ID"
	// From here on since 5.4, but for the lite topic, which is of 5.5.
	PropertyPriority       = "_SYS_MSG_PRIORITY_"
	PropertyLiteTopic      = "__LITE_TOPIC"
	PropertyOriginGroup    = "ORIGIN_GROUP"
	PropertyTimerRollLabel = "TIMER_ROLL_LABEL"
	PropertyTransOffset    = "TRANS_OFFSET"
	// PropertyTransientPrefix begins names that a broker does not store.
	PropertyTransientPrefix = "__RMQ.TRANSIENT."
	// ReplyType is the value of MSG_TYPE of a reply (Java: MixAll.REPLY_MESSAGE_FLAG).
	ReplyType = "reply"
	// KeySeparator stands between the keys of a message.
	KeySeparator = " "
)

// IsReservedProperty reports whether Java's client refuses name as a user property: the members
// of MessageConst.STRING_HASH_SET, from 4.9 to 5.5 together. The set is smaller than the list of
// names above; REDIRECT, TRACE_CONTEXT, __SHARDINGKEY and a few more are open to users there.
func IsReservedProperty(name string) bool {
	switch name {
	case PropertyTraceOn, PropertyMsgRegion, PropertyKeys, PropertyTags, PropertyWait, PropertyDelay,
		PropertyRetryTopic, PropertyRealTopic, PropertyRealQueueID, PropertyTransactionPrepared,
		PropertyProducerGroup, PropertyMinOffset, PropertyMaxOffset, PropertyBuyerID,
		PropertyOriginMessageID, PropertyTransferFlag, PropertyCorrectionFlag, PropertyMQ2Flag,
		PropertyReconsumeTime, PropertyUniqKey, PropertyMaxReconsumeTimes, PropertyConsumeStartTime,
		PropertyPopCK, PropertyPopCKOffset, PropertyFirstPopTime, PropertyTransactionPreparedQueue,
		PropertyDupInfo, PropertyExtendUniqInfo, PropertyInstanceID, PropertyCorrelationID,
		PropertyReplyToClient, PropertyTTL, PropertyArriveTime, PropertyPushReplyTime,
		PropertyCluster, PropertyMsgType, PropertyInnerMultiQueueOffset, PropertyTimerDelayMS,
		PropertyTimerDelaySec, PropertyTimerDeliverMS, PropertyTimerEnqueueMS, PropertyTimerDequeueMS,
		PropertyTimerRollTimes, PropertyTimerOutMS, PropertyTimerDelUniqKey, PropertyTimerDelayLevel,
		PropertyBornHost, PropertyBornTimestamp, PropertyDLQOriginTopic, PropertyDLQOriginMessageID,
		PropertyCRC32, PropertyPriority, PropertyLiteTopic, PropertyOriginGroup:
		return true
	}
	return false
}

// IsSingleProperty reports whether brokers honour the property in a message that is sent alone
// and ignore it, without an error, in a message of a batch: light queues, a lite topic, a
// priority, and the type of a reply (Java: SendMessageProcessor.sendMessage,
// CommitLog.doAppend, ReplyMessageProcessor). Delays are none of
// these: clients refuse them in a batch themselves (Java: MessageBatch).
func IsSingleProperty(name string) bool {
	for _, single := range singleProperties {
		if name == single {
			return true
		}
	}
	return false
}

// SingleProperties are the names for which [IsSingleProperty] is true.
func SingleProperties() [4]string { return singleProperties }

var singleProperties = [4]string{PropertyInnerMultiDispatch, PropertyLiteTopic, PropertyPriority, PropertyMsgType}
