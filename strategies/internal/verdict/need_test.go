package verdict_test

import (
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

const ms = time.Millisecond

func TestNeed(t *testing.T) {
	steady := func(n int, d time.Duration) []time.Duration {
		all := make([]time.Duration, n)
		for i := range all {
			all[i] = d
		}
		return all
	}
	for _, tt := range []struct {
		name        string
		answers     []time.Duration
		least, most time.Duration
	}{
		{"no answer", nil, 0, 0},
		{"the first", steady(1, 100*ms), 300 * ms, 300 * ms},
		{"steady", steady(100, 100*ms), 125 * ms, 126 * ms},
		{"a slower one", append(steady(200, 100*ms), 180*ms), 189 * ms, 191 * ms}, // the mean 110, off by 20
		{"two kinds", append(steady(100, 20*ms), steady(100, 100*ms)...), 120 * ms, 130 * ms},
		{"one slow among quick ones", append(steady(100, 2*ms), 1500*ms), 1200 * ms, 2000 * ms},
		{"and forgotten soon", append(append(steady(100, 2*ms), 1500*ms), steady(40, 2*ms)...), 2 * ms, 20 * ms},
		{"below the unit", steady(10, time.Nanosecond), time.Microsecond, 3 * time.Microsecond},
		{"longer than can be kept", steady(100, 2*time.Hour), time.Hour, 2 * time.Hour},
		{"a clock that went back", steady(10, -time.Hour), time.Microsecond, 3 * time.Microsecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n verdict.Need
			for _, d := range tt.answers {
				n.Answered(d)
			}
			if got := n.Time(); got < tt.least || got > tt.most {
				t.Errorf("it needs %v, want %v to %v", got, tt.least, tt.most)
			}
		})
	}
}

func TestNeedConcurrently(t *testing.T) {
	var n verdict.Need
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				n.Answered(100 * ms)
				n.Time()
			}
		})
	}
	wg.Wait()
	if got := n.Time(); got < 125*ms || got > 126*ms {
		t.Errorf("it needs %v", got)
	}
	if got := testing.AllocsPerRun(100, func() { n.Answered(ms); n.Time() }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestEnough(t *testing.T) {
	for _, tt := range []struct{ minWait, need, want time.Duration }{
		{50 * ms, 0, 500 * ms},
		{verdict.MinWait, 2 * ms, 50 * ms},
		{50 * ms, 125 * ms, 125 * ms},
		{50 * ms, 3 * time.Second, time.Second},
		{2 * time.Second, 125 * ms, 2 * time.Second},
		{2 * time.Second, 0, 2 * time.Second},
	} {
		if got := verdict.Enough(tt.minWait, tt.need); got != tt.want {
			t.Errorf("at least %v, needs %v: %v, want %v", tt.minWait, tt.need, got, tt.want)
		}
	}
}
