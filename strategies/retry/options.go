package retry

import (
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// The defaults of the options.
const (
	DefaultRetries = 2
	DefaultBusy    = 10
	DefaultBase    = 10 * time.Millisecond
	DefaultMax     = 500 * time.Millisecond
)

// Option changes a policy of this package. A nil option is a mistake: the policy is nil
// then, and a producer refuses it by the name of its field.
type Option func(*options)

type options struct {
	retries int
	busy    int
	pause   Backoff // nil after a mistake
	same    bool
	restore bool
	codes   []rocketmq.ResponseCode
}

// unset stands for a number that no option names.
const unset = -1

// newOptions applies opts. It is not ok if one of them is nil, or was given nil.
func newOptions(opts []Option) (o options, ok bool) {
	o = options{retries: unset, busy: unset, pause: Exponential(DefaultBase, DefaultMax, 1)}
	for _, opt := range opts {
		if opt == nil {
			return o, false
		}
		opt(&o)
	}
	if o.busy == unset {
		o.busy = o.retries // a limit that is stated holds for busy brokers too
	}
	if o.busy == unset {
		o.busy = DefaultBusy
	}
	if o.retries == unset {
		o.retries = DefaultRetries
	}
	return o, !absent.Is(o.pause)
}

// Retries bounds the attempts of a call to 1 + n, by default n is 2 (Java:
// retryTimesWhenSendFailed). Less than 0 counts as 0. It bounds the attempts at busy
// brokers too, unless [Busy] says otherwise.
func Retries(n int) Option { return func(o *options) { o.retries = max(0, n) } }

// Busy bounds the attempts of a call whose last one met a busy broker to 1 + n, whatever
// [Retries] says. Without it n is that of Retries, and without Retries it is 10, about a
// second and a half of pauses. Less than 0 counts as 0. [AtLeastOnce] and [Safe] use it. A
// broker says busy for a few hundred milliseconds while it rolls a file or collects
// garbage: Java's two retries without a pause are over before that.
func Busy(n int) Option { return func(o *options) { o.busy = max(0, n) } }

// Pause sets the back-off of [AtLeastOnce] and [Safe], by default [Exponential] from 10 ms to
// 500 ms with full jitter. A nil back-off is a mistake like a nil option. Java's policies have
// no pauses.
func Pause(b Backoff) Option { return func(o *options) { o.pause = b } }

// SameQueue keeps the retries of [AtLeastOnce] and [Safe] at the queue of the first attempt, as
// long as the route has it, with a pause before each. What only another broker could help is not
// retried. So every copy of a message is in one queue. But the message shares the fate of that
// broker, and its first attempt may take all of the call's time, because nothing is kept for
// another broker. With it [RestoreWeak] does nothing. Java's policies have no use for it: they do
// not retry a queue that is fixed.
func SameQueue() Option { return func(o *options) { o.same = true } }

// Codes adds broker codes that are retried, whatever this package thinks of
// them (Java: addRetryResponseCode). [Safe] retries them only where the message
// is surely not stored.
func Codes(codes ...rocketmq.ResponseCode) Option {
	return func(o *options) { o.codes = append(slices.Clip(o.codes), codes...) }
}

// RestoreWeak sends a message again to another broker if the first stored it
// with a weaker status than asked for, such as FLUSH_DISK_TIMEOUT (Java:
// retryAnotherBrokerWhenNotStoreOK). The message is then stored twice for
// certain, under one message id. [Safe] has no use for it and ignores it.
func RestoreWeak() Option { return func(o *options) { o.restore = true } }

// weak decides on a message that is stored with a weaker status. Without
// another broker the copy would be of no use.
func (o *options) weak(f *core.Failure) core.Decision {
	if !o.restore || !o.elsewhere(f) {
		return core.Decision{}
	}
	return core.Decision{Retry: true, Restore: true}
}

// listed reports whether c is one of codes. A code of another protocol is not, and neither
// is nil, which an attempt without an answer has.
func listed(codes []rocketmq.ResponseCode, c core.Code) bool {
	code, ok := c.(rocketmq.ResponseCode)
	return ok && slices.Contains(codes, code)
}
