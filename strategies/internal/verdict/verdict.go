// Package verdict says what the end of an attempt proves about the broker. It looks at the
// class of an error and at whether a broker answered, and at no code and no text, so it
// judges every transport alike.
package verdict

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// MinWait is how long a broker must have had before its silence counts against
// it. A caller that gives a send one millisecond proves nothing by its end.
const MinWait = 50 * time.Millisecond

// Verdict is what an attempt proves about its broker.
type Verdict uint8

// The verdicts.
const (
	Nothing  Verdict = iota // cancelled, vetoed, one-way, or the message's own fault
	Served                  // the broker stored the message
	Answered                // it refused for a reason that is not its health: it lives
	Failed                  // it was not reached, broke off, or said that it cannot serve
	TimedOut                // it was silent until the attempt's or the caller's time was up
)

// Of judges an attempt that reached the transport or may have: its ctx is the
// caller's, written says whether bytes of the request left the process.
func Of(ctx context.Context, res *core.Result, err error, written bool) Verdict {
	if err == nil {
		if res == nil || !res.Acked() {
			return Nothing // a one-way send proves a socket buffer at most
		}
		return Served
	}
	return OfError(ctx, err, written)
}

// OfError judges an attempt, or an operation, that failed.
func OfError(ctx context.Context, err error, written bool) Verdict {
	class := core.ClassOf(err)
	// Where the classes differ a step has made another error around the answer.
	if be := (*core.BrokerError)(nil); errors.As(err, &be) && be.ErrorClass() == class {
		return ofAnswer(class)
	}
	broken := false
	switch class {
	case core.ClassBusy, core.ClassUnavailable, core.ClassBroker:
		return Failed // by the word of a transport that has no answer to show
	case core.ClassNetwork:
		broken = true
	case core.ClassUnknown:
		// A transport may pass the network's error on as it is, and ctx's cause
		// can be anything; a hook's error comes before anything is written.
		ne := net.Error(nil)
		broken = written || errors.As(err, &ne)
	}
	switch {
	case ctx.Err() == context.Canceled:
		return Nothing // the caller lost interest, whatever the transport calls it
	case class == core.ClassTimeout, broken && ctx.Err() != nil:
		return TimedOut
	case broken:
		return Failed
	}
	return Nothing // a hook's veto, a plugin's fault, the producer's end
}

// ofAnswer judges what a broker said. An answer shows that the broker lives, unless it says
// that the broker cannot serve, or that a server behind it did not.
func ofAnswer(class core.Class) Verdict {
	switch class {
	case core.ClassBusy, core.ClassUnavailable, core.ClassBroker, core.ClassTimeout, core.ClassNetwork, core.ClassUnknown:
		return Failed
	}
	return Answered
}

// Said reports whether a broker's answer is at the root of err, whatever it said.
func Said(err error) bool {
	var be *core.BrokerError
	return errors.As(err, &be)
}
