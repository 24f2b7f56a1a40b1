package core

import "context"

// Handler sends one message: the whole call, all its attempts included. On
// return the result is non-nil if and only if the error is nil.
type Handler func(ctx context.Context, call *Call) (*Result, error)

// Interceptor runs once per call, around everything below it, in every mode:
// Send, SendAsync, SendOneway and SendBatch. It returns without calling next, with an error
// that says why, or calls next.
//
// The rules, as core/steptest checks them:
//
//   - I1 returns: it does not block, panic or end its goroutine, whatever the call is and
//     whatever becomes of it. A panic becomes an error that names the step.
//   - I2 next: it calls next, or returns an error. It may call next again, one after the
//     other, never two at a time and never after it returned: each run repeats everything
//     below it, while the call's deadline and the count of its attempts, which retry policies
//     look at, go on.
//   - I3 waiting: it waits for nothing longer than the call lasts: ctx ends with the
//     caller's, and [Call.Wait] and [Call.Bound] end at the deadline and at an abort too.
//   - I4 context: it passes on the ctx it got, or one derived from it.
//   - I5 message: it never writes to the user's message, nor to the memory behind its body:
//     changes go to the call's [Outgoing].
//   - I6 changes: it changes nothing of what is sent but what it is made to change.
//   - I7 properties: the properties that it sets are sound: see [Outgoing.SetProperty].
//   - I8 packed: a body that a codec has packed stays as it is.
//   - I9 again: where a step further out calls next again, it does the same again. What it
//     changed must not be changed twice.
//   - I10 result: it returns a result or an error, and a result only of what next returned,
//     or one with a status of its own if it answers for the brokers itself.
//   - I11 error: an error of next is passed on, wrapped at most, unless it answers for the
//     brokers itself.
//   - I12 permits: what it holds for a call, such as a permit of a limiter, it lets go of when
//     the call ends, however that is: also if the goroutine ends under it (runtime.Goexit).
//   - I13 kept: it keeps neither call nor result after it returned: they become other
//     callers'.
//   - I14 concurrency: it is safe for concurrent use by many calls, and each gets what is its
//     own.
//   - I15 goroutines: it leaves no goroutine behind. Of a [Service] that holds after
//     Shutdown.
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
// of [Interceptor], and two more:
//
//   - A1 once: it calls next at most once, because one attempt is at most one request on the
//     wire. A second call fails with [ErrNextTwice] and sends nothing.
//   - A2 frozen: it changes nothing of what is sent. A change fails the call with [ErrFrozen].
//
// An error returned without calling next is a veto: the broker's health and
// breaker do not count it. The retry policy decides by the error's class whether
// another queue is tried: the default ones go on after [ErrTooManyInFlight] and
// [ErrTimeout], and end with an error that is of no class. [ErrCircuitOpen] asks no
// policy and goes on to the next broker. A result without the transport's is an
// error. What waits uses [Attempt.Wait] or [Attempt.Bound].
type AttemptInterceptor interface {
	InterceptAttempt(ctx context.Context, at *Attempt, next AttemptHandler) (*Result, error)
}

// AttemptInterceptorFunc is a function that is an [AttemptInterceptor].
type AttemptInterceptorFunc func(ctx context.Context, at *Attempt, next AttemptHandler) (*Result, error)

// InterceptAttempt calls f.
func (f AttemptInterceptorFunc) InterceptAttempt(ctx context.Context, at *Attempt, next AttemptHandler) (*Result, error) {
	return f(ctx, at, next)
}
