package retry

import (
	"fmt"
	"math"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/random"
)

// Backoff says how long to wait before the attempt that follows a failure. It is asked only
// where there is such an attempt. One Backoff serves all calls at once, so it keeps nothing of
// a call: [core.Failure] has the number of the attempt and the pause before it. It must not
// keep f, which is the call's. A negative pause counts as none.
//
// [WithBackoff] and [Pause] take one.
type Backoff interface {
	Pause(f *core.Failure) time.Duration
}

// WithBackoff makes a policy wait before its retries, as b says. A longer wait that inner asks
// for stays; a decision to give up does too.
//
// A nil policy or back-off is a mistake: the result is nil then, and a producer refuses it by
// the name of its field.
func WithBackoff(inner core.RetryPolicy, b Backoff) core.RetryPolicy {
	if absent.Is(inner) || absent.Is(b) {
		return (*backoff)(nil)
	}
	return &backoff{inner, b}
}

// backoff is what WithBackoff makes.
type backoff struct {
	inner core.RetryPolicy
	pause Backoff
}

// Next implements [core.RetryPolicy].
func (b *backoff) Next(f *core.Failure) core.Decision {
	d := b.inner.Next(f)
	if d.Retry {
		d.After = max(d.After, b.pause.Pause(f))
	}
	return d
}

// Exponential is base after attempt 1, twice that after attempt 2, and so on, at most top. Of
// this the part jitter, between 0 and 1, is random: with 1 the pause is anything up to the
// whole ("full jitter"), with 0 it is the whole. The pause depends on the attempt alone.
//
// Values that make no sense are put right: negative durations count as 0, a top below base as
// base, jitter as its nearest limit.
func Exponential(base, top time.Duration, jitter float64) Backoff {
	if !(jitter > 0) { // NaN too
		jitter = 0
	}
	base, top = sensible(base, top)
	return &exponential{base, top, min(jitter, 1)}
}

type exponential struct {
	base, top time.Duration
	jitter    float64
}

// Pause implements [Backoff].
func (e *exponential) Pause(f *core.Failure) time.Duration {
	return jittered(e.whole(f.Attempt), e.jitter)
}

// whole is the pause after an attempt before anything of it is random.
func (e *exponential) whole(attempt int) time.Duration {
	d := e.base
	for ; attempt > 1 && 0 < d && d < e.top; attempt-- {
		if d > e.top/2 {
			return e.top
		}
		d *= 2
	}
	return d
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

// Decorrelated is a random pause from base to three times the call's last one, at most top:
// min(top, random(base, 3*last)), which AWS calls decorrelated jitter. The last pause is
// [core.Failure].Paused; shorter than base it counts as base, longer than top as top. So calls that failed at one
// moment drift apart from one retry to the next, and a call whose first retry went to another
// broker at once begins at base all the same.
//
// Negative durations count as 0, and a top below base as base. With a base of 0 there is no
// pause where there was none before.
func Decorrelated(base, top time.Duration) Backoff {
	base, top = sensible(base, top)
	return &decorrelated{base, top}
}

type decorrelated struct{ base, top time.Duration }

// Pause implements [Backoff].
func (d *decorrelated) Pause(f *core.Failure) time.Duration {
	last := min(max(d.base, f.Paused), d.top)
	high := time.Duration(math.MaxInt64)
	if last <= high/3 {
		high = 3 * last
	}
	if high <= d.base {
		return d.base
	}
	return min(d.top, d.base+time.Duration(random.Int64N(int64(high-d.base))))
}

// sensible puts the limits of a back-off right.
func sensible(base, top time.Duration) (from, to time.Duration) {
	base = max(base, 0)
	return base, max(base, top)
}

// Describe implements [core.Describer].
func (e *exponential) Describe() core.Description {
	switch e.jitter {
	case 0:
		return core.Description{Summary: e.rising()}
	case 1:
		return core.Description{Summary: "random up to " + e.rising()}
	}
	return core.Description{Summary: fmt.Sprintf("%s with %v of it random", e.rising(), e.jitter)}
}

// rising is the whole pause in words.
func (e *exponential) rising() string {
	if e.base == e.top {
		return e.base.String()
	}
	return fmt.Sprintf("%v doubling to %v", e.base, e.top)
}

// Describe implements [core.Describer].
func (d *decorrelated) Describe() core.Description {
	return core.Description{Summary: fmt.Sprintf("random from %v to three times the last pause and at most %v", d.base, d.top)}
}
