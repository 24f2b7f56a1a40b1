package core

import (
	"context"
	"fmt"
	"time"
)

// The chains are composed once, when the producer is made, so that a send allocates
// nothing for them. Each step is wrapped: its panic becomes an error with its name, and a
// broken contract is found where it happens, and names the step that broke it.

func composeCall(innermost Handler, chain []placed[Interceptor]) Handler {
	handler := innermost
	for i := len(chain) - 1; i >= 0; i-- {
		s, next, caller := chain[i], handler, callerOf(chain, i)
		handler = func(ctx context.Context, c *Call) (res *Result, err error) {
			if len(c.outs) == 0 {
				return nil, calledLate(caller)
			}
			defer containResult(s.name, &res, &err)
			res, err = s.use.Intercept(ctx, c, next)
			if err == ErrTimeout {
				err = c.waited(s.name)
			}
			return checkContract(s.name, res, err)
		}
	}
	return handler
}

func composeAttempt(innermost AttemptHandler, chain []placed[AttemptInterceptor]) AttemptHandler {
	handler := innermost
	for i := len(chain) - 1; i >= 0; i-- {
		s, next, caller := chain[i], handler, callerOf(chain, i)
		handler = func(ctx context.Context, at *Attempt) (res *Result, err error) {
			if err := at.descend(i, caller); err != nil {
				return nil, err
			}
			defer containResult(s.name, &res, &err)
			res, err = s.use.InterceptAttempt(ctx, at, next)
			switch {
			case err == nil:
				if res, err = checkContract(s.name, res, err); err == nil && !at.done {
					return nil, forged(s.name, "an attempt")
				}
				return res, err
			case err == ErrTimeout && !at.entered:
				err = at.call.waited(s.name)
			}
			return checkContract(s.name, res, err)
		}
	}
	return handler
}

// composeOperation composes a scope of operations. It lies within the steps of above.
func composeOperation(innermost OperationHandler, chain, above []placed[OperationInterceptor]) OperationHandler {
	handler := innermost
	for i := len(chain) - 1; i >= 0; i-- {
		s, next, caller := chain[i], handler, callerOf(chain, i)
		if i == 0 {
			caller = callerOf(above, len(above))
		}
		handler = func(ctx context.Context, op *Operation) (err error) {
			if err := op.descend(len(above)+i, caller); err != nil {
				return err
			}
			defer containPanic(s.name, &err)
			err = s.use.InterceptOperation(ctx, op, next)
			checkError(err)
			if err == nil && !op.done {
				return forged(s.name, "an operation")
			}
			return err
		}
	}
	return handler
}

// callerOf is the step that calls the one at place i, "" for the first.
func callerOf[T any](chain []placed[T], i int) string {
	if i == 0 {
		return ""
	}
	return chain[i-1].name
}

// descend notes that the attempt comes to the step at place i, or to the transport behind the
// last one. It comes to each once.
func (a *Attempt) descend(i int, caller string) error {
	switch {
	case a.call == nil:
		return calledLate(caller)
	case a.depth > i:
		return calledTwice(caller)
	}
	a.depth = i + 1
	return nil
}

// descend is the same for operations.
func (o *Operation) descend(i int, caller string) error {
	if o.depth > i {
		return calledTwice(caller)
	}
	o.depth = i + 1
	return nil
}

func calledLate(step string) error {
	return fmt.Errorf("%w: step %q called next after it had returned and its call had ended", ErrContract, step)
}

func calledTwice(step string) error { return fmt.Errorf("%w: by step %q", ErrNextTwice, step) }

func forged(step, what string) error {
	return fmt.Errorf("%w: step %q gave %s a success that the transport did not make", ErrContract, step, what)
}

// waited says where the call's time went: the bare end of it, which steps pass on, does not.
func (c *Call) waited(step string) error {
	return fmt.Errorf("in step %q, %v after the call began: %w", step, time.Since(c.start).Round(time.Millisecond), ErrTimeout)
}
