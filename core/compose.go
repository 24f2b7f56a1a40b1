package core

import "context"

// The chains are composed once, when the producer is made, so that a send allocates
// nothing for them. Each step is wrapped: its panic becomes an error with its name, and a
// broken contract is found where it happens.

func composeCall(innermost Handler, chain []placed[Interceptor]) Handler {
	handler := innermost
	for i := len(chain) - 1; i >= 0; i-- {
		s, next := chain[i], handler
		handler = func(ctx context.Context, c *Call) (res *Result, err error) {
			defer containResult(s.name, &res, &err)
			res, err = s.use.Intercept(ctx, c, next)
			return checkContract(s.name, res, err)
		}
	}
	return handler
}

func composeAttempt(innermost AttemptHandler, chain []placed[AttemptInterceptor]) AttemptHandler {
	handler := innermost
	for i := len(chain) - 1; i >= 0; i-- {
		s, next := chain[i], handler
		handler = func(ctx context.Context, at *Attempt) (res *Result, err error) {
			defer containResult(s.name, &res, &err)
			res, err = s.use.InterceptAttempt(ctx, at, next)
			return checkContract(s.name, res, err)
		}
	}
	return handler
}

func composeOperation(innermost OperationHandler, chain []placed[OperationInterceptor]) OperationHandler {
	handler := innermost
	for i := len(chain) - 1; i >= 0; i-- {
		s, next := chain[i], handler
		handler = func(ctx context.Context, op *Operation) (err error) {
			defer containPanic(s.name, &err)
			err = s.use.InterceptOperation(ctx, op, next)
			checkError(err)
			return err
		}
	}
	return handler
}
