package limit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// Error is an attempt that found its broker full. Nothing of it was sent.
type Error struct {
	Broker   string
	Addr     string // of the broker
	Limit    int    // attempts that might be under way there then
	UnderWay int    // attempts that were
	// Err is what ended the wait for room: [core.ErrTimeout], [core.ErrAborted] or the
	// context's. It is [core.ErrTooManyInFlight] where the attempt did not wait, because
	// another broker is left.
	Err error
}

// Error names broker, numbers and cause.
func (e *Error) Error() string {
	return fmt.Sprintf("limit: %d attempts at broker %s at %s are under way, %d may be: %v",
		e.UnderWay, words.Quote(e.Broker), words.Quote(e.Addr), e.Limit, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorClass is [core.ClassCircuitOpen] where another broker is left: the producer goes on to
// it, whatever the retry policy would say. It is [core.ClassInFlight] where time ran out, which
// says nothing bad about the broker, and the cause's class where the caller cancelled or the
// producer gave up.
func (e *Error) ErrorClass() core.Class {
	switch {
	case errors.Is(e.Err, core.ErrTooManyInFlight):
		return core.ClassCircuitOpen
	case errors.Is(e.Err, context.DeadlineExceeded):
		return core.ClassInFlight
	}
	return core.ClassOf(e.Err)
}

// RateError is a call beyond the rate of its topic. Nothing of it was sent.
type RateError struct {
	Topic     string
	Messages  int     // of the call
	PerSecond float64 // the limit
	Burst     int
	// After is how long the call would have had to wait, as it looked when it came.
	After time.Duration
	// Err is what ended the wait: [core.ErrTimeout], [core.ErrAborted] or the context's. It is
	// [core.ErrTooManyInFlight] where the call did not wait: calls beyond the rate are refused
	// ([Refuse]), or After is longer than the time that the call had.
	Err error
}

// Error names topic, numbers and cause.
func (e *RateError) Error() string {
	return fmt.Sprintf("limit: topic %s may have %v messages a second; room for %d more comes in %v: %v",
		words.Quote(e.Topic), e.PerSecond, e.Messages, max(e.After.Round(time.Microsecond), 0), e.Err)
}

// Unwrap gives the cause.
func (e *RateError) Unwrap() error { return e.Err }

// ErrorClass is [core.ClassInFlight] where the call was refused or its time ran out, and the
// cause's where the caller cancelled or the producer gave up.
func (e *RateError) ErrorClass() core.Class {
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return core.ClassInFlight
	}
	return core.ClassOf(e.Err)
}
