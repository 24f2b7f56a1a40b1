package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// The errors that callers branch on. Each is found with errors.Is in whatever a
// send returns.
var (
	ErrNotRunning     = errors.New("rocketmq: producer is not running")
	ErrClosed         = errors.New("rocketmq: producer is shut down")
	ErrAborted        = errors.New("rocketmq: send aborted by shutdown")
	ErrInvalidMessage = errors.New("rocketmq: invalid message")
	ErrNoRoute        = errors.New("rocketmq: no route to topic")
	// ErrNotWritable is an ErrNoRoute of a topic whose queues are all there to be read
	// only: somebody took the permission away, and the old route must not be used any
	// longer. One that nobody confirms may be: name servers can lose their memory.
	ErrNotWritable     = fmt.Errorf("%w: its queues are read-only", ErrNoRoute)
	ErrForbidden       = errors.New("rocketmq: send forbidden")
	ErrCircuitOpen     = errors.New("rocketmq: circuit breaker open")
	ErrTooManyInFlight = errors.New("rocketmq: too many sends in flight")
	ErrGroupTaken      = errors.New("rocketmq: producer group already registered in this client")
	// ErrConnect is an attempt that found no connection: nothing was sent.
	ErrConnect = errors.New("rocketmq: cannot connect")
	// ErrConnectionLost is a connection that went away under a request.
	ErrConnectionLost = errors.New("rocketmq: connection lost")
	// ErrTimeout is the end of the call's or the attempt's time. It is also
	// context.DeadlineExceeded to errors.Is.
	ErrTimeout error = timeoutError{}

	// ErrNextTwice, ErrFrozen and ErrContract are mistakes of a plugin.
	ErrNextTwice = errors.New("rocketmq: attempt interceptor called next twice")
	ErrFrozen    = errors.New("rocketmq: outgoing message changed in attempt scope")
	ErrContract  = errors.New("rocketmq: step broke its contract")
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "rocketmq: timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Is(t error) bool { return t == context.DeadlineExceeded }

// Certainty says what became of the message of a failed send.
type Certainty uint8

// The certainties. A call's certainty is the weakest of its attempts: one
// unanswered attempt makes the whole call MaybeStored.
const (
	NotSent     Certainty = iota // no byte of it left the process
	NotStored                    // a broker got it and refused it
	MaybeStored                  // it was sent and nobody answered
	Stored                       // it is stored, with a weaker status than was asked for
)

// String gives "not-sent", "not-stored", "maybe-stored" or "stored".
func (c Certainty) String() string {
	switch c {
	case NotSent:
		return "not-sent"
	case NotStored:
		return "not-stored"
	case MaybeStored:
		return "maybe-stored"
	case Stored:
		return "stored"
	default:
		return "unknown"
	}
}

// Class says what kind of failure an error is.
type Class uint8

// The classes.
const (
	ClassNone        Class = iota
	ClassInvalid           // the message was refused locally
	ClassRejected          // a broker refused the message for good (13, 29, some of 1)
	ClassForbidden         // a hook or a permission forbids it (16)
	ClassAuth              // the broker did not accept the credentials
	ClassNoRoute           // no name server knows a writable queue of the topic
	ClassNoTopic           // the broker does not know the topic (17)
	ClassStale             // the route was outdated (501, a queue that is gone)
	ClassBusy              // the broker is overloaded (2, 215)
	ClassUnavailable       // the broker cannot serve now (14, some of 1)
	ClassBroker            // any other broker answer
	ClassNetwork           // no connection, or it was lost
	ClassTimeout           // no answer in time
	ClassCanceled          // the caller's context ended
	ClassCircuitOpen       // a breaker refused the broker
	ClassInFlight          // the in-flight limit was reached
	ClassClosed            // the producer is not running or was shut down
	ClassPlugin            // a step or strategy panicked or broke its contract
	ClassUnknown           // anything else, such as a user interceptor's error
	classCount       = iota
)

var classNames = [classCount]string{
	"none", "invalid", "rejected", "forbidden", "auth", "no-route", "no-topic", "stale", "busy",
	"unavailable", "broker", "network", "timeout", "canceled", "circuit-open", "in-flight",
	"closed", "plugin", "unknown",
}

// String gives the class's name, for example "no-route".
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

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
	{ErrContract, ClassPlugin},
	{context.Canceled, ClassCanceled},
	{context.DeadlineExceeded, ClassTimeout},
	{ErrConnect, ClassNetwork},
	{ErrConnectionLost, ClassNetwork},
}

// BrokerError is an answer of a broker or name server that is not a success:
// the server said so, the client did not guess.
type BrokerError struct {
	Code   rocketmq.ResponseCode
	Remark string // the server's own words, at most 1 KiB, one line
	Addr   string // who said it
}

// Error gives "broker 127.0.0.1:10911: SYSTEM_BUSY (2): remark".
func (e *BrokerError) Error() string {
	s := fmt.Sprintf("broker %s: %v (%d)", e.Addr, e.Code, int(e.Code))
	if e.Remark != "" {
		s += ": " + e.Remark
	}
	return s
}

// ErrorType is the code's name; OpenTelemetry's error.type uses it.
func (e *BrokerError) ErrorType() string { return e.Code.String() }

// ErrorClass is the kind of failure that [rocketmq.Judge] sees in code and remark.
func (e *BrokerError) ErrorClass() Class {
	class, _ := judge(e.Code, e.Remark)
	return class
}

// Certainty says whether the broker may have stored the message all the same: an
// answer that does not explain itself leaves that open.
func (e *BrokerError) Certainty() Certainty {
	_, certainty := judge(e.Code, e.Remark)
	return certainty
}

// judge says what an answer means in core's words.
func judge(code rocketmq.ResponseCode, remark string) (Class, Certainty) {
	switch rocketmq.Judge(code, remark) {
	case rocketmq.VerdictBusy:
		return ClassBusy, NotStored
	case rocketmq.VerdictUnavailable:
		return ClassUnavailable, NotStored
	case rocketmq.VerdictForbidden:
		return ClassForbidden, NotStored
	case rocketmq.VerdictAuth:
		return ClassAuth, NotStored
	case rocketmq.VerdictNoTopic:
		return ClassNoTopic, NotStored
	case rocketmq.VerdictStale:
		return ClassStale, NotStored
	case rocketmq.VerdictRejected:
		return ClassRejected, NotStored
	default:
		return ClassBroker, MaybeStored
	}
}

// PanicError is a panic of a step, strategy or hook, turned into an error.
type PanicError struct {
	Step  string // whose code panicked
	Value any    // what was passed to panic
	Stack []byte // where
}

// Error names the step and the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic in %s: %v", e.Step, e.Value) }

// ErrorClass is ClassPlugin.
func (e *PanicError) ErrorClass() Class { return ClassPlugin }

// Unwrap gives the panic's value if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// AttemptError describes one failed attempt of a call.
type AttemptError struct {
	Number    int // from 1
	Queue     Queue
	Addr      string
	Duration  time.Duration // at the transport, without what steps waited for
	Class     Class
	Certainty Certainty
	Err       error
}

// Error gives "attempt 1 to broker-a/3 (127.0.0.1:10911) after 12ms: cause".
func (e *AttemptError) Error() string {
	return fmt.Sprintf("attempt %d to %v (%s) after %v: %v",
		e.Number, e.Queue, e.Addr, e.Duration.Round(time.Microsecond), e.Err)
}

// Unwrap gives the cause.
func (e *AttemptError) Unwrap() error { return e.Err }

// SendError is what every failed send returns. errors.Is and errors.As see
// through it to the cause and to the cause of every attempt.
type SendError struct {
	Class     Class
	Certainty Certainty
	Topic     string
	MessageID MessageID
	// Attempts are the failed attempts in order; empty if none was made.
	Attempts []AttemptError
	// BudgetSpent says that the retry policy wanted another attempt, and the retry
	// budget had none left.
	BudgetSpent bool
	// Cause is what ended the call. It is the last attempt's error unless
	// something else came between, such as the caller's cancellation.
	Cause error
}

// Error gives topic, class, certainty, cause and the attempts on one line. A cause
// that is the last attempt's error is given there, once, and of many attempts only
// the first and the last few. A cause that is itself made of the error of a send
// has said what there is to say about attempts.
func (e *SendError) Error() string {
	var b strings.Builder
	b.WriteString("send")
	if e.Topic != "" {
		fmt.Fprintf(&b, " to %q", e.Topic)
	}
	fmt.Fprintf(&b, ": %v, %v", e.Class, e.Certainty)
	sep := ": "
	n := len(e.Attempts)
	if n == 0 || !same(e.Cause, e.Attempts[n-1].Err) {
		fmt.Fprintf(&b, ": %v", e.Cause)
		sep = "; "
	}
	if inner := (*SendError)(nil); errors.As(e.Cause, &inner) {
		n = 0
	}
	for i := range n {
		if i >= shownAttempts && i < n-shownAttempts {
			if i == shownAttempts {
				fmt.Fprintf(&b, "; %d more", n-2*shownAttempts)
			}
			continue
		}
		b.WriteString(sep)
		b.WriteString(e.Attempts[i].Error())
		sep = "; "
	}
	if e.BudgetSpent {
		b.WriteString("; no other attempt: the retry budget is spent")
	}
	return b.String()
}

// shownAttempts is how many attempts an error's text has at either end.
const shownAttempts = 4

// Unwrap gives the cause and every attempt's error.
func (e *SendError) Unwrap() []error {
	errs := make([]error, 0, 1+len(e.Attempts))
	errs = append(errs, e.Cause)
	for i := range e.Attempts {
		errs = append(errs, &e.Attempts[i])
	}
	return errs
}

// ErrorClass is the call's class.
func (e *SendError) ErrorClass() Class { return e.Class }

// ErrorType is a low-cardinality name for metrics and spans: the broker code's
// name if the last answer came from a broker, else the class with underscores.
func (e *SendError) ErrorType() string {
	var be *BrokerError
	if errors.As(e.Cause, &be) {
		return be.ErrorType()
	}
	if e.Class == ClassInvalid {
		return "invalid_message"
	}
	return strings.ReplaceAll(e.Class.String(), "-", "_")
}

// CertaintyOf finds what the error of a send says of the message. An error that
// is no *[SendError] came from a step before anything was sent: NotSent. It is for
// errors of sends only, and without an error has no meaning.
func CertaintyOf(err error) Certainty {
	var se *SendError
	if errors.As(err, &se) {
		return se.Certainty
	}
	return NotSent
}

// ContextError says why ctx ended, for whoever waits in a step, a strategy or a
// transport: the cause, with the context's own error in front where the cause does
// not show by itself that a context ended. It is nil while ctx lives.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
