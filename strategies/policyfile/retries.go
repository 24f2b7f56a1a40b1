package policyfile

import (
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// The most that a file can ask of a retry policy. The engine makes 1,000 attempts.
const (
	maxRetries = 1000
	maxPause   = time.Hour
	maxBurst   = 1_000_000_000
)

// retries is a policy with all options of package retry.
func retries(made func(...retry.Option) core.RetryPolicy) build[core.RetryPolicy] {
	return func(o *Options) (core.RetryPolicy, error) {
		opts := common(o)
		var busy int
		if o.Int("busy", &busy, 0, maxRetries); o.Has("busy") {
			opts = append(opts, retry.Busy(busy))
		}
		var pause retry.Backoff
		if o.Backoff("pause", &pause); pause != nil {
			opts = append(opts, retry.Pause(pause))
		}
		same := false
		if o.Bool("sameQueue", &same); same {
			opts = append(opts, retry.SameQueue())
		}
		return atMost(o, made(opts...)), nil
	}
}

// java is one of Java's policies, which have no pauses unless the file gives them one.
func java(made func(...retry.Option) core.RetryPolicy) build[core.RetryPolicy] {
	return func(o *Options) (core.RetryPolicy, error) {
		policy := made(common(o)...)
		var pause retry.Backoff
		if o.Backoff("pause", &pause); pause != nil {
			policy = retry.WithBackoff(policy, pause)
		}
		return atMost(o, policy), nil
	}
}

// common are the options that all policies have.
func common(o *Options) []retry.Option {
	var opts []retry.Option
	restore := false
	if o.Bool("restoreWeak", &restore); restore {
		opts = append(opts, retry.RestoreWeak())
	}
	var n int
	if o.Int("retries", &n, 0, maxRetries); o.Has("retries") {
		opts = append(opts, retry.Retries(n))
	}
	return opts
}

// atMost bounds a policy by classes of failure: "atMost: {timeout: 1, busy: 5}".
func atMost(o *Options, policy core.RetryPolicy) core.RetryPolicy {
	limits, most := o.Below("atMost"), map[core.Class]int{}
	for class := core.ClassNone + 1; ; class++ {
		name, err := class.MarshalText()
		if err != nil { // there are no more
			break
		}
		n := 0
		if limits.Int(string(name), &n, 0, maxRetries); limits.Has(string(name)) {
			most[class] = n
		}
	}
	if len(most) == 0 {
		return policy
	}
	return retry.Limit(policy, most)
}

func buildExponential(o *Options) (retry.Backoff, error) {
	from, to := pauses(o)
	jitter := 1.0
	o.Float("jitter", &jitter, 0, 1)
	return retry.Exponential(from, to, jitter), nil
}

func buildDecorrelated(o *Options) (retry.Backoff, error) {
	from, to := pauses(o)
	return retry.Decorrelated(from, to), nil
}

// pauses takes the first and the longest pause.
func pauses(o *Options) (from, to time.Duration) {
	from, to = retry.DefaultBase, retry.DefaultMax
	o.Duration("from", &from, 0, maxPause)
	o.Duration("to", &to, 0, maxPause)
	if from > to {
		o.Fail("to", fmt.Errorf("the longest pause, %v, is shorter than the first, %v", to, from))
	}
	return from, to
}
