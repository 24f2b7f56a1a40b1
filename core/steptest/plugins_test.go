package steptest_test

import (
	"context"
	"errors"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
)

// limiter lets so many calls through at a time.
type limiter struct {
	permits chan struct{}
	// wait waits for a permit. It reports whether it got one.
	wait func(ctx context.Context, c *core.Call, permits chan<- struct{}) error
	// run calls next and gives the permit back.
	run func(permits <-chan struct{}, next func() (*core.Result, error)) (*core.Result, error)
}

func (l *limiter) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	if err := l.wait(ctx, c, l.permits); err != nil {
		return nil, err
	}
	return l.run(l.permits, func() (*core.Result, error) { return next(ctx, c) })
}

// limited makes a step of a limiter with 8 permits, without mistakes but for what change makes.
func limited(change func(l *limiter)) func(tb steptest.TB) steptest.Step {
	return func(tb steptest.TB) steptest.Step {
		over := freed(tb)
		l := &limiter{permits: make(chan struct{}, 8)}
		l.wait = func(ctx context.Context, c *core.Call, permits chan<- struct{}) error {
			bound, cancel := c.Bound(ctx)
			defer cancel()
			select {
			case permits <- struct{}{}:
				return nil
			case <-bound.Done():
				return core.ContextError(bound)
			case <-over:
				return errors.New("the test is over")
			}
		}
		l.run = func(permits <-chan struct{}, next func() (*core.Result, error)) (*core.Result, error) {
			defer func() { <-permits }()
			return next()
		}
		change(l)
		s := calling(l)
		s.MayWait = true
		return s
	}
}

// waits makes a limiter that waits in its own way.
func waits(f func(ctx context.Context, c *core.Call) <-chan struct{}) func(tb steptest.TB) steptest.Step {
	return func(tb steptest.TB) steptest.Step {
		over := freed(tb)
		return limited(func(l *limiter) {
			l.wait = func(ctx context.Context, c *core.Call, permits chan<- struct{}) error {
				select {
				case permits <- struct{}{}:
					return nil
				case <-f(ctx, c):
					return core.ErrTimeout
				case <-over:
					return errors.New("the test is over")
				}
			}
		})(tb)
	}
}

// keeper keeps something.
type keeper struct {
	mu   sync.Mutex
	kept []any
}

func (k *keeper) keep(v any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, v)
}

func (k *keeper) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	k.keep(c.Outgoing())
	return next(ctx, c)
}

type attemptKeeper struct{ keeper }

func (k *attemptKeeper) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	res, err := next(ctx, at)
	if res != nil {
		k.keep(res)
	}
	return res, err
}

func (k *attemptKeeper) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	k.keep(op)
	return next(ctx, op)
}

// gate is a limiter in attempt scope and around operations, which makes mistakes.
type gate struct {
	permits chan struct{}
	over    <-chan struct{}
	loses   error // does not give a permit back after this error
}

// enter waits for a permit, and for nothing else.
func (g *gate) enter() error {
	select {
	case g.permits <- struct{}{}:
		return nil
	case <-g.over:
		return errMine
	}
}

func (g *gate) leave(err error) {
	if g.loses == nil || !errors.Is(err, g.loses) {
		<-g.permits
	}
}

func (g *gate) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (res *core.Result, err error) {
	if err := g.enter(); err != nil {
		return nil, err
	}
	defer func() { g.leave(err) }()
	return next(ctx, at)
}

func (g *gate) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) (err error) {
	if err := g.enter(); err != nil {
		return err
	}
	defer func() { g.leave(err) }()
	return next(ctx, op)
}

// gated makes a step of a gate with so many permits.
func gated(permits int, loses error) func(tb steptest.TB) steptest.Step {
	return func(tb steptest.TB) steptest.Step {
		s := trying(&gate{make(chan struct{}, permits), freed(tb), loses})
		s.MayWait, s.Permits = true, permits+1
		return s
	}
}
