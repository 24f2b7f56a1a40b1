package retry_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

const ms = time.Millisecond

// whole is the pause after an attempt without anything random in it.
func whole(attempt int, base, top time.Duration) time.Duration {
	return retry.Exponential(base, top, 0).Pause(&core.Failure{Attempt: attempt})
}

func TestExponential(t *testing.T) {
	tests := []struct {
		attempt   int
		base, top time.Duration
		want      time.Duration
	}{
		{1, 10 * ms, 500 * ms, 10 * ms},
		{2, 10 * ms, 500 * ms, 20 * ms},
		{6, 10 * ms, 500 * ms, 320 * ms},
		{7, 10 * ms, 500 * ms, 500 * ms},
		{2, 10, 21, 20}, // twice the base is just below the top
		{math.MaxInt, 10 * ms, 500 * ms, 500 * ms},
		{math.MaxInt, 1, math.MaxInt64, math.MaxInt64},
		{0, 10 * ms, 500 * ms, 10 * ms},
		{-5, 10 * ms, 500 * ms, 10 * ms},
		{9, 0, 500 * ms, 0},
		{math.MaxInt, 0, 500 * ms, 0},
		{9, -1, 500 * ms, 0},
		{9, 10 * ms, 1 * ms, 10 * ms},
	}
	for _, tt := range tests {
		if got := whole(tt.attempt, tt.base, tt.top); got != tt.want {
			t.Errorf("after attempt %d, from %v to %v, it is %v, want %v", tt.attempt, tt.base, tt.top, got, tt.want)
		}
	}
}

func policy(d core.Decision) core.RetryPolicy {
	return core.RetryPolicyFunc(func(*core.Failure) core.Decision { return d })
}

func TestWithBackoff(t *testing.T) {
	tests := []struct {
		name    string
		inner   core.Decision
		attempt int
		jitter  float64
		lo, hi  time.Duration
	}{
		{"no jitter", core.Decision{Retry: true}, 3, 0, 40 * ms, 40 * ms},
		{"full jitter", core.Decision{Retry: true}, 3, 1, 1, 40 * ms},
		{"half jitter", core.Decision{Retry: true}, 3, 0.5, 20*ms + 1, 40 * ms},
		{"too much jitter", core.Decision{Retry: true}, 3, 7, 1, 40 * ms},
		{"too little jitter", core.Decision{Retry: true}, 3, -1, 40 * ms, 40 * ms},
		{"no number", core.Decision{Retry: true}, 3, math.NaN(), 40 * ms, 40 * ms},
		{"inner waits longer", core.Decision{Retry: true, After: time.Minute}, 3, 1, time.Minute, time.Minute},
		{"inner gives up", core.Decision{}, 3, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := retry.WithBackoff(policy(tt.inner), retry.Exponential(10*ms, time.Second, tt.jitter))
			distinct := map[time.Duration]bool{}
			for range 100 {
				d := p.Next(&core.Failure{Attempt: tt.attempt})
				if d.Retry != tt.inner.Retry || d.After < tt.lo || d.After > tt.hi {
					t.Fatalf("decision %+v, want a wait of %v to %v", d, tt.lo, tt.hi)
				}
				distinct[d.After] = true
			}
			if tt.lo != tt.hi && len(distinct) < 10 {
				t.Errorf("only %d different waits of 100", len(distinct))
			}
		})
	}
	keep := retry.WithBackoff(policy(core.Decision{Retry: true, Reroute: core.SameQueue}), retry.Exponential(ms, ms, 0))
	if got := keep.Next(&core.Failure{Attempt: 1}).Reroute; got != core.SameQueue {
		t.Errorf("the choice of queues became %v", got)
	}
}

// Full jitter is random up to the longest wait, of which a float64 has no exact value.
func TestLongestWaitIsRandom(t *testing.T) {
	b, f := retry.Exponential(math.MaxInt64, math.MaxInt64, 1), &core.Failure{Attempt: 1}
	if one, two := b.Pause(f), b.Pause(f); one == two {
		t.Errorf("two waits of %v", one)
	}
}

// The formula of AWS: min(top, random(base, 3*last)), the last pause being at least base.
func TestDecorrelated(t *testing.T) {
	for _, tt := range []struct {
		name            string
		base, top, last time.Duration
		lo, hi          time.Duration // hi is the most, and met
	}{
		{"the first pause", 10 * ms, 500 * ms, 0, 10 * ms, 30*ms - 1},
		{"after a short one", 10 * ms, 500 * ms, 1, 10 * ms, 30*ms - 1},
		{"after a longer one", 10 * ms, 500 * ms, 40 * ms, 10 * ms, 120*ms - 1},
		{"near the top", 10 * ms, 500 * ms, 400 * ms, 10 * ms, 500 * ms},
		{"after one beyond the top", 10 * ms, 500 * ms, time.Hour, 10 * ms, 500 * ms},
		{"no top, after the longest", 10 * ms, math.MaxInt64, math.MaxInt64, 10 * ms, math.MaxInt64},
		{"no top, after half of the longest", 10 * ms, math.MaxInt64, math.MaxInt64 / 2, 10 * ms, math.MaxInt64},
		{"no base", 0, 500 * ms, 0, 0, 0},
		{"no base, after a pause", 0, 500 * ms, 40 * ms, 0, 120*ms - 1},
		{"a base below 0", -ms, 500 * ms, 0, 0, 0},
		{"a top below the base", 10 * ms, ms, 40 * ms, 10 * ms, 10 * ms},
		{"the longest base", math.MaxInt64, 0, 0, math.MaxInt64, math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := retry.Decorrelated(tt.base, tt.top)
			const draws = 4000
			low, high, capped := time.Duration(math.MaxInt64), time.Duration(0), 0
			for range draws {
				d := b.Pause(&core.Failure{Attempt: 3, Paused: tt.last})
				low, high = min(low, d), max(high, d)
				if d == tt.top {
					capped++
				}
			}
			if low < tt.lo || high > tt.hi {
				t.Errorf("pauses from %v to %v, want %v to %v", low, high, tt.lo, tt.hi)
			}
			// It goes near both ends: within a twentieth, which 4,000 draws miss never.
			if span := tt.hi - tt.lo; low > tt.lo+span/20 || high < tt.hi-span/20 {
				t.Errorf("pauses from %v to %v only, want %v to %v", low, high, tt.lo, tt.hi)
			}
			// The cap cuts what is drawn, as AWS has it. Drawing up to the cap is another rule.
			if tt.name == "near the top" && (capped < draws/2 || capped > draws*7/10) {
				t.Errorf("%d of %d pauses are %v, want 700 of 1190", capped, draws, tt.top)
			}
		})
	}
}

// own is a back-off of the user's, which describes itself by its type alone.
type own time.Duration

func (o own) Pause(*core.Failure) time.Duration { return time.Duration(o) }

func TestOwnBackoff(t *testing.T) {
	busy := failure(broker(rocketmq.CodeSystemBusy, ""))
	for name, p := range map[string]func(retry.Backoff) core.RetryPolicy{
		"option": func(b retry.Backoff) core.RetryPolicy { return retry.AtLeastOnce(retry.Pause(b)) },
		"wrapper": func(b retry.Backoff) core.RetryPolicy {
			return retry.WithBackoff(policy(core.Decision{Retry: true}), b)
		},
	} {
		for _, tt := range []struct{ pause, want time.Duration }{{7 * ms, 7 * ms}, {-7 * ms, 0}} {
			if d := p(own(tt.pause)).Next(busy); !d.Retry || d.After != tt.want {
				t.Errorf("%s: with a pause of %v the decision is %+v", name, tt.pause, d)
			}
		}
	}
}

func TestBackoffNeverPanics(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base, limit := time.Duration(rapid.Int64().Draw(rt, "base")), time.Duration(rapid.Int64().Draw(rt, "max"))
		f := &core.Failure{Attempt: rapid.Int().Draw(rt, "attempt"), Paused: time.Duration(rapid.Int64().Draw(rt, "paused"))}
		for _, b := range []retry.Backoff{
			retry.Exponential(base, limit, rapid.Float64().Draw(rt, "jitter")), retry.Decorrelated(base, limit),
		} {
			if d := b.Pause(f); d < 0 || d > max(base, limit, 0) {
				rt.Errorf("%T: pause %v", b, d)
			}
		}
	})
}
