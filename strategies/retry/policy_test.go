package retry_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failure is a first attempt's failure with err, of a sync send, with one other
// broker left.
func failure(err error) *core.Failure {
	f := &core.Failure{
		Attempt: 1, Err: err, Class: core.ClassOf(err), Certainty: core.NotSent, Mode: core.Sync,
		Message: &core.Message{Topic: "T"}, Remaining: time.Second, Untried: 1,
	}
	if be := (*core.BrokerError)(nil); errors.As(err, &be) {
		f.Code, f.Answered, f.Certainty = be.Code, true, be.Certainty
	}
	return f
}

func with(f *core.Failure, change func(*core.Failure)) *core.Failure {
	change(f)
	return f
}

func broker(code rocketmq.ResponseCode, remark string) error {
	return refusal.Of(code, remark, "10.0.0.1:10911")
}

// foreign is a code of another protocol than RocketMQ's.
type foreign string

func (c foreign) String() string { return string(c) }

// said is an answer in a code of another protocol.
func said(class core.Class, certainty core.Certainty) error {
	return &core.BrokerError{Code: foreign("RESOURCE_EXHAUSTED"), Class: class, Certainty: certainty}
}

func written(f *core.Failure) { f.Certainty = core.MaybeStored }

// What a policy does: give up, go on at once, or wait first.
type verdict int

const (
	no verdict = iota
	now
	wait
)

func (v verdict) String() string {
	return [...]string{"no retry", "retry at once", "retry after a wait"}[v]
}

func check(t *testing.T, what string, p core.RetryPolicy, f *core.Failure, want verdict) {
	t.Helper()
	// A jitter may come out as no wait at all, but not each time.
	var most time.Duration
	var d core.Decision
	for range 50 {
		d = p.Next(f)
		most = max(most, d.After)
		if !d.Retry && d.After != 0 || d.After < 0 {
			t.Errorf("%s: decision %+v", what, d)
		}
	}
	got := no
	if d.Retry {
		got = now
		if most > 0 {
			got = wait
		}
	}
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestPolicies(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	tests := []struct {
		name string
		f    *core.Failure
		// with another broker left: AtLeastOnce, Safe, Java 5.x, Java 4.9
		alo, safe, java5, java49 verdict
		// AtLeastOnce with all brokers tried, or with the queue fixed
		alone verdict
	}{
		{"connect", failure(core.ErrConnect), now, now, now, now, wait},
		{"connection lost", with(failure(core.ErrConnectionLost), written), now, no, now, now, wait},
		{"timeout", with(failure(core.ErrTimeout), written), now, no, now, now, wait},
		{"timeout in the dial", failure(core.ErrTimeout), now, now, now, now, wait},
		{"raw network error", failure(dial), now, now, now, now, wait},
		{"unknown, written", with(failure(errors.New("EOF")), written), now, no, now, now, wait},
		{"a hook's error", failure(errors.New("hook")), no, no, no, no, no},
		{"busy", failure(broker(rocketmq.CodeSystemBusy, "")), wait, wait, now, no, wait},
		{"flow control", failure(broker(rocketmq.CodeFlowControl, "")), wait, wait, no, no, wait},
		{"not available", failure(broker(rocketmq.CodeServiceNotAvailable, "")), now, now, now, now, wait},
		{"go away", failure(broker(rocketmq.CodeGoAway, "")), now, now, now, no, wait},
		{"no buyer id", failure(broker(rocketmq.CodeNoBuyerID, "")), now, now, now, now, wait},
		{"not in unit", failure(broker(rocketmq.CodeNotInCurrentUnit, "")), now, now, now, now, wait},
		{"broker not exist", failure(broker(rocketmq.CodeBrokerNotExist, "")), now, now, no, no, wait},
		{"system error", failure(broker(rocketmq.CodeSystemError, "?")), now, no, now, now, wait},
		{"system error, outage", failure(broker(rocketmq.CodeSystemError, "create mapped file failed")), now, now, now, now, wait},
		{"system error, poison", failure(broker(rocketmq.CodeSystemError, "java.lang.NullPointerException")), no, no, no, no, no},
		{"system error, credentials", failure(broker(rocketmq.CodeSystemError, "AclException")), no, no, no, no, no},
		{"no permission", failure(broker(rocketmq.CodeNoPermission, "")), now, now, now, now, no},
		{"no permission, credentials", failure(broker(rocketmq.CodeNoPermission, "check signature failed")), no, no, no, no, no},
		{"a hook forbids", failure(core.ErrForbidden), no, no, no, no, no},
		{"no topic", failure(broker(rocketmq.CodeTopicNotExist, "")), now, now, now, now, wait},
		{"not leader", failure(broker(rocketmq.CodeNotLeaderForQueue, "")), now, now, no, no, wait},
		{"illegal message", failure(broker(rocketmq.CodeMessageIllegal, "")), no, no, no, no, no},
		{"invalid parameter", failure(broker(rocketmq.CodeInvalidParameter, "")), no, no, no, no, no},
		{"unknown code", failure(broker(4711, "")), now, no, no, no, wait},
		{"other protocol: busy", failure(said(core.ClassBusy, core.NotStored)), wait, wait, now, no, wait},
		{"other protocol: unavailable", failure(said(core.ClassUnavailable, core.NotStored)), now, now, now, now, wait},
		{"other protocol: anything else", failure(said(core.ClassBroker, core.CertaintyUnknown)), now, no, now, now, wait},
		{"other protocol: forbidden", failure(said(core.ClassForbidden, core.NotStored)), now, now, now, now, no},
		{"other protocol: no topic", failure(said(core.ClassNoTopic, core.NotStored)), now, now, now, now, wait},
		{"other protocol: stale", failure(said(core.ClassStale, core.NotStored)), now, now, no, no, wait},
		{"other protocol: rejected", failure(said(core.ClassRejected, core.NotStored)), no, no, no, no, no},
		{"other protocol: credentials", failure(said(core.ClassAuth, core.NotStored)), no, no, no, no, no},
		{"of no certainty", with(failure(core.ErrConnectionLost), func(f *core.Failure) { f.Certainty = core.CertaintyUnknown }), now, no, now, now, wait},
		{"busy, perhaps stored", failure(said(core.ClassBusy, core.MaybeStored)), wait, no, now, no, wait},
		{"circuit open", failure(core.ErrCircuitOpen), now, now, now, now, wait},
		{"limit per broker", failure(core.ErrTooManyInFlight), now, now, no, no, no},
		{"no route", failure(core.ErrNoRoute), no, no, no, no, no},
		{"invalid", failure(core.ErrInvalidMessage), no, no, no, no, no},
		{"closed", failure(core.ErrClosed), no, no, no, no, no},
		{"aborted", failure(core.ErrAborted), no, no, no, no, no},
		{"panic", failure(&core.PanicError{}), no, no, no, no, no},
		{"contract", failure(core.ErrContract), no, no, no, no, no},
		{"weak status", with(failure(nil), func(f *core.Failure) { f.Status, f.Certainty = core.FlushDiskTimeout, core.Stored }), no, no, no, no, no},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, "at least once", retry.AtLeastOnce(), tt.f, tt.alo)
			check(t, "safe", retry.Safe(), tt.f, tt.safe)
			check(t, "java 5", retry.Java5(), tt.f, tt.java5)
			check(t, "java 4.9", retry.Java49(), tt.f, tt.java49)

			alone := *tt.f
			alone.Untried = 0
			check(t, "at least once, alone", retry.AtLeastOnce(), &alone, tt.alone)
			fixed := *tt.f
			fixed.Consistent = true
			check(t, "at least once, fixed queue", retry.AtLeastOnce(), &fixed, tt.alone)
			check(t, "java, fixed queue", retry.Java5(), &fixed, no)

			// In async mode Java never retries a broker's answer.
			async := *tt.f
			async.Mode = core.Async
			want := tt.java5
			if tt.f.Answered {
				want = no
			}
			check(t, "java, async", retry.Java5(), &async, want)
		})
	}
}

func TestJavaCodes(t *testing.T) {
	if got, want := fmt.Sprint(retry.Java49Codes()), "[TOPIC_NOT_EXIST SERVICE_NOT_AVAILABLE SYSTEM_ERROR NO_PERMISSION NO_BUYER_ID NOT_IN_CURRENT_UNIT]"; got != want {
		t.Errorf("4.9: %s, want %s", got, want)
	}
	want := append(retry.Java49Codes(), 2, 1500)
	if got := retry.Java5Codes(); !slices.Equal(got, want) {
		t.Errorf("5.x: %v, want %v", got, want)
	}
	retry.Java5Codes()[0] = 99 // a copy
	if retry.Java5Codes()[0] != rocketmq.CodeTopicNotExist {
		t.Error("the list can be changed from outside")
	}
}

func TestJavaCodesAreExact(t *testing.T) {
	for code := rocketmq.ResponseCode(-2); code < 2000; code++ {
		f := failure(broker(code, ""))
		for _, p := range []struct {
			policy core.RetryPolicy
			codes  []rocketmq.ResponseCode
		}{{retry.Java5(), retry.Java5Codes()}, {retry.Java49(), retry.Java49Codes()}} {
			if got, want := p.policy.Next(f).Retry, slices.Contains(p.codes, code); got != want {
				t.Errorf("code %v retried: %v, want %v", code, got, want)
			}
		}
	}
}

// attempts is how many a call makes of which each meets err.
func attempts(p core.RetryPolicy, err error) (n int) {
	for n = 1; n < 100 && p.Next(with(failure(err), func(f *core.Failure) { f.Attempt = n })).Retry; {
		n++
	}
	return n
}

func TestRetries(t *testing.T) {
	for name, newPolicy := range map[string]func(...retry.Option) core.RetryPolicy{
		"at least once": retry.AtLeastOnce, "safe": retry.Safe, "java 5": retry.Java5, "java 4.9": retry.Java49,
	} {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				opts []retry.Option
				want int
			}{
				{nil, 3},
				{[]retry.Option{retry.Retries(0)}, 1},
				{[]retry.Option{retry.Retries(-1)}, 1},
				{[]retry.Option{retry.Retries(5)}, 6},
				{[]retry.Option{retry.Retries(3), retry.Busy(7)}, 4},
			} {
				if got := attempts(newPolicy(tt.opts...), core.ErrConnect); got != tt.want {
					t.Errorf("%d attempts, want %d", got, tt.want)
				}
			}
		})
	}
}

func TestCodes(t *testing.T) {
	f := failure(broker(rocketmq.CodeMessageIllegal, ""))
	opt := retry.Codes(rocketmq.CodeMessageIllegal, 4711)
	check(t, "at least once", retry.AtLeastOnce(opt), f, now)
	check(t, "safe", retry.Safe(opt), f, now)
	check(t, "java 5", retry.Java5(opt), f, now)
	check(t, "safe, perhaps stored", retry.Safe(opt), failure(broker(4711, "")), no)
	check(t, "java 4.9", retry.Java49(opt), failure(broker(4711, "")), now)
	check(t, "a failure without a code", retry.AtLeastOnce(retry.Codes(0)), failure(core.ErrForbidden), no)
	both := retry.AtLeastOnce(retry.Codes(rocketmq.CodeInvalidParameter), opt)
	check(t, "first of two lists", both, failure(broker(rocketmq.CodeInvalidParameter, "")), now)
	check(t, "second of two lists", both, f, now)
}

func TestRestoreWeak(t *testing.T) {
	weak := with(failure(nil), func(f *core.Failure) { f.Status, f.Certainty = core.FlushDiskTimeout, core.Stored })
	opt := retry.RestoreWeak()
	check(t, "at least once", retry.AtLeastOnce(opt), weak, now)
	check(t, "safe", retry.Safe(opt), weak, no)
	check(t, "java 5", retry.Java5(opt), weak, now)
	check(t, "java 4.9", retry.Java49(opt), weak, now)
	check(t, "the last attempt", retry.AtLeastOnce(opt, retry.Retries(0)), weak, no)
	alone, fixed, async := *weak, *weak, *weak
	alone.Untried, fixed.Consistent, async.Mode = 0, true, core.Async
	check(t, "no other broker", retry.AtLeastOnce(opt), &alone, no)
	check(t, "fixed queue", retry.AtLeastOnce(opt), &fixed, no)
	check(t, "async", retry.AtLeastOnce(opt), &async, now)
	check(t, "java, async", retry.Java5(opt), &async, no)
}

// Whatever the failure: Safe never retries what may be stored, no policy retries
// for ever, and the wait has its bounds.
func TestPolicyProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := &core.Failure{
			Attempt:    rapid.IntRange(1, 50).Draw(rt, "attempt"),
			Class:      core.Class(rapid.IntRange(1, 20).Draw(rt, "class")),
			Code:       rocketmq.ResponseCode(rapid.IntRange(-1, 20).Draw(rt, "code")),
			Answered:   rapid.Bool().Draw(rt, "answered"),
			Certainty:  core.Certainty(rapid.IntRange(0, 4).Draw(rt, "certainty")),
			Mode:       core.Mode(rapid.IntRange(0, 2).Draw(rt, "mode")),
			Untried:    rapid.IntRange(0, 2).Draw(rt, "untried"),
			Consistent: rapid.Bool().Draw(rt, "consistent"),
			Err:        errors.New("x"),
		}
		base := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(rt, "base"))
		limit := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "max"))
		retries := rapid.IntRange(0, 60).Draw(rt, "retries")
		opts := []retry.Option{retry.Retries(retries), retry.Pause(retry.Exponential(base, limit, 1))}
		alo, safe := retry.AtLeastOnce(opts...).Next(f), retry.Safe(opts...).Next(f)
		if safe.Retry && (!f.Certainty.Safe() || !alo.Retry) {
			rt.Errorf("safe retries %+v", f)
		}
		for _, d := range []core.Decision{alo, safe, retry.Java5(opts...).Next(f)} {
			if d.Retry && f.Attempt > retries {
				rt.Errorf("attempt %d is retried with %d retries", f.Attempt, retries)
			}
			if d.After < 0 || d.After > max(base, limit) {
				rt.Errorf("wait %v, base %v, limit %v", d.After, base, limit)
			}
		}
	})
}

func TestAllocatesNothing(t *testing.T) {
	budget, err := retry.NewBudget(retry.DefaultRatio, retry.DefaultBurst)
	if err != nil {
		t.Fatal(err)
	}
	busy, connect := failure(broker(rocketmq.CodeSystemBusy, "")), failure(core.ErrConnect)
	for name, p := range map[string]core.RetryPolicy{
		"at least once": retry.AtLeastOnce(), "safe": retry.Safe(), "java 5": retry.Java5(),
		"backoff":      retry.WithBackoff(retry.Java49(), retry.Exponential(time.Millisecond, time.Second, 0.5)),
		"decorrelated": retry.AtLeastOnce(retry.Pause(retry.Decorrelated(time.Millisecond, time.Second)), retry.SameQueue()),
		"limit":        retry.Limit(retry.Safe(), map[core.Class]int{core.ClassBusy: 3}),
		"none":         retry.None(),
	} {
		if n := testing.AllocsPerRun(100, func() { p.Next(busy); p.Next(connect) }); n != 0 {
			t.Errorf("%s: %v allocations a decision, want 0", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { budget.Withdraw(&core.Failure{}); budget.Deposit() }); n != 0 {
		t.Errorf("budget: %v allocations, want 0", n)
	}
}

// Busy brokers get more attempts than others, and only for what they refused. A limit that
// is stated is the limit.
func TestBusyHasItsOwnLimit(t *testing.T) {
	busy := broker(rocketmq.CodeSystemBusy, "")
	for name, newPolicy := range map[string]func(...retry.Option) core.RetryPolicy{"at least once": retry.AtLeastOnce, "safe": retry.Safe} {
		for _, tt := range []struct {
			what      string
			opts      []retry.Option
			want      int // attempts at busy brokers
			elsewhere int // at brokers with another trouble
		}{
			{"default", nil, 1 + retry.DefaultBusy, 3},
			{"own", []retry.Option{retry.Busy(4)}, 5, 3},
			{"none", []retry.Option{retry.Busy(0)}, 1, 3},
			{"less than none", []retry.Option{retry.Busy(-1)}, 1, 3},
			{"stated for all", []retry.Option{retry.Retries(2)}, 3, 3},
			{"many stated for all", []retry.Option{retry.Retries(20)}, 21, 21},
			{"no retries at all", []retry.Option{retry.Retries(0)}, 1, 1},
			{"of a busy broker only", []retry.Option{retry.Busy(4), retry.Retries(0)}, 5, 1},
			{"stated below Retries", []retry.Option{retry.Busy(0), retry.Retries(3)}, 1, 4},
		} {
			p := newPolicy(tt.opts...)
			if got := attempts(p, busy); got != tt.want {
				t.Errorf("%s, %s: %d attempts at busy brokers, want %d", name, tt.what, got, tt.want)
			}
			if got := attempts(p, core.ErrConnect); got != tt.elsewhere {
				t.Errorf("%s, %s: %d attempts at brokers that are down, want %d", name, tt.what, got, tt.elsewhere)
			}
		}
	}
	// What a busy broker may have stored has no such limit.
	if got := attempts(retry.AtLeastOnce(), said(core.ClassBusy, core.MaybeStored)); got != 1+retry.DefaultRetries {
		t.Errorf("%d attempts at brokers that are busy and may have stored, want %d", got, 1+retry.DefaultRetries)
	}
}
