package retry_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// course is what many calls do that fail at one moment and then again and again: the pauses of
// each before its retries.
type course [][]time.Duration // by retry, then by call

func courseOf(b retry.Backoff, calls, retries int) course {
	c := make(course, retries)
	last := make([]time.Duration, calls)
	for n := range c {
		for i := range last {
			last[i] = b.Pause(&core.Failure{Attempt: n + 1, Paused: last[i]})
		}
		c[n] = slices.Clone(last)
	}
	return c
}

// mean is the mean pause before a retry, from 1.
func (c course) mean(n int) time.Duration {
	var sum time.Duration
	for _, d := range c[n-1] {
		sum += d
	}
	return sum / time.Duration(len(c[n-1]))
}

// spread is what nine of ten pauses before a retry lie between.
func (c course) spread(n int) (low, high time.Duration) {
	sorted := slices.Sorted(slices.Values(c[n-1]))
	return sorted[len(sorted)/20], sorted[len(sorted)-1-len(sorted)/20]
}

// crowd is the largest part of the calls whose nth retry comes within the same 10 ms.
func (c course) crowd(n int) float64 {
	times := make([]time.Duration, len(c[0]))
	for _, pauses := range c[:n] {
		for i, d := range pauses {
			times[i] += d
		}
	}
	slices.Sort(times)
	most, from := 0, 0
	for to := range times {
		for times[to]-times[from] >= 10*ms {
			from++
		}
		most = max(most, to-from+1)
	}
	return float64(most) / float64(len(times))
}

// The table of docs/strategies.md. Run with -v it is printed.
func TestPauses(t *testing.T) {
	const calls, retries = 20_000, 5
	for _, tt := range []struct {
		name    string
		backoff retry.Backoff
		means   [2]time.Duration // before the first and the fifth retry
		crowd   float64          // at the fifth
	}{
		{"none", own(0), [2]time.Duration{0, 0}, 1},
		{"exponential, jitter 0", retry.Exponential(10*ms, 500*ms, 0), [2]time.Duration{10 * ms, 160 * ms}, 1},
		{"exponential, jitter 0.5", retry.Exponential(10*ms, 500*ms, 0.5), [2]time.Duration{7500 * time.Microsecond, 120 * ms}, 0.132},
		{"exponential, jitter 1", retry.Exponential(10*ms, 500*ms, 1), [2]time.Duration{5 * ms, 80 * ms}, 0.066},
		{"decorrelated", retry.Decorrelated(10*ms, 500*ms), [2]time.Duration{20 * ms, 133 * ms}, 0.040},
	} {
		c := courseOf(tt.backoff, calls, retries)
		low1, high1 := c.spread(1)
		low5, high5 := c.spread(5)
		r := func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(ms)) }
		t.Logf("| %s | %s | %s to %s | %s | %s | %s to %s | %.0f %% | %.0f %% |", tt.name,
			r(c.mean(1)), r(low1), r(high1), r(c.mean(3)), r(c.mean(5)), r(low5), r(high5), 100*c.crowd(1), 100*c.crowd(5))
		for i, n := range []int{1, 5} {
			if got, want := c.mean(n), tt.means[i]; got < want*95/100 || got > want*105/100 {
				t.Errorf("%s: before retry %d the pause is %v in the mean, want %v", tt.name, n, got, want)
			}
		}
		if got := c.crowd(5); got < tt.crowd*0.8 || got > tt.crowd*1.2 {
			t.Errorf("%s: %.3f of the calls come back within 10 ms, want %.3f", tt.name, got, tt.crowd)
		}
	}
}
