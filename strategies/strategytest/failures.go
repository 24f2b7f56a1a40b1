package strategytest

import (
	"errors"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// hopeless is what no other attempt can help, and what the producer asks about:
// the message or the credentials are refused for good. A hook's veto is not one:
// it may be about one queue or broker.
func hopeless(f *core.Failure) bool {
	return f.Class == core.ClassRejected || f.Class == core.ClassAuth
}

func describe(f *core.Failure) string {
	if f.Err == nil {
		return "no error, status " + f.Status.String()
	}
	return f.Class.String() + ", " + f.Certainty.String() + ": " + f.Err.Error()
}

// weaklyStored stands among the errors for a message that is stored with this status.
type weaklyStored core.SendStatus

func (w weaklyStored) Error() string { return core.SendStatus(w).String() }

// unknownFate stands among the errors for a failure of which nothing is known.
type unknownFate struct{}

func (unknownFate) Error() string          { return "it is not known what became of it" }
func (unknownFate) ErrorClass() core.Class { return core.ClassNetwork }

// failures are failures of every kind, in each mode, early and late.
func failures() []core.Failure {
	const addr = "10.0.0.1:10911"
	errs := []error{
		core.ErrConnect, core.ErrConnectionLost, core.ErrTimeout, core.ErrForbidden, core.ErrInvalidMessage,
		core.ErrNoRoute, core.ErrCircuitOpen, core.ErrTooManyInFlight, core.ErrClosed, core.ErrAborted,
		core.ErrContract, &core.PanicError{Step: "x", Value: "y"}, errors.New("something else"),
		weaklyStored(core.FlushDiskTimeout), weaklyStored(core.FlushSlaveTimeout), weaklyStored(core.SlaveNotAvailable),
		refusal.Of(rocketmq.CodeNoPermission, "check signature failed", addr),
		refusal.Of(rocketmq.CodeSystemError, "create mapped file failed", addr),
		unknownFate{},
	}
	for _, code := range []rocketmq.ResponseCode{1, 2, 3, 4, 13, 14, 15, 16, 17, 26, 29, 204, 205, 211, 215, 501, 604, 1500, 2017, 4711} {
		errs = append(errs, refusal.Of(code, "", addr))
	}
	// Answers in a protocol without codes.
	for _, class := range []core.Class{core.ClassRejected, core.ClassAuth, core.ClassBusy, core.ClassUnavailable, core.ClassBroker} {
		errs = append(errs, &core.BrokerError{Class: class, Certainty: core.NotStored, Addr: addr}, &core.BrokerError{Class: class, Addr: addr})
	}
	var all []core.Failure
	for _, err := range errs {
		for _, mode := range []core.Mode{core.Sync, core.Async, core.Oneway} {
			for _, attempt := range []int{1, 2, 7} {
				f := core.Failure{
					Attempt: attempt, Err: err, Class: core.ClassOf(err), Certainty: core.NotSent, Mode: mode,
					Message: message("T"), Elapsed: 10 * time.Millisecond, Remaining: time.Second, Untried: 2 - attempt%3,
				}
				var be *core.BrokerError
				var status weaklyStored
				switch {
				case errors.As(err, &status):
					f.Err, f.Class = nil, core.ClassNone
					f.Status, f.Certainty = core.SendStatus(status), core.Stored
				case errors.As(err, &be):
					f.Code, f.Answered, f.Certainty = be.Code, true, be.Certainty
					if f.Certainty == core.CertaintyUnknown {
						f.Certainty = core.MaybeStored // what the engine makes of it
					}
				case errors.As(err, &unknownFate{}):
					f.Certainty = core.CertaintyUnknown
				case errors.Is(err, core.ErrConnectionLost), errors.Is(err, core.ErrTimeout):
					f.Certainty = core.MaybeStored
				}
				all = append(all, f)
				f.Consistent = true
				all = append(all, f)
			}
		}
	}
	return all
}
