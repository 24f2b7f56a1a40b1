package retry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

func TestDescriptions(t *testing.T) {
	given := core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{} })
	for _, tt := range []struct {
		part any
		want string
	}{
		{retry.AtLeastOnce(), "at least once (retries 2, retries of a busy broker 10, pause random up to 10ms doubling to 500ms, stored twice possible after an attempt without an answer)"},
		{retry.Safe(), "safe (retries 2, retries of a busy broker 10, pause random up to 10ms doubling to 500ms, stored twice never)"},
		{
			retry.AtLeastOnce(retry.Retries(5), retry.Busy(1), retry.Pause(retry.Exponential(20*ms, 5*ms, 1)), retry.Codes(rocketmq.CodeTransactionFailed, 4711), retry.RestoreWeak()),
			"at least once (retries 5, retries of a busy broker 1, pause random up to 20ms, stored twice possible after an attempt without an answer, also retries TRANSACTION_FAILED CODE_4711, weaker status stored once more at another broker)",
		},
		{retry.Safe(retry.RestoreWeak(), retry.Pause(retry.Exponential(-1, -1, 1)), retry.SameQueue()), "safe (retries 2, retries of a busy broker 10, pause random up to 0s, stored twice never, queue the same again)"},
		{
			retry.Java5(retry.Retries(1), retry.Codes(rocketmq.CodeFlowControl), retry.RestoreWeak()),
			"as the Java producer of 5.x (retries 1, pause none, stored twice possible after an attempt without an answer, retried answers TOPIC_NOT_EXIST SERVICE_NOT_AVAILABLE SYSTEM_ERROR NO_PERMISSION NO_BUYER_ID NOT_IN_CURRENT_UNIT SYSTEM_BUSY GO_AWAY FLOW_CONTROL in sync sends, weaker status stored once more at another broker)",
		},
		{retry.WithBackoff(given, retry.Exponential(ms, ms, 7)), "core.RetryPolicyFunc (pause if longer random up to 1ms)"},
		{retry.WithBackoff(given, retry.Exponential(ms, time.Second, 0)), "core.RetryPolicyFunc (pause if longer 1ms doubling to 1s)"},
		{retry.WithBackoff(given, retry.Exponential(ms, time.Second, 0.5)), "core.RetryPolicyFunc (pause if longer 1ms doubling to 1s with 0.5 of it random)"},
		{retry.WithBackoff(given, retry.Decorrelated(ms, time.Second)), "core.RetryPolicyFunc (pause if longer random from 1ms to three times the last pause and at most 1s)"},
		{retry.WithBackoff(given, own(ms)), "core.RetryPolicyFunc (pause if longer retry_test.own)"},
		{retry.Limit(given, map[core.Class]int{core.ClassTimeout: 1, core.ClassBusy: -4}), "core.RetryPolicyFunc (most retries by class of the last failure busy:0 timeout:1)"},
		{retry.Limit(given, nil), "core.RetryPolicyFunc"},
		{retry.None(), "none: one attempt"},
		{newBudget(t, 0.25, 7), "token bucket (retries for each call that succeeds 0.25, burst 7, burst in an outage 7)"},
		{newBudget(t, 0.1, 4096), "token bucket (retries for each call that succeeds 0.1, burst 4096, burst in an outage 1500)"},
	} {
		if got := core.Describe(tt.part).String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// A description of a policy with a back-off is a copy: describing twice gives the same.
func TestDescribingChangesNothing(t *testing.T) {
	p := retry.WithBackoff(retry.WithBackoff(retry.Safe(), own(ms)), own(2*ms))
	first := core.Describe(p).String()
	if again := core.Describe(p).String(); again != first || strings.Count(first, "pause if longer") != 2 {
		t.Errorf("first %s, then %s", first, again)
	}
}

// shared describes itself with a list that has room for more.
type shared struct{ list []core.Setting }

func (shared) Next(*core.Failure) core.Decision { return core.Decision{} }
func (s shared) Describe() core.Description     { return core.Description{Settings: s.list} }

func TestDescriptionsShareNothing(t *testing.T) {
	inner := shared{make([]core.Setting, 1, 8)}
	first := core.Describe(retry.WithBackoff(inner, retry.Exponential(ms, ms, 0))).Settings
	second := core.Describe(retry.WithBackoff(inner, retry.Exponential(2*ms, 2*ms, 0))).Settings
	if first[1] == second[1] {
		t.Errorf("both say %v", first[1])
	}
}

// What is described is what happens: the forecasts of core ask the policy itself.
func TestForecasts(t *testing.T) {
	for name, tt := range map[string]struct {
		policy core.RetryPolicy
		hung   int // attempts
		busy   int
	}{
		"default":  {retry.AtLeastOnce(), 2, 11}, // the second attempt takes what is left of the time
		"safe":     {retry.Safe(), 1, 11},
		"stated":   {retry.Safe(retry.Retries(2)), 1, 3},
		"java 5":   {retry.Java5(), 2, 3},
		"java 4.9": {retry.Java49(), 2, 1},
	} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Retry = tt.policy
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Pipeline().Policies()[0].Failures {
			want, asked := map[core.Class]int{core.ClassTimeout: tt.hung, core.ClassBusy: tt.busy}[f.Class]
			if asked && f.Attempts != want {
				t.Errorf("%s: %s: %d attempts, want %d", name, f.Name, f.Attempts, want)
			}
		}
	}
}

// A policy that is made of nil is nil itself, and a producer says so by the field's name,
// also where a policy's nil field would mean the default.
func TestNilIsRefused(t *testing.T) {
	for name, p := range map[string]core.RetryPolicy{
		"option of AtLeastOnce":     retry.AtLeastOnce(retry.Retries(1), nil),
		"option of Safe":            retry.Safe(nil),
		"option of Java5":           retry.Java5(nil),
		"option of Java49":          retry.Java49(nil),
		"inner policy":              retry.WithBackoff(nil, own(1)),
		"inner function":            retry.WithBackoff(core.RetryPolicyFunc(nil), own(1)),
		"option of an inner policy": retry.WithBackoff(retry.Safe(nil), own(1)),
		"back-off":                  retry.WithBackoff(retry.Safe(), nil),
		"back-off of an option":     retry.Safe(retry.Pause(nil)),
		"limited policy":            retry.Limit(nil, map[core.Class]int{core.ClassBusy: 1}),
	} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "orders", Retry: p}}
		if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), `policy "orders": Retry is nil`) {
			t.Errorf("nil %s: %v", name, err)
		}
		_, err := coretest.Start(t, coretest.Config(&coretest.Transport{})).Send(t.Context(), coretest.Message("x"), core.SendRetry(p))
		if err == nil || !strings.Contains(err.Error(), "SendRetry: the policy is nil") {
			t.Errorf("nil %s: a send with it: %v", name, err)
		}
	}
}
