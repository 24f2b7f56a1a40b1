package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/internal/enum"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// The errors that callers branch on. Each is found with errors.Is in whatever a
// send returns.
var (
	ErrNotRunning     = errors.New("rocketmq: producer is not running")
	ErrClosed         = errors.New("rocketmq: producer is shut down")
	ErrAborted        = errors.New("rocketmq: aborted by shutdown")
	ErrInvalidMessage = errors.New("rocketmq: invalid message")
	ErrNoRoute        = errors.New("rocketmq: no route to topic")
	// ErrNotWritable is an ErrNoRoute of a topic whose queues are all there for reading
	// only. The permission was taken away, so the old route is given up. After other
	// errors of a look-up the old route stays in use, because name servers can lose
	// their memory.
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
	// ErrUnsupported is something that the producer's transport cannot carry; see
	// [Capabilities].
	ErrUnsupported = errors.New("rocketmq: not supported by the transport")
	// ErrNoHandler is a server's request for which the producer has no handler, and
	// ErrInboxFull one that found no room; see [Inbox].
	ErrNoHandler = errors.New("rocketmq: no handler for this request")
	ErrInboxFull = errors.New("rocketmq: too many requests from servers")

	// ErrNextTwice, ErrFrozen, ErrEncoded and ErrContract are mistakes of a plugin.
	// ErrFrozen is a change of an outgoing message in attempt scope, ErrEncoded a change
	// of a body that is packed already.
	ErrNextTwice = errors.New("rocketmq: next was called twice")
	ErrFrozen    = errors.New("rocketmq: outgoing message changed in attempt scope")
	ErrEncoded   = errors.New("rocketmq: outgoing body changed after it was packed; the step that changes it belongs outside of compression")
	ErrContract  = errors.New("rocketmq: step broke its contract")
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "rocketmq: timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Is(t error) bool { return t == context.DeadlineExceeded }

// PanicError is a panic of a step, strategy or hook, turned into an error.
type PanicError struct {
	Step  string // the step or strategy that panicked
	Value any    // what was passed to panic
	Stack []byte // of the goroutine at that moment
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
	return fmt.Sprintf("attempt %d to %v (%s) after %v: %s",
		e.Number, e.Queue, e.Addr, e.Duration.Round(time.Microsecond), textOf(e.Err))
}

// Unwrap gives the cause.
func (e *AttemptError) Unwrap() error { return e.Err }

// StopReason says why a failed call made no further attempt.
type StopReason uint8

// The reasons. The zero value is a call that ended before its first attempt, or by
// something that came between attempts, such as the caller's cancellation.
const (
	StopNone   StopReason = iota
	StopFinal             // another attempt could not be right: refused locally, cancelled, one-way and written
	StopPolicy            // the retry policy gave up
	StopBudget            // the policy wanted another attempt; the retry budget had none left
	StopTime              // the policy wanted another attempt; no time was left, or less than its pause
	StopLimit             // the engine's limit of 1,000 attempts
)

var stopNames = []string{"none", "final", "policy", "budget", "time", "limit"}

// String gives the reason's name.
func (s StopReason) String() string { return enum.Name(stopNames, int(s)) }

// MarshalText gives the name.
func (s StopReason) MarshalText() ([]byte, error) {
	return enum.Marshal("stop reason", stopNames, int(s))
}

// UnmarshalText takes a name.
func (s *StopReason) UnmarshalText(text []byte) error {
	return enum.Unmarshal("stop reason", stopNames, text, s)
}

// SendError is what every failed send returns. errors.Is and errors.As see
// through it to the cause and to the cause of every attempt.
type SendError struct {
	Class     Class
	Certainty Certainty
	Topic     string
	MessageID MessageID
	// Attempts are the failed attempts in order; empty if none was made.
	Attempts []AttemptError
	// Stop says why there was no further attempt.
	Stop StopReason
	// Cause is what ended the call. It is the last attempt's error unless
	// something else came between, such as the caller's cancellation.
	Cause error
}

// Error gives topic, class, certainty, cause and the attempts on one line. A cause
// that is the last attempt's error is given there, once, and of many attempts only
// the first and the last few. A cause that is itself made of the error of a send
// has said what there is to say about attempts.
//
// The line is fit for a terminal: it has no control characters, and no more than 128 bytes of
// the topic and 4 KiB of each cause, whatever a server or a plugin put into them.
func (e *SendError) Error() string {
	var b strings.Builder
	b.WriteString("send")
	if e.Topic != "" {
		b.WriteString(" to " + words.Quote(e.Topic))
	}
	fmt.Fprintf(&b, ": %v, %v", e.Class, e.Certainty)
	sep := ": "
	n := len(e.Attempts)
	if n == 0 || !same(e.Cause, e.Attempts[n-1].Err) {
		b.WriteString(": " + textOf(e.Cause))
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
	switch e.Stop {
	case StopBudget:
		b.WriteString("; no other attempt: the retry budget is spent")
	case StopTime:
		b.WriteString("; no other attempt: not enough time is left")
	case StopLimit:
		fmt.Fprintf(&b, "; no other attempt: %d is the limit", maxAttempts)
	}
	return b.String()
}

// textOf is the text of a cause, which may hold a stranger's words.
func textOf(cause error) string {
	if cause == nil {
		return "<nil>"
	}
	return words.Err(cause)
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
	return classType(e.Class)
}

// failed makes the call's *SendError, unless err is one already. A *SendError that says
// less than the call knows came from another call: a step passed it on, so the call makes
// its own around it.
func (c *Call) failed(err error) error {
	if se, ok := err.(*SendError); ok && se.Certainty >= c.certainty {
		return se
	}
	se := &SendError{
		Class: ClassOf(err), Certainty: c.certainty, Cause: err,
		Attempts: slices.Clone(c.failures), Stop: c.stop,
	}
	if other := (*SendError)(nil); errors.As(err, &other) {
		// What another call does not know this one does not know either.
		se.Certainty = max(se.Certainty, other.Certainty.orMaybe())
	}
	if len(c.outs) > 0 {
		se.Topic, se.MessageID = c.outs[0].msg.Topic, c.outs[0].id
	}
	return se
}

// withContext is err, as a [ContextError] where it is the cause for which ctx ended: the
// cause alone does not show that a context ended.
func withContext(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return ContextError(ctx)
	}
	return err
}

// ContextError says why ctx ended, for steps, strategies and transports that wait: the
// cause, with the context's own error in front where the cause does not show by itself
// that a context ended. It is nil while ctx lives.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
