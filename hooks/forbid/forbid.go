// Package forbid runs a check before each attempt that may refuse it (Java:
// CheckForbiddenHook). The check knows the queue and the broker, which a check
// in message scope cannot: use it to keep messages away from brokers, racks or
// regions, or to ask a policy about the exact destination.
//
// [New] makes a step named "forbid.<name>" for the guard stage of attempt scope.
// It runs once per attempt in every mode. Several checks run by name; each
// attempt ends at the first that refuses.
//
// A refusal is an [*Error]: errors.Is finds [core.ErrForbidden] and the hook's
// own error. It does not count against the broker. Whether another queue is tried
// is the retry policy's decision, which sees [core.ClassForbidden]. The policies
// of strategies/retry give up, so that a check can forbid a message altogether. A
// check that only keeps it from one broker needs a policy that goes on:
//
//	if f.Class == core.ClassForbidden && !f.Answered && f.Untried > 0 && !f.Consistent {
//		return core.Decision{Retry: true} // another broker may have it
//	}
//
// What a [Context] shows:
//
//	accessor                    CheckForbidden   later
//	--------------------------  ---------------  -------
//	Group Mode Message Topic    valid            invalid
//	Queue BrokerAddr Number     valid            invalid
//	Call Attempt                valid            invalid
//
// Java's context also has the name server's address, the caller's argument and
// the unit mode. They belong to transport and program here; a hook that needs
// them is made with them.
//
// The check is about messages on their way to a queue. Operations, such as a recall, are
// not checked.
package forbid

import (
	"context"
	"fmt"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/internal/plugin"
)

// Hook checks attempts. It is safe for concurrent use.
type Hook interface {
	// Name tells hooks apart: dotted lower-case words such as "region". It is
	// read once, by [New].
	Name() string
	// CheckForbidden refuses the attempt by returning an error. It runs on the
	// sending goroutine, within the call's deadline, so it must be quick or obey
	// ctx. A panic fails the send with the step's name. c is valid until it returns.
	CheckForbidden(ctx context.Context, c *Context) error
}

// Func makes a hook of a function.
func Func(name string, check func(ctx context.Context, c *Context) error) Hook {
	return &funcHook{name, check}
}

type funcHook struct {
	name  string
	check func(ctx context.Context, c *Context) error
}

func (f *funcHook) Name() string { return f.name }

func (f *funcHook) CheckForbidden(ctx context.Context, c *Context) error { return f.check(ctx, c) }

// Context is the attempt that a hook judges. It is for reading only.
type Context struct{ at *core.Attempt }

// Group is the producer's group, as brokers see it.
func (c *Context) Group() string { return c.at.Call().Group() }

// Mode is how the call is sent.
func (c *Context) Mode() core.Mode { return c.at.Call().Mode() }

// Message is the user's message. In a batch it is the first; Call gives all.
func (c *Context) Message() *core.Message { return c.at.Call().Message() }

// Topic is the topic on the wire, with its namespace if it has one.
func (c *Context) Topic() string { return c.at.Call().Outgoing().Topic() }

// Queue is the chosen queue.
func (c *Context) Queue() core.Queue { return c.at.Queue() }

// BrokerAddr is the address of the queue's broker, host:port.
func (c *Context) BrokerAddr() string { return c.at.Addr() }

// Number counts the call's attempts, from 1.
func (c *Context) Number() int { return c.at.Number() }

// Call is the call, with all messages of a batch.
func (c *Context) Call() *core.Call { return c.at.Call() }

// Attempt is the attempt, with everything else that is known of it.
func (c *Context) Attempt() *core.Attempt { return c.at }

// Error is an attempt that a hook refused.
type Error struct {
	Hook  string // its name
	Queue core.Queue
	Err   error // what it returned
}

// Error names hook, queue and cause.
func (e *Error) Error() string {
	return fmt.Sprintf("%v: hook %s refused %v: %v", core.ErrForbidden, e.Hook, e.Queue, e.Err)
}

// Unwrap gives the hook's error.
func (e *Error) Unwrap() error { return e.Err }

// Is makes it a [core.ErrForbidden].
func (e *Error) Is(target error) bool { return target == core.ErrForbidden }

// ErrorClass is [core.ClassForbidden], whatever the hook's error is: a broker's
// answer or an ended context inside it must not be taken for this attempt's.
func (e *Error) ErrorClass() core.Class { return core.ClassForbidden }

var (
	_ core.AttemptInterceptor = (*Check)(nil)
	_ core.Describer          = (*Check)(nil)
)

// Check is the step around a hook. It is safe for concurrent use and allocates
// nothing.
type Check struct {
	name     string
	hook     Hook
	contexts sync.Pool
}

// New makes the step. A hook that is nil, whose name is not made of dotted lower-case
// words or whose Name panics is an error.
func New(hook Hook) (*Check, error) {
	name, err := plugin.Name(hook)
	if err != nil {
		return nil, fmt.Errorf("forbid: hook: %w", err)
	}
	if f, ok := hook.(*funcHook); ok && f.check == nil {
		return nil, fmt.Errorf("forbid: hook %q has a nil function", f.name)
	}
	c := &Check{name: name, hook: hook}
	c.contexts.New = func() any { return new(Context) }
	// Core has the rules of names.
	if _, err := core.Resolve(core.Order{}, c.Step()); err != nil {
		return nil, fmt.Errorf("forbid: hook %q: %w", c.name, err)
	}
	return c, nil
}

// Describe names the hook.
func (c *Check) Describe() core.Description {
	return core.Description{Summary: "a check that may refuse an attempt", Settings: []core.Setting{{Name: "hook", Value: c.name}}}
}

// Step places the check: "forbid.<name>", in the guard stage of attempt scope.
func (c *Check) Step() core.Step {
	return core.AttemptStep("forbid."+c.name, core.AttemptGuard, c)
}

// InterceptAttempt asks the hook and goes on if it has no objection.
func (c *Check) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	hc := c.contexts.Get().(*Context)
	hc.at = at
	err := c.hook.CheckForbidden(ctx, hc)
	hc.at = nil
	c.contexts.Put(hc)
	if err != nil {
		return nil, &Error{Hook: c.name, Queue: at.Queue(), Err: err}
	}
	return next(ctx, at)
}
