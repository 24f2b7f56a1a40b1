package core

import (
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/internal/enum"
)

// Message is what the user hands to a producer.
//
// Everything below Send only reads it: a message may be sent again, and by
// several goroutines at once. It must not be changed while a send of it is
// under way, for SendAsync until done has run.
//
// The zero value is not sendable: Topic and Body are required.
type Message struct {
	// Topic names the destination, at most 127 bytes of [%|a-zA-Z0-9_-].
	Topic string
	// Body is the payload: at least 1 byte and by default at most 4 MiB.
	Body []byte
	// Tag lets consumers filter on the broker (property TAGS). Optional.
	Tag string
	// Keys are business keys under which the message can be queried later
	// (property KEYS, joined by one blank). A key holds no blank itself.
	Keys []string
	// ShardingKey makes messages of one key go to one queue, in order, when the
	// producer's selector honours it (property __SHARDINGKEY).
	ShardingKey string
	// DelayLevel is one of the broker's delay levels, by default 1 (1 s) to
	// 18 (2 h); 0 means no delay (property DELAY). All broker versions know it.
	DelayLevel int
	// DeliverAt is the time before which a 5.x broker does not deliver the
	// message, to the millisecond, at most 3 days ahead by default (property
	// TIMER_DELIVER_MS). 4.x brokers ignore it and deliver at once. Only one of
	// DelayLevel, DeliverAt and DeliverAfter may be set.
	DeliverAt time.Time
	// DeliverAfter is how long a 5.x broker waits before it delivers the message, counted by
	// its own clock from the moment it takes the message; in whole milliseconds, what is less
	// is rounded up (property TIMER_DELAY_MS). So clocks that differ do not matter, and each
	// attempt begins anew. The rest is as for DeliverAt.
	DeliverAfter time.Duration
	// Priority puts the message into a queue by its priority, from 0, for topics of the type
	// PRIORITY (brokers from 5.4 on; property _SYS_MSG_PRIORITY_). Consumers take from the
	// queues with higher numbers first. The broker chooses the queue, whatever the selector
	// said: the one with this number or the last one. Older brokers ignore it. Nil is no
	// priority. It cannot be set together with a delay, ShardingKey, LiteTopic or Queue:
	// brokers would drop one of the two without a word.
	Priority *int
	// LiteTopic names one of the many small topics that live in a topic of the type LITE
	// (brokers from 5.5 on; property __LITE_TOPIC): 1 to 64 bytes of [a-zA-Z0-9_-]. Older
	// brokers ignore it. [Message.OrderKey] is this name then, so messages of one lite topic
	// go to one queue. It cannot be set together with a delay, ShardingKey or Priority.
	LiteTopic string
	// Properties are the user's own headers. Names that RocketMQ itself uses
	// are refused by validation; use the typed fields for them.
	Properties map[string]string
	// Flag is stored with the message and handed to consumers; brokers do not
	// interpret it.
	Flag int32
	// NoWaitStore tells the broker not to wait for the flush or for the slaves
	// before it answers, whatever its configuration (property WAIT=false).
	NoWaitStore bool
	// Queue fixes the queue. The send goes to it or fails; it is never
	// re-routed. Nil, the usual case, leaves the choice to the selector.
	Queue *Queue
}

// Queue names a message queue of a topic: the broker's name, not its address,
// and the queue's number on that broker, from 0.
//
// The queues of a static topic (RocketMQ 5) are numbered over all brokers, and a queue can move
// from one broker to another. There the number alone names the queue: a send finds the broker
// that leads it now, whatever broker stands here. A result names the broker that took the message.
type Queue struct {
	Broker string
	ID     int
}

// String gives "broker/id", for example "broker-a/3".
func (q Queue) String() string { return fmt.Sprintf("%s/%d", q.Broker, q.ID) }

// MessageType tells how a broker treats a message. Hooks and tracing use it.
type MessageType uint8

// The message types of RocketMQ.
const (
	NormalMessage      MessageType = iota
	FIFOMessage                    // has a sharding key
	DelayMessage                   // has a delay level or a delivery time
	PriorityMessage                // has a priority
	LiteMessage                    // has a lite topic
	TransactionMessage             // is a half message; only a call knows that, see Call.Type
)

var messageTypeNames = []string{"normal", "fifo", "delay", "priority", "lite", "transaction"}

// String gives the name that the OpenTelemetry conventions use, where they have one.
func (t MessageType) String() string { return enum.Name(messageTypeNames, int(t)) }

// MarshalText gives the name.
func (t MessageType) MarshalText() ([]byte, error) {
	return enum.Marshal("message type", messageTypeNames, int(t))
}

// UnmarshalText takes a name.
func (t *MessageType) UnmarshalText(text []byte) error {
	return enum.Unmarshal("message type", messageTypeNames, text, t)
}

// Type reports how the broker will treat m in a plain send. The order in which it looks is the brokers'
// (Java: TopicMessageType.parseFromMessageProperty); a delay comes before a sharding key.
func (m *Message) Type() MessageType {
	switch {
	case m.Delayed():
		return DelayMessage
	case m.ShardingKey != "":
		return FIFOMessage
	case m.Priority != nil:
		return PriorityMessage
	case m.LiteTopic != "":
		return LiteMessage
	default:
		return NormalMessage
	}
}

// Delayed reports whether the message has a delay level, a delivery time or a delay.
func (m *Message) Delayed() bool {
	return m.DelayLevel > 0 || !m.DeliverAt.IsZero() || m.DeliverAfter > 0
}

// OrderKey is what keeps messages in one queue, in order: the sharding key or, without one,
// the lite topic; "" if nothing does.
func (m *Message) OrderKey() string {
	if m.ShardingKey != "" {
		return m.ShardingKey
	}
	return m.LiteTopic
}
