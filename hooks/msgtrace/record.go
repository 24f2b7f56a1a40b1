package msgtrace

import (
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Kind is what a record tells of (Java: TraceType).
type Kind string

// The kinds that producers write.
const (
	Pub            Kind = "Pub"            // an attempt to send
	EndTransaction Kind = "EndTransaction" // the end of a half message
	Recall         Kind = "Recall"         // a timed message was taken back
)

// The types of messages in records are the ordinals of Java's MessageType.
const (
	typeNormal = 0
	typeHalf   = 1
	typeCommit = 2
	typeDelay  = 3
)

// defaultRegion is what Java writes where it knows no region (Java: MixAll.DEFAULT_TRACE_REGION_ID).
const defaultRegion = "DefaultRegion"

// Record is one record of the trace. Each kind has some of the fields.
type Record struct {
	Kind Kind
	// Time is when the attempt began, to the millisecond.
	Time time.Time
	// Region is that of the broker. Group and Topic are without a namespace.
	Region, Group, Topic string
	MessageID            core.MessageID
	// ID is the message's unique id where it is only known as text: in ends of transactions and
	// in recalls.
	ID string
	// Tag and Keys, joined by blanks, are the message's. Java writes "null" where there is none.
	Tag, Keys string
	// StoreHost is the broker's address.
	StoreHost string
	// BodyLength is the length of the body as it was sent.
	BodyLength int
	// Cost is how long the attempt took, in whole milliseconds.
	Cost time.Duration
	// Type is the ordinal of Java's MessageType: 0 normal, 1 half message, 3 delayed. It is 2 in
	// the end of a transaction, whatever that decides.
	Type int
	// OffsetMessageID is the broker's id of the message.
	OffsetMessageID string
	// Success says that the message was stored with the status SEND_OK, or recalled.
	Success bool

	// These are an end of a transaction's.
	TransactionID string
	Decision      core.TransactionDecision
	FromCheck     bool
}

// AppendTo adds the record's text, as Java's TraceDataEncoder writes it: the fields with U+0001
// between them, and U+0002.
func (r *Record) AppendTo(b []byte) []byte {
	b = append(append(b, r.Kind...), rocketmq.NameValueSeparator)
	b = append(strconv.AppendInt(b, r.Time.UnixMilli(), 10), rocketmq.NameValueSeparator)
	b = field(b, r.Region)
	b = field(b, r.Group)
	b = field(b, r.Topic)
	b = field(b, r.id())
	switch r.Kind {
	case Pub:
		b = r.message(b)
		b = number(b, int64(r.BodyLength))
		b = number(b, r.Cost.Milliseconds())
		b = number(b, int64(r.Type))
		b = field(b, r.OffsetMessageID)
		b = strconv.AppendBool(b, r.Success)
	case EndTransaction:
		b = r.message(b)
		b = number(b, int64(r.Type))
		b = field(b, orNull(r.TransactionID))
		b = field(b, stateOf(r.Decision))
		b = strconv.AppendBool(b, r.FromCheck)
	case Recall:
		b = strconv.AppendBool(b, r.Success)
	}
	return append(b, rocketmq.PropertySeparator)
}

// message adds what is the same of attempts and ends.
func (r *Record) message(b []byte) []byte {
	return field(field(field(b, orNull(r.Tag)), orNull(r.Keys)), r.StoreHost)
}

// id is the message's unique id.
func (r *Record) id() string {
	if r.ID != "" {
		return r.ID
	}
	return r.MessageID.String()
}

// AllKeys are the keys by which the record's trace message is found: the message's id and its keys.
func (r *Record) AllKeys() []string {
	return append([]string{r.id()}, strings.Fields(r.Keys)...)
}

func field(b []byte, s string) []byte { return append(append(b, s...), rocketmq.NameValueSeparator) }

func number(b []byte, n int64) []byte {
	return append(strconv.AppendInt(b, n, 10), rocketmq.NameValueSeparator)
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

// stateOf is Java's LocalTransactionState.
func stateOf(d core.TransactionDecision) string {
	switch d {
	case core.TransactionCommit:
		return "COMMIT_MESSAGE"
	case core.TransactionRollback:
		return "ROLLBACK_MESSAGE"
	default:
		return "UNKNOW"
	}
}
