package rocketmq

import (
	"strings"

	"github.com/liftoff-mq/liftoff/internal/enum"
)

// Limits of names, in bytes.
const (
	// MaxTopicLength is the protocol's limit of a topic (Java: Validators.TOPIC_MAX_LENGTH):
	// a stored message of version 1 has one signed byte for it.
	MaxTopicLength = 127
	// MaxGroupLength is the limit of a group, so that a broker can make the topic
	// %RETRY%group. Java's Validators lets 255 pass up to 5.3.3, and 120 later.
	MaxGroupLength = 120
	// MaxLiteTopicLength is the limit of a lite topic (5.5; Java: the proxy's maxLiteTopicSize).
	MaxLiteTopicLength = 64
)

// Prefixes of the topics that brokers make for a consumer group (Java: MixAll).
const (
	RetryPrefix = "%RETRY%"
	DLQPrefix   = "%DLQ%"
)

// Names with a meaning (Java: TopicValidator, MixAll, TimerMessageStore).
const (
	// DefaultTopic is the topic whose settings an auto-created topic takes.
	DefaultTopic = "TBW102"
	// ScheduleTopic holds messages with a delay level until their time has come.
	ScheduleTopic = "SCHEDULE_TOPIC_XXXX"
	// TimerTopic holds messages with a delivery time (5.x).
	TimerTopic = "rmq_sys_wheel_timer"
	// TransactionHalfTopic holds prepared messages, TransactionOpTopic their ends.
	TransactionHalfTopic = "RMQ_SYS_TRANS_HALF_TOPIC"
	TransactionOpTopic   = "RMQ_SYS_TRANS_OP_HALF_TOPIC"
	// RocksDBHalfTopic and RocksDBOpTopic are the same two of a broker that keeps
	// transactions in RocksDB (5.4).
	RocksDBHalfTopic = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC"
	RocksDBOpTopic   = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC"
	// TraceTopic takes the traces of clients, by default.
	TraceTopic = "RMQ_SYS_TRACE_TOPIC"
	// SystemTopicPrefix begins the system's topics, besides those with an older name.
	SystemTopicPrefix = "rmq_sys_"
	// SystemGroupPrefix begins the groups of the system's own consumers.
	SystemGroupPrefix = "CID_RMQ_SYS_"
	// DefaultProducerGroup is the group of Java producers that have none, which cannot start.
	DefaultProducerGroup = "DEFAULT_PRODUCER"
)

// Names in the place of a broker's, for the logical queues of a static topic (5.x; Java:
// MixAll.LOGICAL_QUEUE_MOCK_BROKER_PREFIX, TopicQueueMappingUtils.getMockBrokerName).
const (
	// MockBrokerGlobal is what Java's clients call the broker of each such queue, because its
	// number alone says which one it is.
	MockBrokerGlobal = "__syslo__global__"
	// MockBrokerNone is the broker of one that no broker leads.
	MockBrokerNone = "__syslo__none__"
)

// ReplyTopicSuffix ends the topics of replies, one for each cluster, see [ReplyTopic].
const ReplyTopicSuffix = "_REPLY_TOPIC"

// ReplyTopic is the topic that replies to the requests of a cluster's clients are sent to
// (Java: MixAll.getReplyTopic). Every broker of the cluster has it.
func ReplyTopic(cluster string) string { return cluster + ReplyTopicSuffix }

const (
	transactionCheckTopic = "TRANS_CHECK_MAX_TIME_TOPIC"
	selfTestTopic         = "SELF_TEST_TOPIC"
	offsetMovedTopic      = "OFFSET_MOVED_EVENT"
	benchmarkTopic        = "BenchmarkTest"
	checkpointTopic       = "CHECKPOINT_TOPIC"
)

// NameFault is what is wrong with the name of a topic or group.
type NameFault uint8

// The faults.
const (
	NameOK       NameFault = iota // nothing
	NameBlank                     // it is empty, see [IsBlank]
	NameBadChar                   // it has bytes for which [NameChar] is false
	NameTooLong                   // it is beyond MaxTopicLength or MaxGroupLength
	NameReserved                  // it is the system's
)

var faultNames = []string{"ok", "blank", "bad character", "too long", "reserved"}

// String gives "ok", "blank", "bad character", "too long" or "reserved".
func (f NameFault) String() string { return enum.Name(faultNames, int(f)) }

// MarshalText gives the name.
func (f NameFault) MarshalText() ([]byte, error) {
	return enum.Marshal("name fault", faultNames, int(f))
}

// UnmarshalText takes a name.
func (f *NameFault) UnmarshalText(text []byte) error {
	return enum.Unmarshal("name fault", faultNames, text, f)
}

// NameChar reports whether a topic or group may hold c: [%|a-zA-Z0-9_-] (Java:
// TopicValidator.VALID_CHAR_BIT_MAP).
func NameChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '%' || c == '|' || c == '_' || c == '-'
}

// LiteTopicChar reports whether a lite topic may hold c: [a-zA-Z0-9_-] (Java: the proxy's
// GrpcValidator.validateLiteTopic; brokers themselves do not look).
func LiteTopicChar(c byte) bool { return NameChar(c) && c != '%' && c != '|' }

// CheckName finds the first fault of a name of at most limit bytes, in the order of
// the constants. Reserved names pass (Java: TopicValidator.validateTopic).
func CheckName(name string, limit int) NameFault {
	if IsBlank(name) {
		return NameBlank
	}
	for i := range len(name) {
		if !NameChar(name[i]) {
			return NameBadChar
		}
	}
	if len(name) > limit {
		return NameTooLong
	}
	return NameOK
}

// CheckTopic finds the first fault of a topic that a producer sends to: those of
// [CheckName], and NameReserved for [IsForbiddenTopic] (Java: Validators.checkTopic
// and isNotAllowedSendTopic).
func CheckTopic(topic string) NameFault {
	if f := CheckName(topic, MaxTopicLength); f != NameOK {
		return f
	}
	if IsForbiddenTopic(topic) {
		return NameReserved
	}
	return NameOK
}

// CheckGroup finds the first fault of a producer's group: those of [CheckName], and
// NameReserved for [DefaultProducerGroup] (Java: Validators.checkGroup,
// DefaultMQProducerImpl.checkConfig).
func CheckGroup(group string) NameFault {
	if f := CheckName(group, MaxGroupLength); f != NameOK {
		return f
	}
	if group == DefaultProducerGroup {
		return NameReserved
	}
	return NameOK
}

// IsForbiddenTopic reports whether nobody but the broker may send to the topic,
// because it keeps its own records there (Java: TopicValidator.isNotAllowedSendTopic).
func IsForbiddenTopic(topic string) bool {
	switch topic {
	case ScheduleTopic, TransactionHalfTopic, TransactionOpTopic, RocksDBHalfTopic, RocksDBOpTopic,
		transactionCheckTopic, selfTestTopic, offsetMovedTopic:
		return true
	}
	return false
}

// IsSystemTopic reports whether the topic is the cluster's own: nobody may create it,
// and namespaces share it (Java: TopicValidator.isSystemTopic). Some of these take
// messages all the same, see [IsForbiddenTopic].
func IsSystemTopic(topic string) bool {
	switch topic {
	case DefaultTopic, TraceTopic, benchmarkTopic, checkpointTopic:
		return true
	}
	return IsForbiddenTopic(topic) || strings.HasPrefix(topic, SystemTopicPrefix)
}

// IsSystemGroup reports whether the group is one of the system's own consumers
// (Java: MixAll.isSysConsumerGroup).
func IsSystemGroup(group string) bool { return strings.HasPrefix(group, SystemGroupPrefix) }

// IsRetryTopic reports whether the topic takes messages for a consumer group's second
// try. Such a topic takes no batches (Java: MessageBatch.generateFromList).
func IsRetryTopic(topic string) bool { return strings.HasPrefix(topic, RetryPrefix) }

// IsBlank reports whether nothing of s is above U+0020 (Java: String.trim).
func IsBlank(s string) bool {
	for i := range len(s) {
		if s[i] > ' ' {
			return false
		}
	}
	return true
}
