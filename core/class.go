package core

import (
	"context"
	"errors"

	"github.com/liftoff-mq/liftoff/internal/enum"
)

// Certainty says what became of the message of a failed send.
//
// The zero value means that this is not known, so an error that was lost, wrapped
// without %w or never filled in does not read as safe. Certainties are no scale: branch
// on each by name, or ask [Certainty.Safe].
type Certainty uint8

// The certainties. A call's certainty is the least favourable of its attempts: one
// attempt without an answer makes the whole call MaybeStored.
const (
	CertaintyUnknown Certainty = iota // nothing is known; treat it as MaybeStored
	NotSent                           // no byte of it left the process
	NotStored                         // a broker got it and refused it
	MaybeStored                       // it was sent, and no answer came
	Stored                            // it is stored, with a weaker status than was asked for
)

var certaintyNames = []string{"unknown", "not-sent", "not-stored", "maybe-stored", "stored"}

// String gives "unknown", "not-sent", "not-stored", "maybe-stored" or "stored".
func (c Certainty) String() string { return enum.Name(certaintyNames, int(c)) }

// MarshalText gives the name.
func (c Certainty) MarshalText() ([]byte, error) {
	return enum.Marshal("certainty", certaintyNames, int(c))
}

// UnmarshalText takes a name.
func (c *Certainty) UnmarshalText(text []byte) error {
	return enum.Unmarshal("certainty", certaintyNames, text, c)
}

// Safe reports whether the message can be sent again without being stored twice. It is
// false for [CertaintyUnknown].
func (c Certainty) Safe() bool { return c == NotSent || c == NotStored }

// orMaybe is c, or MaybeStored where a transport did not say.
func (c Certainty) orMaybe() Certainty {
	if c == CertaintyUnknown || c > Stored {
		return MaybeStored
	}
	return c
}

// Class says what kind of failure an error is. The zero value is no failure.
type Class uint8

// The classes. A transport gives each refusal of a broker one of them; core, breakers and
// retry policies look at nothing else.
const (
	ClassNone        Class = iota
	ClassInvalid           // the message was refused locally
	ClassRejected          // a broker refused the message for good
	ClassForbidden         // a hook, or a permission on the broker, forbids it
	ClassAuth              // the broker did not accept the credentials
	ClassNoRoute           // no name server knows a writable queue of the topic
	ClassNoTopic           // the broker does not know the topic
	ClassStale             // the route was outdated: the queue is no longer there
	ClassBusy              // the broker is overloaded
	ClassUnavailable       // the broker cannot serve now
	ClassBroker            // any other answer of a broker
	ClassNetwork           // no connection, or it was lost
	ClassTimeout           // no answer in time
	ClassCanceled          // the caller's context ended
	ClassCircuitOpen       // a breaker refused the broker
	ClassInFlight          // the in-flight limit was reached
	ClassClosed            // the producer is not running or was shut down
	ClassPlugin            // a step or strategy panicked or broke its contract
	ClassUnsupported       // the transport cannot carry it
	ClassUnknown           // anything else, such as a user interceptor's error
)

var classNames = []string{
	"none", "invalid", "rejected", "forbidden", "auth", "no-route", "no-topic", "stale", "busy",
	"unavailable", "broker", "network", "timeout", "canceled", "circuit-open", "in-flight",
	"closed", "plugin", "unsupported", "unknown",
}

// String gives the class's name, for example "no-route".
func (c Class) String() string { return enum.Name(classNames, int(c)) }

// MarshalText gives the name.
func (c Class) MarshalText() ([]byte, error) { return enum.Marshal("class", classNames, int(c)) }

// UnmarshalText takes a name.
func (c *Class) UnmarshalText(text []byte) error { return enum.Unmarshal("class", classNames, text, c) }

// Classified may be implemented by an error to name its own class.
type Classified interface{ ErrorClass() Class }

// ClassOf finds the class of err: that of the first error in its chain which is
// [Classified], a sentinel of this package or a context error. A nil error has
// ClassNone.
func ClassOf(err error) Class {
	if err == nil {
		return ClassNone
	}
	var c Classified
	if errors.As(err, &c) {
		return c.ErrorClass()
	}
	for _, s := range sentinelClasses {
		if errors.Is(err, s.err) {
			return s.class
		}
	}
	return ClassUnknown
}

// The order matters: ErrTimeout is context.DeadlineExceeded as well.
var sentinelClasses = []struct {
	err   error
	class Class
}{
	{ErrInvalidMessage, ClassInvalid},
	{ErrForbidden, ClassForbidden},
	{ErrNoRoute, ClassNoRoute},
	{ErrCircuitOpen, ClassCircuitOpen},
	{ErrTooManyInFlight, ClassInFlight},
	{ErrNotRunning, ClassClosed},
	{ErrClosed, ClassClosed},
	{ErrAborted, ClassClosed},
	{ErrNextTwice, ClassPlugin},
	{ErrFrozen, ClassPlugin},
	{ErrEncoded, ClassPlugin},
	{ErrContract, ClassPlugin},
	{ErrUnsupported, ClassUnsupported},
	{context.Canceled, ClassCanceled},
	{context.DeadlineExceeded, ClassTimeout},
	{ErrConnect, ClassNetwork},
	{ErrConnectionLost, ClassNetwork},
}

// CertaintyOf finds what the error of a send or transaction says of the message, or that of an
// operation of its request. Without a *[SendError], *[TransactionError] or *[OperationError] in its chain, which is also the
// case for nil and for an error wrapped with %v, it is [CertaintyUnknown].
func CertaintyOf(err error) Certainty {
	var te *TransactionError // first: a local transaction's error may be another send's
	if errors.As(err, &te) {
		return te.Certainty
	}
	var se *SendError
	if errors.As(err, &se) {
		return se.Certainty
	}
	var oe *OperationError
	if errors.As(err, &oe) {
		return oe.Certainty
	}
	return CertaintyUnknown
}
