// Package conventions maps Liftoff's terms to the attributes and instruments of
// OpenTelemetry's semantic conventions for messaging and RocketMQ.
//
// This file is the only place that names a version of the conventions. They are
// still in development: an update may rename what users see, so it is a change
// for the changelog.
package conventions

import (
	"errors"
	"strconv"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/internal/words"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"
)

// SchemaURL belongs to the pinned version.
const SchemaURL = semconv.SchemaURL

// Version is the version of the instrumentation.
const Version = "0.1.0"

// Operation is what a span or a measurement is about.
type Operation string

// The operations of a producer. Attempt, Recall and Request are not of the conventions. An
// attempt is one try of a send, and must not be counted as a send of its own. A recall takes a
// message back; none of the conventions' operation types fits it. A request is a send that
// waits for a reply, so its time says nothing of sends.
const (
	Send    Operation = "send"
	Create  Operation = "create"
	Attempt Operation = "attempt"
	Recall  Operation = "recall"
	Request Operation = "request"
	// End and Check are the end of a transaction, and a broker's question about one.
	End   Operation = "end-transaction"
	Check Operation = "transaction-check"
)

// OfCall is the operation that a call is: a request where a step waits for the reply to it.
func OfCall(call *core.Call) Operation {
	if requestreply.IsRequest(call) {
		return Request
	}
	return Send
}

// AppendOperation appends system, operation, namespace and destination. The
// namespace is required even if there is none: then it is "".
func AppendOperation(dst []attribute.KeyValue, op Operation, namespace, topic string) []attribute.KeyValue {
	dst = append(dst, semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName(string(op)))
	switch op {
	case Send, Request:
		dst = append(dst, semconv.MessagingOperationTypeSend)
	case Create:
		dst = append(dst, semconv.MessagingOperationTypeCreate)
	}
	dst = append(dst, semconv.MessagingRocketMQNamespace(namespace))
	if topic != "" {
		dst = append(dst, semconv.MessagingDestinationName(topic))
	}
	return dst
}

// AppendCount appends the attributes of a measurement, without the operation's
// type. There the namespace is ours to add, so only if there is one.
func AppendCount(dst []attribute.KeyValue, op Operation, namespace, topic string) []attribute.KeyValue {
	dst = append(dst, semconv.MessagingSystemRocketMQ, semconv.MessagingOperationName(string(op)))
	if namespace != "" {
		dst = append(dst, semconv.MessagingRocketMQNamespace(namespace))
	}
	if topic != "" {
		dst = append(dst, semconv.MessagingDestinationName(topic))
	}
	return dst
}

// SendType returns the operation type of a send.
func SendType() attribute.KeyValue { return semconv.MessagingOperationTypeSend }

// AppendMessage appends what describes one message, which is sent as one of a type; a batch has
// none of these. Keys are another matter, see [AppendKeys].
func AppendMessage(dst []attribute.KeyValue, m *core.Message, typ core.MessageType, id core.MessageID) []attribute.KeyValue {
	dst = append(dst, semconv.MessagingMessageID(id.String()))
	switch typ {
	case core.TransactionMessage:
		dst = append(dst, semconv.MessagingRocketMQMessageTypeTransaction)
	case core.FIFOMessage:
		dst = append(dst, semconv.MessagingRocketMQMessageTypeFifo, semconv.MessagingRocketMQMessageGroup(m.ShardingKey))
	case core.DelayMessage:
		dst = append(dst, semconv.MessagingRocketMQMessageTypeDelay)
		switch {
		case m.DelayLevel > 0:
			dst = append(dst, semconv.MessagingRocketMQMessageDelayTimeLevel(m.DelayLevel))
		case !m.DeliverAt.IsZero():
			dst = append(dst, semconv.MessagingRocketMQMessageDeliveryTimestampKey.Int64(m.DeliverAt.UnixMilli()))
		default: // the broker's clock says when; the conventions have no name for a delay
			dst = append(dst, DeliverAfterKey.Int64(m.DeliverAfter.Milliseconds()))
		}
	case core.PriorityMessage:
		dst = append(dst, messageType(m.Type()), PriorityKey.Int(*m.Priority))
	case core.LiteMessage:
		dst = append(dst, messageType(m.Type()), LiteTopicKey.String(m.LiteTopic))
	default:
		dst = append(dst, semconv.MessagingRocketMQMessageTypeNormal)
	}
	if m.Tag != "" {
		dst = append(dst, semconv.MessagingRocketMQMessageTag(m.Tag))
	}
	return dst
}

// messageType is a type that the conventions do not list; the attribute is open to others.
func messageType(t core.MessageType) attribute.KeyValue {
	return semconv.MessagingRocketMQMessageTypeKey.String(t.String())
}

// AppendKeys appends a message's keys. The conventions recommend them, and let an
// instrumentation leave a recommended attribute out for the sake of privacy.
func AppendKeys(dst []attribute.KeyValue, m *core.Message) []attribute.KeyValue {
	if len(m.Keys) > 0 {
		dst = append(dst, semconv.MessagingRocketMQMessageKeys(m.Keys...))
	}
	return dst
}

// Namespace is the attribute of the namespace.
func Namespace(ns string) attribute.KeyValue { return semconv.MessagingRocketMQNamespace(ns) }

// Conversation is the id that request and reply have in common.
func Conversation(id string) attribute.KeyValue { return semconv.MessagingMessageConversationID(id) }

// ClientID is the attribute of the client's id.
func ClientID(id string) attribute.KeyValue { return semconv.MessagingClientID(id) }

// BatchCount is the number of messages in a batch; a single send has none.
func BatchCount(n int) attribute.KeyValue { return semconv.MessagingBatchMessageCount(n) }

// MessageID is the id of a message.
func MessageID(id string) attribute.KeyValue { return semconv.MessagingMessageID(id) }

// BodySize is the size of the body as the user gave it, uncompressed.
func BodySize(n int) attribute.KeyValue { return semconv.MessagingMessageBodySize(n) }

// Partition names a queue. RocketMQ numbers queues per broker, and the
// conventions want a name that is unique in the topic: "broker-a-3".
func Partition(q core.Queue) attribute.KeyValue {
	return semconv.MessagingDestinationPartitionID(q.Broker + "-" + strconv.Itoa(q.ID))
}

// AppendServer appends the broker's address, "host:port", as that of the server.
func AppendServer(dst []attribute.KeyValue, addr string) []attribute.KeyValue {
	host, port, ok := splitAddr(addr)
	if host != "" {
		dst = append(dst, semconv.ServerAddress(host))
	}
	if ok {
		dst = append(dst, semconv.ServerPort(port))
	}
	return dst
}

// AppendPeer appends the address as that of the network peer, if it is an IP
// address: a name says nothing about which node answered.
func AppendPeer(dst []attribute.KeyValue, addr string) []attribute.KeyValue {
	host, port, ok := splitAddr(addr)
	if !isIP(host) {
		return dst
	}
	dst = append(dst, semconv.NetworkPeerAddress(host))
	if ok {
		dst = append(dst, semconv.NetworkPeerPort(port))
	}
	return dst
}

// ErrorType is the error.type attribute of a failed call, attempt or operation.
func ErrorType(err error) attribute.KeyValue {
	// The error of a send or operation without a class of its own would only say "unknown".
	if send := (*core.SendError)(nil); errors.As(err, &send) && send.Class == core.ClassUnknown && send.Cause != nil {
		return ErrorType(send.Cause)
	}
	if op := (*core.OperationError)(nil); errors.As(err, &op) && op.Class == core.ClassUnknown && op.Cause != nil {
		return ErrorType(op.Cause)
	}
	if name := errorType(err); name != "" {
		return semconv.ErrorTypeKey.String(name)
	}
	return semconv.ErrorType(err)
}

// OtherError is the name of a kind of error for which there is no room.
var OtherError = semconv.ErrorTypeOther.Value.AsString()

// ErrorTypeName is the attribute for a name that [ErrorType] gave before.
func ErrorTypeName(name string) attribute.KeyValue { return semconv.ErrorTypeKey.String(name) }

// AppendResponseCode appends the number of a server's answer, if err is an answer that has
// one. Not every protocol numbers its answers.
func AppendResponseCode(dst []attribute.KeyValue, err error) []attribute.KeyValue {
	if be := (*core.BrokerError)(nil); errors.As(err, &be) {
		if n, ok := be.Code.(interface{ Number() int }); ok {
			dst = append(dst, ResponseCodeKey.Int(n.Number()))
		}
	}
	return dst
}

// StatusText is the description of a failed span: what ended the call, in one short line. The
// attempts are not in it, because they have events or spans of their own.
func StatusText(err error) string {
	const most = 256
	if send := (*core.SendError)(nil); errors.As(err, &send) && send.Cause != nil {
		err = send.Cause
	}
	return words.Line(words.Err(err), most)
}

// Attributes that the conventions do not have. Their names begin with the library's, since
// rocketmq and messaging belong to the conventions.
const (
	AttemptKey      = attribute.Key("liftoff.attempt")           // int, from 1
	AttemptTimeKey  = attribute.Key("liftoff.attempt.duration")  // seconds
	ResponseCodeKey = attribute.Key("liftoff.response_code")     // int, the broker's answer
	AttemptsKey     = attribute.Key("liftoff.attempts")          // int, attempts of the call
	CertaintyKey    = attribute.Key("liftoff.certainty")         // what became of the message
	ModeKey         = attribute.Key("liftoff.mode")              // sync, async, oneway
	DecisionKey     = attribute.Key("liftoff.transaction")       // what becomes of a half message: commit, rollback, unknown
	CheckKey        = attribute.Key("liftoff.transaction.check") // bool, a broker asked
	SendStatusKey   = attribute.Key("liftoff.send_status")       // of a message that is stored, SEND_OK and so on
	DeliverAfterKey = attribute.Key("liftoff.message.delay")     // int, milliseconds
	PriorityKey     = attribute.Key("liftoff.message.priority")  // int, from 0
	LiteTopicKey    = attribute.Key("liftoff.message.lite_topic")
)

// Duration makes the instrument messaging.client.operation.duration. The
// conventions' boundaries have to be given: the SDK's own default is in
// milliseconds.
func Duration(m metric.Meter, boundaries []float64) (metric.Float64Histogram, error) {
	h, err := messagingconv.NewClientOperationDuration(m, metric.WithExplicitBucketBoundaries(boundaries...))
	return h.Inst(), err
}

// Sent makes the instrument messaging.client.sent.messages.
func Sent(m metric.Meter) (metric.Int64Counter, error) {
	c, err := messagingconv.NewClientSentMessages(m)
	return c.Inst(), err
}
