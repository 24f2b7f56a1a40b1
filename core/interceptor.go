package core

import "context"

// Handler sends one message: the whole call, all its attempts included. On
// return the result is non-nil if and only if the error is nil.
type Handler func(ctx context.Context, call *Call) (*Result, error)

// Interceptor runs once per call, around everything below it, in every mode:
// Send, SendAsync, SendOneway and SendBatch.
//
// An implementation
//   - may return without calling next, with an error that says why;
//   - may call next more than once, one after the other, never concurrently and
//     never after it returned: each run repeats everything below it, while the
//     call's deadline and the count of its attempts, which retry policies look at,
//     go on;
//   - waits for nothing longer than the call lasts: ctx ends with the caller's, and
//     [Call.Bound] gives one that ends at the deadline and at an abort too;
//   - passes on the ctx it got, or one derived from it;
//   - never writes to the user's message: changes go to the call's [Outgoing];
//   - keeps neither call nor result after it returned: they become other callers';
//   - returns a result only of what next returned, or one with a status of its own
//     if it answers for the brokers itself;
//   - is safe for concurrent use by many calls.
//
// A panic becomes an error that names the step.
type Interceptor interface {
	Intercept(ctx context.Context, call *Call, next Handler) (*Result, error)
}

// InterceptorFunc is a function that is an [Interceptor].
type InterceptorFunc func(ctx context.Context, call *Call, next Handler) (*Result, error)

// Intercept calls f.
func (f InterceptorFunc) Intercept(ctx context.Context, call *Call, next Handler) (*Result, error) {
	return f(ctx, call, next)
}

// AttemptHandler makes one attempt: queue and broker are chosen.
type AttemptHandler func(ctx context.Context, at *Attempt) (*Result, error)

// AttemptInterceptor runs once per attempt, in every mode. The rules are those
// of [Interceptor], with one difference: it calls next at most once, because
// one attempt is at most one request on the wire. A second call fails with
// [ErrNextTwice] and sends nothing.
//
// An error returned without calling next is a veto: the broker's health and
// breaker do not count it. The retry policy decides by the error's class whether
// another queue is tried: the default ones go on after [ErrTooManyInFlight] and
// [ErrTimeout], and end with an error that is of no class. [ErrCircuitOpen] asks no
// policy and goes on to the next broker. A result without the transport's is an
// error.
type AttemptInterceptor interface {
	InterceptAttempt(ctx context.Context, at *Attempt, next AttemptHandler) (*Result, error)
}

// AttemptInterceptorFunc is a function that is an [AttemptInterceptor].
type AttemptInterceptorFunc func(ctx context.Context, at *Attempt, next AttemptHandler) (*Result, error)

// InterceptAttempt calls f.
func (f AttemptInterceptorFunc) InterceptAttempt(ctx context.Context, at *Attempt, next AttemptHandler) (*Result, error) {
	return f(ctx, at, next)
}
