package strategytest

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
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
	// Skip gives the reason why a rule is not checked, by its number.
	Skip map[string]string
}

// TestRetryPolicy checks a retry policy against the rules R1 to R8. The
// function makes a fresh policy for each rule.
func TestRetryPolicy(t *testing.T, newPolicy func() core.RetryPolicy, opts RetryOptions) {
	t.Helper()
	if opts.MaxAttempts == 0 {
		opts.MaxAttempts = 100
	}
	run(t, retryRules, retrySubject{newPolicy, opts}, opts.Skip)
}

type retrySubject struct {
	policy func() core.RetryPolicy
	opts   RetryOptions
}

var retryRules = []rule[retrySubject]{
	{"R1", "every call comes to an end", func(t coretest.TB, s retrySubject) {
		p := s.policy()
		for _, f := range failures() {
			n := 1
			for ; n < s.opts.MaxAttempts && retries(p, f, n); n++ {
			}
			if retries(p, f, n) {
				t.Fatalf("after %d attempts it goes on with %s", n, describe(&f))
			}
		}
	}},
	{"R2", "what cannot succeed is not retried", func(t coretest.TB, s retrySubject) {
		notRetried(t, s.policy(), hopeless)
	}},
	{"R3", "a decision to give up has no wait, and no wait is negative", func(t coretest.TB, s retrySubject) {
		p := s.policy()
		told := map[string]bool{}
		for _, f := range failures() {
			d := p.Next(&f)
			if what := describe(&f); !told[what] && (d.After < 0 || !d.Retry && d.After != 0) {
				told[what] = true
				t.Errorf("%+v after %s", d, what)
			}
		}
	}},
	{"R4", "the decision depends on the failure alone", func(t coretest.TB, s retrySubject) {
		p := s.policy()
		all := failures()
		first := make([]core.Decision, len(all))
		for i := range all {
			first[i] = p.Next(&all[i])
		}
		for i := len(all) - 1; i >= 0; i-- { // another order, as other calls come in between
			// The wait may have a jitter.
			if d := p.Next(&all[i]); d.Retry != first[i].Retry || d.Reroute != first[i].Reroute {
				t.Fatalf("%+v, later %+v, after %s", first[i], d, describe(&all[i]))
			}
		}
	}},
	{"R5", "the failure and the message stay as they are", func(t coretest.TB, s retrySubject) {
		p := s.policy()
		for _, f := range failures() {
			before, m := f, clone(f.Message)
			p.Next(&f)
			if !reflect.DeepEqual(f.Message, m) {
				t.Fatalf("the message %+v became %+v", *m, *f.Message)
			}
			if !reflect.DeepEqual(f, before) {
				t.Fatalf("the failure %+v became %+v", before, f)
			}
		}
	}},
	{"R6", "many goroutines may ask at once", func(t coretest.TB, s retrySubject) {
		p := s.policy()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				defer noPanic(t)
				for _, f := range failures() {
					p.Next(&f)
				}
			})
		}
		wg.Wait()
	}},
	{"R7", "with SafeOnly, what may be stored is not retried", func(t coretest.TB, s retrySubject) {
		if !s.opts.SafeOnly {
			return
		}
		notRetried(t, s.policy(), func(f *core.Failure) bool { return !f.Certainty.Safe() })
	}},
	{"R8", "what is stored with a weaker status is not sent again", func(t coretest.TB, s retrySubject) {
		if s.opts.RestoresWeak {
			return
		}
		notRetried(t, s.policy(), func(f *core.Failure) bool { return f.Err == nil })
	}},
}

// retries asks about the nth failure of a call like f, at the time and with the
// brokers that are left by then. The policy gets a failure of its own, as it may do
// with it what R5 finds.
func retries(p core.RetryPolicy, f core.Failure, n int) bool {
	const each = 100 * time.Millisecond
	f.Untried = max(f.Untried-(n-f.Attempt), 0)
	f.Elapsed = f.Elapsed + time.Duration(n)*each
	f.Remaining = max(f.Remaining-time.Duration(n)*each, each)
	f.Attempt, f.Message = n, clone(f.Message)
	return p.Next(&f).Retry
}

// notRetried reports, once each, the failures of a kind that the policy retries.
func notRetried(t coretest.TB, p core.RetryPolicy, kind func(*core.Failure) bool) {
	told := map[string]bool{}
	for _, f := range failures() {
		d := p.Next(&f)
		retried := d.Retry && (f.Err != nil || d.Restore)
		if what := describe(&f); kind(&f) && !told[what] && retried {
			told[what] = true
			t.Errorf("it retries %s", what)
		}
	}
}

// hopeless is what no other attempt can help, and what the producer asks about:
// the message or the credentials are refused for good. A hook's veto is not one:
// it may be about one queue or broker.
func hopeless(f *core.Failure) bool {
	return f.Class == core.ClassRejected || f.Class == core.ClassAuth
}

func describe(f *core.Failure) string {
	if f.Err == nil {
		return "no error, status " + f.Status.String()
	}
	return f.Class.String() + ", " + f.Certainty.String() + ": " + f.Err.Error()
}

// weak stands among the errors for a message that is stored with this status.
type weak core.SendStatus

func (w weak) Error() string { return core.SendStatus(w).String() }

// lost stands among the errors for a failure of which nothing is known.
type lost struct{}

func (lost) Error() string          { return "it is not known what became of it" }
func (lost) ErrorClass() core.Class { return core.ClassNetwork }

// failures are failures of every kind, in each mode, early and late.
func failures() []core.Failure {
	const addr = "10.0.0.1:10911"
	errs := []error{
		core.ErrConnect, core.ErrConnectionLost, core.ErrTimeout, core.ErrForbidden, core.ErrInvalidMessage,
		core.ErrNoRoute, core.ErrCircuitOpen, core.ErrTooManyInFlight, core.ErrClosed, core.ErrAborted,
		core.ErrContract, &core.PanicError{Step: "x", Value: "y"}, errors.New("something else"),
		weak(core.FlushDiskTimeout), weak(core.FlushSlaveTimeout), weak(core.SlaveNotAvailable),
		refusal.Of(rocketmq.CodeNoPermission, "check signature failed", addr),
		refusal.Of(rocketmq.CodeSystemError, "create mapped file failed", addr),
		lost{},
	}
	for _, code := range []rocketmq.ResponseCode{1, 2, 3, 4, 13, 14, 15, 16, 17, 26, 29, 204, 205, 211, 215, 501, 604, 1500, 2017, 4711} {
		errs = append(errs, refusal.Of(code, "", addr))
	}
	// Answers in a protocol without codes.
	for _, class := range []core.Class{core.ClassRejected, core.ClassAuth, core.ClassBusy, core.ClassUnavailable, core.ClassBroker} {
		errs = append(errs, &core.BrokerError{Class: class, Certainty: core.NotStored, Addr: addr}, &core.BrokerError{Class: class, Addr: addr})
	}
	var all []core.Failure
	for _, err := range errs {
		for _, mode := range []core.Mode{core.Sync, core.Async, core.Oneway} {
			for _, attempt := range []int{1, 2, 7} {
				f := core.Failure{
					Attempt: attempt, Err: err, Class: core.ClassOf(err), Certainty: core.NotSent, Mode: mode,
					Message: message(), Elapsed: 10 * time.Millisecond, Remaining: time.Second, Untried: 2 - attempt%3,
				}
				var be *core.BrokerError
				var status weak
				switch {
				case errors.As(err, &status):
					f.Err, f.Class = nil, core.ClassNone
					f.Status, f.Certainty = core.SendStatus(status), core.Stored
				case errors.As(err, &be):
					f.Code, f.Answered, f.Certainty = be.Code, true, be.Certainty
					if f.Certainty == core.CertaintyUnknown {
						f.Certainty = core.MaybeStored // what the engine makes of it
					}
				case errors.As(err, &lost{}):
					f.Certainty = core.CertaintyUnknown
				case errors.Is(err, core.ErrConnectionLost), errors.Is(err, core.ErrTimeout):
					f.Certainty = core.MaybeStored
				}
				all = append(all, f)
				f.Consistent = true
				all = append(all, f)
			}
		}
	}
	return all
}
