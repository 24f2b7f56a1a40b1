package retry

import (
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/random"
)

// WithBackoff makes a policy wait before its retries: exponentially longer from
// base to top, as [Delay] says, of which jitter, between 0 and 1, is the random
// part: with 1 the wait is anything up to the delay, with 0 it is the delay. A
// longer wait that inner asks for stays; a decision to give up does too.
//
// Values that make no sense are put right: negative durations count as 0, a top
// below base as base, jitter as its nearest limit. A nil inner policy is a mistake: the
// result is nil then, and a producer refuses it by the name of its field.
func WithBackoff(inner core.RetryPolicy, base, top time.Duration, jitter float64) core.RetryPolicy {
	if absent.Is(inner) {
		return (*backoff)(nil)
	}
	if !(jitter > 0) { // NaN too
		jitter = 0
	}
	base, top = sensible(base, top)
	return &backoff{inner: inner, base: base, top: top, jitter: min(jitter, 1)}
}

// backoff is what WithBackoff makes.
type backoff struct {
	inner     core.RetryPolicy
	base, top time.Duration
	jitter    float64
}

// Next implements [core.RetryPolicy].
func (b *backoff) Next(f *core.Failure) core.Decision {
	d := b.inner.Next(f)
	if wait := jittered(Delay(f.Attempt, b.base, b.top), b.jitter); d.Retry && d.After < wait {
		d.After = wait
	}
	return d
}

// Delay is base after attempt 1, twice that after attempt 2, and so on, at most
// top. It depends on nothing else, so calls cannot disturb each other's back-off.
func Delay(attempt int, base, top time.Duration) time.Duration {
	base, top = sensible(base, top)
	if base == 0 {
		return 0
	}
	d := base
	for ; attempt > 1 && d < top; attempt-- {
		if d > top/2 {
			return top
		}
		d *= 2
	}
	return d
}

// sensible puts the limits of a back-off right.
func sensible(base, top time.Duration) (from, to time.Duration) {
	base = max(base, 0)
	return base, max(base, top)
}

// jittered takes a random part of up to jitter, between 0 and 1, off d. Clients that
// failed together must not come back together.
func jittered(d time.Duration, jitter float64) time.Duration {
	part := d
	if jitter < 1 {
		part = time.Duration(float64(d) * jitter)
	}
	if part <= 0 {
		return d
	}
	return d - time.Duration(random.Int64N(int64(part)))
}
