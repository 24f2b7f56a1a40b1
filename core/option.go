package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/internal/absent"
)

// SendOption changes one call. Outside of this package, make one of [CallOptions]' methods
// with [SendOptionFunc], or put a value into the call with [Slot.With]. Without options a
// call allocates nothing for them.
type SendOption interface{ ApplySend(o *CallOptions) }

// SendOptionFunc is a function that is a [SendOption].
type SendOptionFunc func(o *CallOptions)

// ApplySend calls f.
func (f SendOptionFunc) ApplySend(o *CallOptions) { f(o) }

// CallOptions is what a [SendOption] can change of a call. It is valid only while the option
// runs. A value that makes no sense is an error of the send: nothing is sent.
type CallOptions struct {
	call *Call
	err  error
}

func (o *CallOptions) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// Fail makes the send fail with err, for options that find their own value wrong.
func (o *CallOptions) Fail(err error) {
	if err != nil {
		o.fail(err)
	}
}

// Timeout sets the time of the call, all attempts included, instead of the policy's. It is
// at least 1 ms.
func (o *CallOptions) Timeout(d time.Duration) {
	if err := checkTimeout(d); err != nil {
		o.fail(fmt.Errorf("SendTimeout: %w", err))
		return
	}
	o.call.deadline = o.call.start.Add(d)
}

// AttemptTimeout caps each attempt as long as another broker is left, whatever the policy
// says. It is at least 1 ms.
func (o *CallOptions) AttemptTimeout(d time.Duration) {
	if err := checkTimeout(d); err != nil {
		o.fail(fmt.Errorf("SendAttemptTimeout: %w", err))
		return
	}
	o.call.attemptTimeout = d
}

// Retry sets the retry policy of the call.
func (o *CallOptions) Retry(policy RetryPolicy) {
	if absent.Is(policy) {
		o.fail(errors.New("SendRetry: the policy is nil"))
		return
	}
	o.call.retry, o.call.ownRetry = policy, true
}

// Selector sets the queue selector of the call.
func (o *CallOptions) Selector(s QueueSelector) {
	if absent.Is(s) {
		o.fail(errors.New("SendSelector: the selector is nil"))
		return
	}
	o.call.selector = s
}

// Property sets a property of the messages that are sent, under RocketMQ's name, as
// [Outgoing.SetProperty] does. Validation checks what the user's messages say, so an option may
// set names that are reserved there.
func (o *CallOptions) Property(name, value string) {
	for out := range o.call.All() {
		out.SetProperty(name, value)
	}
}

// SendTimeout sets the time of this call, all attempts included, instead of the policy's.
// Less than 1 ms is an error of the send.
func SendTimeout(d time.Duration) SendOption { return timeoutOption(d) }

type timeoutOption time.Duration

func (t timeoutOption) ApplySend(o *CallOptions) { o.Timeout(time.Duration(t)) }

// SendAttemptTimeout caps each attempt of this call as long as another broker is left,
// whatever the policy says. Less than 1 ms is an error of the send.
func SendAttemptTimeout(d time.Duration) SendOption { return attemptTimeoutOption(d) }

type attemptTimeoutOption time.Duration

func (t attemptTimeoutOption) ApplySend(o *CallOptions) { o.AttemptTimeout(time.Duration(t)) }

// SendRetry sets the retry policy of this call. Nil is an error of the send.
func SendRetry(policy RetryPolicy) SendOption { return retryOption{policy} }

type retryOption struct{ policy RetryPolicy }

func (r retryOption) ApplySend(o *CallOptions) { o.Retry(r.policy) }

// SendSelector sets the queue selector of this call. It is used for this call alone, so one
// that learns from attempts must be shared by the caller. Nil is an error of the send.
func SendSelector(s QueueSelector) SendOption { return selectorOption{s} }

type selectorOption struct{ selector QueueSelector }

func (s selectorOption) ApplySend(o *CallOptions) { o.Selector(s.selector) }

// With is an option that puts v into the call, where steps find it with Get: an argument
// from the caller to a step.
func (s Slot[T]) With(v T) SendOption { return slotOption[T]{s, v} }

type slotOption[T any] struct {
	slot  Slot[T]
	value T
}

func (s slotOption[T]) ApplySend(o *CallOptions) { s.slot.Set(o.call, s.value) }

// applyOptions applies the options of a call, and keeps their panics.
func (c *Call) applyOptions(opts []SendOption) (err error) {
	defer containPanic("send option", &err)
	o := CallOptions{call: c}
	for i, opt := range opts {
		if absent.Is(opt) {
			o.fail(fmt.Errorf("send option %d is nil", i))
			continue
		}
		opt.ApplySend(&o)
	}
	if o.err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidMessage, o.err)
	}
	return nil
}
