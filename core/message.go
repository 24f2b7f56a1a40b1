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
	// DelayLevel and DeliverAt may be set.
	DeliverAt time.Time
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
	TransactionMessage             // is a half message; only a call knows that, see Call.Type
)

var messageTypeNames = []string{"normal", "fifo", "delay", "transaction"}

// String gives the name that the OpenTelemetry conventions use.
func (t MessageType) String() string { return enum.Name(messageTypeNames, int(t)) }

// MarshalText gives the name.
func (t MessageType) MarshalText() ([]byte, error) {
	return enum.Marshal("message type", messageTypeNames, int(t))
}

// UnmarshalText takes a name.
func (t *MessageType) UnmarshalText(text []byte) error {
	return enum.Unmarshal("message type", messageTypeNames, text, t)
}

// Type reports how the broker will treat m in a plain send. A delay wins over a sharding key,
// as the broker sorts delayed messages by time first.
func (m *Message) Type() MessageType {
	switch {
	case m.DelayLevel > 0 || !m.DeliverAt.IsZero():
		return DelayMessage
	case m.ShardingKey != "":
		return FIFOMessage
	default:
		return NormalMessage
	}
}
