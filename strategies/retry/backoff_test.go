package retry_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

const ms = time.Millisecond

func TestDelay(t *testing.T) {
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
		{9, -1, 500 * ms, 0},
		{9, 10 * ms, 1 * ms, 10 * ms},
	}
	for _, tt := range tests {
		if got := retry.Delay(tt.attempt, tt.base, tt.top); got != tt.want {
			t.Errorf("Delay(%d, %v, %v) = %v, want %v", tt.attempt, tt.base, tt.top, got, tt.want)
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
			p := retry.WithBackoff(policy(tt.inner), 10*ms, time.Second, tt.jitter)
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
	keep := retry.WithBackoff(policy(core.Decision{Retry: true, Reroute: core.SameQueue}), ms, ms, 0)
	if got := keep.Next(&core.Failure{Attempt: 1}).Reroute; got != core.SameQueue {
		t.Errorf("the choice of queues became %v", got)
	}
}

// Full jitter is random up to the longest wait, of which a float64 has no exact value.
func TestLongestWaitIsRandom(t *testing.T) {
	p := retry.WithBackoff(policy(core.Decision{Retry: true}), math.MaxInt64, math.MaxInt64, 1)
	f := &core.Failure{Attempt: 1}
	if one, two := p.Next(f).After, p.Next(f).After; one == two {
		t.Errorf("two waits of %v", one)
	}
}

func TestBackoffNeverPanics(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base, limit := time.Duration(rapid.Int64().Draw(rt, "base")), time.Duration(rapid.Int64().Draw(rt, "max"))
		p := retry.WithBackoff(policy(core.Decision{Retry: true}), base, limit, rapid.Float64().Draw(rt, "jitter"))
		if d := p.Next(&core.Failure{Attempt: rapid.Int().Draw(rt, "attempt")}); d.After < 0 || d.After > max(base, limit, 0) {
			rt.Errorf("wait %v", d.After)
		}
	})
}
