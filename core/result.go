package core

import "github.com/liftoff-mq/liftoff/internal/enum"

// SendStatus says how firmly the broker holds an acknowledged message. Every
// status but StatusNone and Written means that the message is stored.
type SendStatus uint8

// The statuses: those of Java's SendStatus in its order, and one for one-way sends. The time-outs
// are the broker's: [Config].Timeout has to be longer for them to arrive.
const (
	StatusNone        SendStatus = iota // no success; the zero Result, beside an error, has it
	SendOK                              // stored
	FlushDiskTimeout                    // stored; not flushed to disk in time (code 10)
	FlushSlaveTimeout                   // stored; a slave did not confirm in time (code 12)
	SlaveNotAvailable                   // stored; no slave to confirm (code 11)
	Written                             // one-way: handed to the socket, no answer was asked for
)

var statusNames = []string{"NONE", "SEND_OK", "FLUSH_DISK_TIMEOUT", "FLUSH_SLAVE_TIMEOUT", "SLAVE_NOT_AVAILABLE", "WRITTEN"}

// String gives the name that Java's SendStatus has.
func (s SendStatus) String() string { return enum.Name(statusNames, int(s)) }

// MarshalText gives the name.
func (s SendStatus) MarshalText() ([]byte, error) { return enum.Marshal("status", statusNames, int(s)) }

// UnmarshalText takes a name.
func (s *SendStatus) UnmarshalText(text []byte) error {
	return enum.Unmarshal("status", statusNames, text, s)
}

// Result describes a message that a broker acknowledged or, one-way, that was
// written to its socket.
type Result struct {
	Status SendStatus
	// MaybeDuplicate is true when an earlier attempt of this call got no
	// answer: the message may be stored twice, under the same MessageID.
	MaybeDuplicate bool
	// TraceOn says whether the broker wants the message traced.
	TraceOn bool
	// Attempts is the number of tries the call took, from 1.
	Attempts int
	// MessageID is the client-made unique id (property UNIQ_KEY). It is the
	// same on every attempt of one call, so consumers can drop duplicates.
	MessageID MessageID
	// OffsetMessageID is the broker's id of the stored message: its address and
	// commit-log offset in hex.
	OffsetMessageID string
	// Queue is where the message lies.
	Queue Queue
	// QueueOffset is its position in that queue, from 0. It is -1 where the broker does not know
	// it: while it takes over a queue of a static topic.
	QueueOffset int64
	// TransactionID is set for half messages only.
	TransactionID string
	// RegionID is the broker's region, "DefaultRegion" unless configured.
	RegionID string
	// RecallHandle takes back a delayed message (brokers from 5.3.2).
	RecallHandle string
}

// Acked reports whether a broker acknowledged the message. It is false for the
// result of a failed send, and for one-way sends, which nobody acknowledges unless
// a step asked for it ([Attempt.Confirm]).
func (r *Result) Acked() bool { return r.Status != StatusNone && r.Status != Written }
