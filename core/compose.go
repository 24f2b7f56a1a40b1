package core

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// The chains are composed once, when the producer is made, so that a send
// allocates nothing for them. Each step is wrapped: its panic becomes an error
// with its name, and a broken contract is found where it happens.

func composeCall(final Handler, chain []placed[Interceptor]) Handler {
	for i := len(chain) - 1; i >= 0; i-- {
		s, next := chain[i], final
		final = func(ctx context.Context, c *Call) (res *Result, err error) {
			defer recoverStep(s.name, &res, &err)
			res, err = s.use.Intercept(ctx, c, next)
			return checkContract(s.name, res, err)
		}
	}
	return final
}

func composeAttempt(final AttemptHandler, chain []placed[AttemptInterceptor]) AttemptHandler {
	for i := len(chain) - 1; i >= 0; i-- {
		s, next := chain[i], final
		final = func(ctx context.Context, at *Attempt) (res *Result, err error) {
			defer recoverStep(s.name, &res, &err)
			res, err = s.use.InterceptAttempt(ctx, at, next)
			return checkContract(s.name, res, err)
		}
	}
	return final
}

// checkError asks a plugin's error everything that core and its users ask errors
// later, so that one which panics - a nil pointer in an interface is enough - does
// so where that is its plugin's panic.
func checkError(err error) {
	if err != nil && !errors.Is(err, errNever) {
		ClassOf(err)
		CertaintyOf(err)
	}
}

// errNever is no error's cause: to look for it is to look at all causes.
var errNever = errors.New("never")

// recoverStep is deferred around plugin code.
func recoverStep(name string, res **Result, err *error) {
	if v := recover(); v != nil {
		*res, *err = nil, panicError(name, v)
	}
}

// panicError is the panic v of the named code. One that has been given its name
// further in keeps it.
func panicError(name string, v any) *PanicError {
	if pe, ok := v.(*PanicError); ok {
		return pe
	}
	return &PanicError{Step: name, Value: v, Stack: debug.Stack()}
}

// checkContract enforces that a result is non-nil if and only if the error is nil,
// and that the error is a sound one. It may panic: recoverStep is around it.
func checkContract(name string, res *Result, err error) (*Result, error) {
	checkError(err)
	switch {
	case res == nil && err == nil:
		return nil, fmt.Errorf("%w: %s returned neither a result nor an error", ErrContract, name)
	case res != nil && err != nil:
		return nil, fmt.Errorf("%w: %s returned a result and an error: %w", ErrContract, name, err)
	case res != nil && res.Status == StatusNone:
		return nil, fmt.Errorf("%w: %s returned a result without a status", ErrContract, name)
	}
	return res, err
}
