package pace

import (
	"context"
	"errors"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
)

// Error is an attempt that found no place in its broker's window in time. Nothing
// of it was sent.
type Error struct {
	Broker      string
	Addr        string // of the broker
	Window      int    // of the broker then, in messages
	Unconfirmed int    // messages that filled it
	Err         error  // what ended the wait
}

// Error names broker, numbers and cause.
func (e *Error) Error() string {
	return fmt.Sprintf("pace: %d one-way messages to broker %q at %q are unconfirmed, %d may be: %v",
		e.Unconfirmed, e.Broker, e.Addr, e.Window, e.Err)
}

// Unwrap gives the cause: [core.ErrTimeout], [core.ErrAborted] or the context's.
func (e *Error) Unwrap() error { return e.Err }

// ErrorClass is [core.ClassInFlight] when time ran out: it says nothing bad about
// the broker, and the policies of strategies/retry try another one if there is
// time. It is the cause's when the caller cancelled or the producer gave up.
func (e *Error) ErrorClass() core.Class {
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return core.ClassInFlight
	}
	return core.ClassOf(e.Err)
}
