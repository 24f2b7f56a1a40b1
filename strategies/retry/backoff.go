package retry

import (
	"math/rand/v2"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// WithBackoff makes a policy wait before its retries: exponentially longer from
// base to max, as [Delay] says, of which jitter, between 0 and 1, is the random
// part: with 1 the wait is anything up to the delay, with 0 it is the delay. A
// longer wait that inner asks for stays; a decision to give up does too.
//
// Values that make no sense are put right: negative durations count as 0, a max
// below base as base, jitter as its nearest limit.
func WithBackoff(inner core.RetryPolicy, base, max time.Duration, jitter float64) core.RetryPolicy {
	if inner == nil {
		return nil // core reports a missing policy
	}
	return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		d := inner.Next(f)
		if wait := jittered(Delay(f.Attempt, base, max), jitter); d.Retry && d.After < wait {
			d.After = wait
		}
		return d
	})
}

// Delay is base after attempt 1, twice that after attempt 2, and so on, at most
// max. It depends on nothing else, so calls cannot disturb each other's back-off.
func Delay(attempt int, base, max time.Duration) time.Duration {
	if base <= 0 {
		return 0
	}
	if max < base {
		max = base
	}
	d := base
	for ; attempt > 1 && d < max; attempt-- {
		if d > max/2 {
			return max
		}
		d *= 2
	}
	return d
}

// jittered takes a random part of up to jitter off d. Clients that failed
// together must not come back together.
func jittered(d time.Duration, jitter float64) time.Duration {
	random := d
	if !(jitter >= 1) { // NaN too
		random = time.Duration(float64(d) * max(jitter, 0))
	}
	if random <= 0 {
		return d
	}
	return d - time.Duration(rand.Int64N(int64(random)))
}
