package retry_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

func TestLimit(t *testing.T) {
	busy := broker(rocketmq.CodeSystemBusy, "")
	for _, tt := range []struct {
		name  string
		inner core.RetryPolicy
		most  map[core.Class]int
		err   error
		want  int // attempts
	}{
		{"no limits", retry.AtLeastOnce(retry.Retries(5)), nil, core.ErrTimeout, 6},
		{"another class", retry.AtLeastOnce(retry.Retries(5)), map[core.Class]int{core.ClassTimeout: 1}, core.ErrConnect, 6},
		{"none", retry.AtLeastOnce(retry.Retries(5)), map[core.Class]int{core.ClassTimeout: 0}, core.ErrTimeout, 1},
		{"less than none", retry.AtLeastOnce(retry.Retries(5)), map[core.Class]int{core.ClassTimeout: -3}, core.ErrTimeout, 1},
		{"some", retry.AtLeastOnce(retry.Retries(5)), map[core.Class]int{core.ClassTimeout: 2}, core.ErrTimeout, 3},
		{"more than the policy's own", retry.AtLeastOnce(retry.Retries(5)), map[core.Class]int{core.ClassTimeout: 9}, core.ErrTimeout, 6},
		{"busy", retry.AtLeastOnce(), map[core.Class]int{core.ClassBusy: 3}, busy, 4},
		{"of Java's", retry.Java5(), map[core.Class]int{core.ClassBusy: 1}, busy, 2},
		{"two limits, the first", retry.Java5(), map[core.Class]int{core.ClassBusy: 0, core.ClassNetwork: 1}, busy, 1},
		{"two limits, the second", retry.Java5(), map[core.Class]int{core.ClassBusy: 0, core.ClassNetwork: 1}, core.ErrConnect, 2},
		{"one within the other", retry.Limit(retry.Java5(), map[core.Class]int{core.ClassBusy: 0}), map[core.Class]int{core.ClassBusy: 2}, busy, 1},
	} {
		if got := attempts(retry.Limit(tt.inner, tt.most), tt.err); got != tt.want {
			t.Errorf("%s: %d attempts, want %d", tt.name, got, tt.want)
		}
	}
	weak := with(failure(nil), func(f *core.Failure) { f.Status, f.Certainty = core.FlushDiskTimeout, core.Stored })
	check(t, "weaker status", retry.Limit(retry.AtLeastOnce(retry.RestoreWeak()), map[core.Class]int{core.ClassNone: 0}), weak, no)
}

// The limits are the policy's own: what becomes of the caller's map does not matter.
func TestLimitsAreCopied(t *testing.T) {
	most := map[core.Class]int{core.ClassTimeout: 1}
	p := retry.Limit(retry.AtLeastOnce(), most)
	most[core.ClassTimeout] = 0
	if got := attempts(p, core.ErrTimeout); got != 2 {
		t.Errorf("%d attempts, want 2", got)
	}
}

// A limit takes retries away and changes nothing else.
func TestLimitOnlyTakesAway(t *testing.T) {
	inner := retry.AtLeastOnce(retry.Retries(6), retry.Pause(own(ms)))
	rapid.Check(t, func(rt *rapid.T) {
		class := rapid.Custom(func(rt *rapid.T) core.Class { return core.Class(rapid.IntRange(0, 20).Draw(rt, "class")) })
		most := rapid.MapOf(class, rapid.IntRange(-1, 8)).Draw(rt, "limits")
		f := &core.Failure{
			Attempt: rapid.IntRange(1, 10).Draw(rt, "attempt"), Class: class.Draw(rt, "of the failure"),
			Certainty: core.NotStored, Answered: true, Err: errors.New("x"), Untried: rapid.IntRange(0, 2).Draw(rt, "untried"),
		}
		got, want := retry.Limit(inner, most).Next(f), inner.Next(f)
		if n, ok := most[f.Class]; ok && f.Attempt > n {
			want = core.Decision{}
		}
		if got != want {
			rt.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestNone(t *testing.T) {
	check(t, "connect", retry.None(), failure(core.ErrConnect), no)
	check(t, "busy", retry.None(), failure(broker(rocketmq.CodeSystemBusy, "")), no)
}

// With SameQueue a retry goes nowhere else, after a pause.
func TestSameQueue(t *testing.T) {
	for name, newPolicy := range map[string]func(...retry.Option) core.RetryPolicy{"at least once": retry.AtLeastOnce, "safe": retry.Safe} {
		p := newPolicy(retry.SameQueue(), retry.RestoreWeak(), retry.Pause(own(7*ms)))
		for _, tt := range []struct {
			what string
			f    *core.Failure
			want core.Decision
		}{
			{"connect", failure(core.ErrConnect), core.Decision{Retry: true, After: 7 * ms, Reroute: core.SameQueue}},
			{"busy", failure(broker(rocketmq.CodeSystemBusy, "")), core.Decision{Retry: true, After: 7 * ms, Reroute: core.SameQueue}},
			{"no permission", failure(broker(rocketmq.CodeNoPermission, "")), core.Decision{}},
			{"limit per broker", failure(core.ErrTooManyInFlight), core.Decision{}},
			{"rejected", failure(broker(rocketmq.CodeMessageIllegal, "")), core.Decision{}},
			{"weaker status", with(failure(nil), func(f *core.Failure) { f.Status, f.Certainty = core.FlushDiskTimeout, core.Stored }), core.Decision{}},
		} {
			if got := p.Next(tt.f); got != tt.want {
				t.Errorf("%s: %s: %+v, want %+v", name, tt.what, got, tt.want)
			}
		}
		if got := attempts(p, core.ErrConnect); got != 1+retry.DefaultRetries {
			t.Errorf("%s: %d attempts", name, got)
		}
	}
}
