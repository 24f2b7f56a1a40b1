package sendhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/internal/plugin"
)

// Hook is called around each attempt, on the sending goroutine, within the
// call's deadline. It is safe for concurrent use. It keeps neither c nor what c
// points to after it returned.
type Hook interface {
	// Name tells hooks apart: dotted lower-case words such as "audit". It is
	// read once, by [New].
	Name() string
	// Before is called when queue and broker are chosen. An error vetoes the
	// attempt: nothing is sent, After is not called, and the retry policy sees
	// [core.ClassForbidden].
	Before(ctx context.Context, c *Context) error
	// After is called with the outcome, which it cannot change.
	After(ctx context.Context, c *Context)
}

// Funcs makes a hook of functions. One of the two may be nil.
func Funcs(name string, before func(ctx context.Context, c *Context) error, after func(ctx context.Context, c *Context)) Hook {
	return &funcs{name, before, after}
}

type funcs struct {
	name   string
	before func(ctx context.Context, c *Context) error
	after  func(ctx context.Context, c *Context)
}

func (f *funcs) Name() string { return f.name }

func (f *funcs) Before(ctx context.Context, c *Context) error {
	if f.before == nil {
		return nil
	}
	return f.before(ctx, c)
}

func (f *funcs) After(ctx context.Context, c *Context) {
	if f.after != nil {
		f.after(ctx, c)
	}
}

// ErrNoOutcome is what After sees of an attempt whose goroutine ended under it
// (runtime.Goexit in a step or transport).
var ErrNoOutcome = errors.New("sendhook: the attempt ended without an outcome")

// Error is an attempt that Before vetoed.
type Error struct {
	Hook  string // its name
	Queue core.Queue
	Err   error // what Before returned
}

// Error names hook, queue and cause.
func (e *Error) Error() string {
	return fmt.Sprintf("%v: send hook %s vetoed %v: %v", core.ErrForbidden, e.Hook, e.Queue, e.Err)
}

// Unwrap gives Before's error.
func (e *Error) Unwrap() error { return e.Err }

// Is makes it a [core.ErrForbidden].
func (e *Error) Is(target error) bool { return target == core.ErrForbidden }

// ErrorClass is [core.ClassForbidden], whatever Before's error is.
func (e *Error) ErrorClass() core.Class { return core.ClassForbidden }

var (
	_ core.AttemptInterceptor = (*Observer)(nil)
	_ core.Describer          = (*Observer)(nil)
)

// Observer is the step around a hook. It is safe for concurrent use and
// allocates nothing.
type Observer struct {
	name     string
	hook     Hook
	contexts sync.Pool
}

// New makes the step. A hook that is nil, whose name is not made of dotted lower-case
// words or whose Name panics is an error.
func New(hook Hook) (*Observer, error) {
	name, err := plugin.Name(hook)
	if err != nil {
		return nil, fmt.Errorf("sendhook: hook: %w", err)
	}
	if f, ok := hook.(*funcs); ok && f.before == nil && f.after == nil {
		return nil, fmt.Errorf("sendhook: hook %q has no function", f.name)
	}
	o := &Observer{name: name, hook: hook}
	o.contexts.New = func() any { return new(Context) }
	// Core has the rules of names.
	if _, err := core.Resolve(core.Order{}, o.Step()); err != nil {
		return nil, fmt.Errorf("sendhook: hook %q: %w", o.name, err)
	}
	return o, nil
}

// Describe names the hook.
func (o *Observer) Describe() core.Description {
	return core.Description{Summary: "a hook before and after each attempt", Settings: []core.Setting{{Name: "hook", Value: o.name}}}
}

// Step places the hook: "sendhook.<name>", in the observe stage of attempt
// scope, inside the attempt's span.
func (o *Observer) Step() core.Step {
	return core.AttemptStep("sendhook."+o.name, core.AttemptObserve, o).After("otel.trace?")
}

// InterceptAttempt calls Before, what is further in, and After.
func (o *Observer) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	c := o.contexts.Get().(*Context)
	c.at = at
	if err := o.hook.Before(ctx, c); err != nil {
		o.release(c)
		return nil, &Error{Hook: o.name, Queue: at.Queue(), Err: err}
	}
	start := time.Now()
	c.err = ErrNoOutcome
	// Deferred for the one way out that is no return: the end of the goroutine.
	defer o.after(ctx, c, start)
	res, err := next(ctx, at)
	c.err = err
	if res != nil {
		c.result = *res
	}
	return res, err
}

func (o *Observer) after(ctx context.Context, c *Context, start time.Time) {
	c.latency = time.Since(start)
	c.done = true
	o.hook.After(ctx, c)
	o.release(c)
}

// release is not reached after a hook's panic; the garbage collector takes the
// context then.
func (o *Observer) release(c *Context) {
	*c = Context{}
	o.contexts.Put(c)
}
