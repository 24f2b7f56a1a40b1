package retry

import (
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// The defaults of the options.
const (
	DefaultRetries = 2
	DefaultBusy    = 10
	DefaultBase    = 10 * time.Millisecond
	DefaultMax     = 500 * time.Millisecond
)

// Option changes a policy of this package.
type Option func(*options)

type options struct {
	retries   int
	busy      int // -1: not set
	base, max time.Duration
	restore   bool
	codes     []rocketmq.ResponseCode
}

func newOptions(opts []Option) options {
	o := options{retries: DefaultRetries, busy: -1, base: DefaultBase, max: DefaultMax}
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	if o.busy < 0 {
		o.busy = DefaultBusy
		if o.retries == 0 {
			o.busy = 0 // whoever wants no retries wants none of a busy broker either
		}
	}
	return o
}

// Retries bounds the attempts of a call to 1 + n, by default n is 2 (Java:
// retryTimesWhenSendFailed). Less than 0 counts as 0.
func Retries(n int) Option { return func(o *options) { o.retries = max(0, n) } }

// Busy bounds the attempts of a call whose last one met a busy broker to 1 + n,
// by default n is 10, about a second and a half of pauses, or 0 with Retries(0),
// and never less than [Retries]. [AtLeastOnce] and [Safe] use it. A broker says busy for a few hundred
// milliseconds while it rolls a file or collects garbage: Java's two retries
// without a pause are over before that.
func Busy(n int) Option { return func(o *options) { o.busy = max(0, n) } }

// Pause sets the back-off of [AtLeastOnce] and [Safe]: full jitter up to base
// before the second attempt, twice that before the next and so on, at most max.
// 10 ms and 500 ms by default. Java's policies have no pauses.
func Pause(base, max time.Duration) Option {
	return func(o *options) { o.base, o.max = base, max }
}

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
	if !o.restore || f.Untried == 0 || f.Consistent {
		return core.Decision{}
	}
	return core.Decision{Retry: true, Restore: true}
}
