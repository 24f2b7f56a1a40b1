package core

import (
	"context"
	"time"
)

// Listeners only observe. A step or strategy may implement any of the five; it
// is found at construction and costs nothing where it is absent.
//
// The rules of all five, as core/steptest checks them:
//
//   - L1 returns: it returns at once. It does not block, panic or end its goroutine, whatever
//     the report says: it runs on the goroutine of a send, which waits for it past its deadline.
//     A panic is recovered and logged and does not touch the send.
//   - L2 reading: it reads the report, and the call, attempt and result in it, and changes
//     nothing.
//   - L3 kept: it keeps neither the report nor what is in it: they are valid until the method
//     returns.
//   - L4 concurrency: it is safe for concurrent use. Many goroutines report at once, those of
//     the sends.
//   - L5 goroutines: it leaves no goroutine behind.
//
// StateChanged runs on the goroutine of Start or, while the producer shuts down, on one of its
// own.

// CallListener is told the one outcome of every call, also of one that was refused before it
// began: by a producer that does not run, or for want of a message, of a batch or of room in
// flight. For such a call no step has run. Where the message is nil or a batch is empty,
// [Call.Message] is an empty one.
type CallListener interface {
	CallDone(ctx context.Context, r *CallReport)
}

// AttemptListener is told the one outcome of every attempt: every successful
// [QueueSelector.Select] is followed by exactly one AttemptDone, also on veto,
// panic, cancellation and one-way.
type AttemptListener interface {
	AttemptDone(ctx context.Context, r *AttemptReport)
}

// RetryListener is told that another attempt will be made, before the wait.
type RetryListener interface {
	RetryScheduled(ctx context.Context, r *RetryReport)
}

// RouteListener is told when a topic's route was found or has changed. One that comes with
// replaced policies ([Producer.SetPolicies]) is told of the routes that are known by then, as of
// first ones. Reports of one topic may overtake each other: Old and New add up all the same.
type RouteListener interface {
	RouteChanged(r *RouteReport)
}

// StateListener is told when the producer's service state changes.
type StateListener interface {
	StateChanged(r *StateReport)
}

// CallReport describes a finished call.
type CallReport struct {
	Call     *Call
	Result   *Result // nil if Err is not
	Err      error   // nil or a *SendError
	Duration time.Duration
}

// AttemptReport describes a finished attempt.
type AttemptReport struct {
	Attempt *Attempt
	Result  *Result // nil if Err is not
	Err     error
	Class   Class // of Err; ClassNone on success
	// Latency is the time at the transport, from the hand-over to the answer;
	// zero when the attempt was abandoned.
	Latency time.Duration
	// Written says that bytes of the request may have reached the broker.
	Written bool
	// Abandoned says that the transport was never asked: a veto, a panic or a
	// cancellation came first. It says nothing about the broker.
	Abandoned bool
}

// RetryReport describes a retry that will be made.
type RetryReport struct {
	Call    *Call
	Attempt int           // the number of the attempt that failed, from 1
	Err     error         // why
	Delay   time.Duration // how long the engine waits now
}

// RouteReport describes a route's change. Old is nil for a topic's first route, New
// when the topic is read-only from now on, or was not used for long and is forgotten.
type RouteReport struct {
	Topic    string
	Old, New *Route
}

// StateReport describes a change of the service state.
type StateReport struct {
	Group    string
	Old, New State
}
