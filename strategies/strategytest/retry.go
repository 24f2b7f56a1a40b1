package strategytest

import (
	"reflect"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// RetryOptions says what is special about a retry policy.
type RetryOptions struct {
	// SafeOnly is for policies that never store a message twice.
	SafeOnly bool
	// RestoresWeak is for policies that send a message again which is stored
	// with a weaker status than asked for.
	RestoresWeak bool
	// MaxAttempts is the number of attempts by which a call has come to its
	// end, 100 if it is 0.
	MaxAttempts int
	// Unpaused is the number of attempts that may follow each other at one broker without a
	// pause, 10 if it is 0.
	Unpaused int
	// RealTime checks without virtual time, for a strategy that has to do with goroutines or
	// channels outside of the test. Rules that need hours are skipped then.
	RealTime bool
	// Limit is the time of one rule, [DefaultLimit] by default.
	Limit time.Duration
	// Skip gives the reason why a rule is not checked, by its number.
	Skip map[string]string
}

// TestRetryPolicy checks a retry policy against the rules R1 to R15, each in a sub-test of its
// number. The function makes a fresh policy each time; it is called more than once for a rule.
func TestRetryPolicy[T Runner[T]](t T, newPolicy func() core.RetryPolicy, opts RetryOptions) {
	t.Helper()
	if opts.MaxAttempts == 0 {
		opts.MaxAttempts = 100
	}
	if opts.Unpaused == 0 {
		opts.Unpaused = 10
	}
	run(t, retryContract, retrySubject{newPolicy, opts}, settings{opts.Skip, opts.Limit, opts.RealTime})
}

type retrySubject struct {
	newPolicy func() core.RetryPolicy
	RetryOptions
}

var retryContract = contract[retrySubject]{
	rules: []rule[retrySubject]{
		{"R1", "every call comes to an end", comesToAnEnd},
		{"R2", "what cannot succeed is not retried", func(k *kit, s retrySubject) { s.notRetried(k, hopeless) }},
		{"R3", "a decision to give up has no wait, and no wait is negative", soundWaits},
		{"R4", "the decision depends on the failure alone", stateless},
		{"R5", "the failure and the message stay as they are", failureStays},
		{"R6", "many goroutines may ask at once", askAtOnce},
		{"R7", "with SafeOnly, what may be stored is not retried", safeOnly},
		{"R8", "what is stored with a weaker status is not sent again", notRestored},
		{"R9", "there is a policy", func(k *kit, s retrySubject) { s.policy(k) }},
		{"R10", "the choice of queues is one of the three", knownReroute},
		{"R11", "no method panics or ends its goroutine", retryStorm},
		{"R12", "no method waits", retryStorm},
		{"R13", "attempts at one broker have pauses between them", pauses},
		{"R14", "nothing of a call is kept after its outcome", retryKeepsNothing},
		{"R15", "no decision starts a goroutine, and none is left", retryStartsNothing},
	},
	numbers: numbers{given: "R9", panics: "R11", waits: "R12", leaves: "R15"},
}

// policy makes a policy behind the kit.
func (s retrySubject) policy(k *kit) *watchedPolicy {
	var p core.RetryPolicy
	k.do(func() { p = s.newPolicy() })
	if absent.Is(p) {
		k.spoil(k.given, "nil", "the policy is nil")
		k.do(func() {})
	}
	return &watchedPolicy{hears(k, p), p, method(p, "Next")}
}

// ask asks a policy about each failure, on a goroutine of its own.
func (k *kit) ask(p *watchedPolicy, each func(f *core.Failure, d core.Decision)) {
	k.do(func() {
		for _, f := range failures() {
			if d := p.Next(&f); !k.isBroken() {
				each(&f, d)
			}
		}
	})
}

// walk asks a policy about the failures of one call, each like f, after attempts that take
// so long, until it gives up or has been asked so often. Each gets a failure of its own, as a
// policy may do with it what R5 finds.
func walk(p core.RetryPolicy, f core.Failure, each time.Duration, most int, visit func(f *core.Failure, d core.Decision)) {
	for n := 1; n <= most; n++ {
		f.Attempt = n
		f.Elapsed += each
		f.Remaining = max(f.Remaining-each, each)
		own := f
		d := p.Next(&own)
		if visit(&f, d); !d.Retry {
			return
		}
		if d.Reroute != core.SameQueue && !f.Consistent {
			f.Untried = max(f.Untried-1, 0)
		}
		f.Paused = d.After
		f.Elapsed += d.After
	}
}

func comesToAnEnd(k *kit, s retrySubject) {
	p := s.policy(k)
	k.do(func() {
		for _, f := range failures() {
			retries := 0
			walk(p, f, 100*time.Millisecond, s.MaxAttempts, func(_ *core.Failure, d core.Decision) {
				if d.Retry {
					retries++
				}
			})
			if retries == s.MaxAttempts {
				k.fatalf("after %d attempts it goes on with %s", retries, describe(&f))
			}
		}
	})
}

func pauses(k *kit, s retrySubject) {
	p := s.policy(k)
	k.do(func() {
		for _, f := range failures() {
			row, worst := 0, 0
			walk(p, f, time.Millisecond, s.MaxAttempts, func(f *core.Failure, d core.Decision) {
				same := f.Consistent || f.Untried == 0 || d.Reroute == core.SameQueue
				if row++; !d.Retry || !same || d.After > 0 {
					row = 0
				}
				worst = max(worst, row)
			})
			if worst > s.Unpaused {
				k.fatalf("%d attempts follow each other at one broker without a pause after %s", worst, describe(&f))
			}
		}
	})
}

// notRetried reports the failures of a kind that the policy retries.
func (s retrySubject) notRetried(k *kit, kind func(*core.Failure) bool) {
	k.ask(s.policy(k), func(f *core.Failure, d core.Decision) {
		if d.Retry && (f.Err != nil || d.Restore) && kind(f) {
			k.failf("it retries %s", describe(f))
		}
	})
}

func soundWaits(k *kit, s retrySubject) {
	k.ask(s.policy(k), func(f *core.Failure, d core.Decision) {
		if d.After < 0 || !d.Retry && d.After != 0 {
			k.failf("%+v after %s", d, describe(f))
		}
	})
}

func knownReroute(k *kit, s retrySubject) {
	k.ask(s.policy(k), func(f *core.Failure, d core.Decision) {
		if d.Reroute > core.SameQueue {
			k.failf("%d after %s", d.Reroute, describe(f))
		}
	})
}

func stateless(k *kit, s retrySubject) {
	p := s.policy(k)
	k.do(func() {
		all := failures()
		first := make([]core.Decision, len(all))
		longest := make([]time.Duration, len(all))
		// As other calls come in between, each failure comes again, in another order.
		for i, f := range all {
			first[i] = p.Next(&f)
			longest[i] = k.again(p, all[i], first[i], asked(i))
		}
		for i := len(all) - 1; i >= 0; i-- {
			early, late := longest[i], k.again(p, all[i], first[i], asked(i))
			if early > 2*late+time.Millisecond || late > 2*early+time.Millisecond {
				k.fatalf("waits of up to %v, later of up to %v, after %s", early, late, describe(&all[i]))
			}
		}
	})
}

// asked is how often a policy is asked about failure i. A wait may have a jitter: the longest
// of many hardly changes by it. Of a few a policy is asked so often.
func asked(i int) int {
	if i%7 == 0 {
		return 50
	}
	return 0
}

// again asks n more times, and once at least, about a failure. The decision may not change. It
// gives the longest wait, if it asks so often that it means something.
func (k *kit) again(p core.RetryPolicy, f core.Failure, first core.Decision, n int) (longest time.Duration) {
	for range max(n, 1) {
		own := f
		d := p.Next(&own)
		if d.Retry != first.Retry || d.Reroute != first.Reroute || d.Restore != first.Restore {
			k.fatalf("%+v, later %+v, after %s", first, d, describe(&f))
		}
		longest = max(longest, d.After)
	}
	if n == 0 {
		return 0
	}
	return longest
}

func failureStays(k *kit, s retrySubject) {
	p := s.policy(k)
	k.do(func() {
		for _, f := range failures() {
			before, m := f, clone(f.Message)
			p.Next(&f)
			if diff := changed(m, f.Message); diff != "" {
				k.fatalf("%s", diff)
			}
			if !reflect.DeepEqual(f, before) {
				k.fatalf("the failure %+v became %+v", before, f)
			}
		}
	})
}

func askAtOnce(k *kit, s retrySubject) {
	if k.seen.known["R4"] {
		k.skipf("its decisions change by themselves: it breaks R4")
	}
	p := s.policy(k)
	var want []core.Decision
	k.ask(p, func(_ *core.Failure, d core.Decision) { want = append(want, d) })
	k.parallel(8, func(int) {
		for i, f := range failures() {
			d := p.Next(&f)
			if k.isBroken() {
				return
			}
			if d.Retry != want[i].Retry || d.Reroute != want[i].Reroute {
				k.fatalf("%+v, at the same time as others %+v, after %s", want[i], d, describe(&f))
			}
		}
	})
}

func safeOnly(k *kit, s retrySubject) {
	if !s.SafeOnly {
		k.skipf("the options do not say SafeOnly")
	}
	s.notRetried(k, func(f *core.Failure) bool { return !f.Certainty.Safe() })
}

func notRestored(k *kit, s retrySubject) {
	if s.RestoresWeak {
		k.skipf("the options say RestoresWeak")
	}
	s.notRetried(k, func(f *core.Failure) bool { return f.Err == nil })
}

func (s retrySubject) start(k *kit) (*world, *watchedPolicy) {
	p := s.policy(k)
	return k.start(queues(2, "a", "b", "c"), core.Config{Retry: p}), p
}

// retryStorm asks a policy about everything, alone and in a producer.
func retryStorm(k *kit, s retrySubject) {
	w, p := s.start(k)
	k.ask(p, func(*core.Failure, core.Decision) {})
	for e := range ends {
		w.allEnd(e)
		for by := range modes {
			w.sends(1, by, message("T"))
			w.sendsTo(1, by, "T", "a")
		}
	}
	w.happens(anyEnd)
	k.parallel(8, func(i int) {
		for j := range 20 {
			_ = w.send(mode((i+j)%int(modes)), message("T"))
		}
	})
}

func retryKeepsNothing(k *kit, s retrySubject) {
	k.keeps(func() (*world, any) {
		w, p := s.start(k)
		w.allEnd(rejected) // one attempt for each call of most policies
		return w, p
	}, func() *core.Message { return message("T") })
}

func retryStartsNothing(k *kit, s retrySubject) {
	p := s.policy(k)
	f := failures()[0]
	k.starts(func(n int) {
		k.do(func() {
			for range n {
				own := f
				p.Next(&own)
			}
		})
	})
}
