package core_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// What a policy does under each kind of failure is what it decides when it is asked.
func TestFailureForecasts(t *testing.T) {
	always := func(d core.Decision) core.RetryPolicy {
		d.Retry = true
		return core.RetryPolicyFunc(func(*core.Failure) core.Decision { return d })
	}
	upTo := func(n, pausedFrom int) core.RetryPolicy {
		return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			d := core.Decision{Retry: f.Attempt < n}
			if f.Attempt >= pausedFrom {
				d.After = 10 * time.Millisecond
			}
			return d
		})
	}
	for _, tt := range []struct {
		name    string
		retry   core.RetryPolicy
		lost    string // connection lost
		refused string // message refused
		hangs   string // broker hangs
	}{
		{"never", coretest.NoRetry(), "after 1 attempt", "after 1 attempt", "after 1 attempt: 3s at one broker"},
		{
			"panics", core.RetryPolicyFunc(func(*core.Failure) core.Decision { panic("boom") }),
			"after 1 attempt", "after 1 attempt", "after 1 attempt: 3s at one broker",
		},
		{
			"always", always(core.Decision{}),
			"when the time is over: the other broker at once, more at either at once",
			"when the time is over: the other broker at once, more at either at once",
			"after 2 attempts: 1s at one broker, 2s at the other broker",
		},
		{
			"always, paused", always(core.Decision{After: time.Millisecond}),
			"when the time is over: the other broker, more at either; a pause before each",
			"when the time is over: the other broker, more at either; a pause before each",
			"after up to 2 attempts: 1s at one broker, 2s at the other broker after a pause",
		},
		{
			"always after too long a pause", always(core.Decision{After: 3 * time.Second}),
			"after 1 attempt", "after 1 attempt", "after 1 attempt: 1s at one broker",
		},
		{
			"same queue", always(core.Decision{Reroute: core.SameQueue}),
			"when the time is over: more at the same queue at once", "when the time is over: more at the same queue at once",
			"after 1 attempt: 3s at one broker",
		},
		{
			"any queue", always(core.Decision{Reroute: core.AnyQueue}),
			"when the time is over: more at either at once", "when the time is over: more at either at once",
			"after 3 attempts: 1s at one broker, 1s at either, 1s at either",
		},
		{
			"two", upTo(2, 9), "after 2 attempts: the other broker at once", "after 2 attempts: the other broker at once",
			"after 2 attempts: 1s at one broker, 2s at the other broker",
		},
		{
			"five, paused late", upTo(5, 2),
			"after up to 5 attempts: the other broker at once, 3 more at either, each after a pause",
			"after up to 5 attempts: the other broker at once, 3 more at either, each after a pause",
			"after 2 attempts: 1s at one broker, 2s at the other broker",
		},
		{
			"three, paused later", upTo(4, 3),
			"after up to 4 attempts: the other broker at once, 1 more at either at once, 1 more at either after a pause",
			"after up to 4 attempts: the other broker at once, 1 more at either at once, 1 more at either after a pause",
			"after 2 attempts: 1s at one broker, 2s at the other broker",
		},
		{
			"safe", core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
				return core.Decision{Retry: f.Certainty.Safe() && f.Attempt < 2, After: time.Millisecond}
			}),
			"after 1 attempt", "after up to 2 attempts: the other broker after a pause", "after 1 attempt: 3s at one broker",
		},
		{
			"only answered", core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Answered && f.Untried > 0} }),
			"after 1 attempt", "after 2 attempts: the other broker at once", "after 1 attempt: 3s at one broker",
		},
		{
			"while there is time", core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Elapsed < f.Remaining} }),
			"when the time is over: the other broker at once, more at either at once",
			"when the time is over: the other broker at once, more at either at once",
			"after 2 attempts: 1s at one broker, 2s at the other broker",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := forecasts(t, tt.retry)
			for name, want := range map[string]string{
				"connection lost": "network, maybe-stored " + tt.lost,
				"message refused": "rejected, not-stored " + tt.refused,
				"broker hangs":    "timeout, maybe-stored " + tt.hangs,
			} {
				if got[name].String() != want {
					t.Errorf("%s: got  %v\nwant %s", name, got[name], want)
				}
			}
		})
	}
}

func forecasts(t *testing.T, retry core.RetryPolicy) map[string]core.FailureForecast {
	t.Helper()
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Retry = retry
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]core.FailureForecast{}
	for _, f := range p.Pipeline().Policies()[0].Failures {
		out[f.Name] = f
	}
	return out
}

// A forecast's numbers, and their names in JSON.
func TestForecastAsJSON(t *testing.T) {
	busy := core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		d := core.Decision{Retry: f.Attempt < 4}
		if f.Untried == 0 {
			d.After = time.Millisecond
		}
		return d
	})
	for name, want := range map[string]string{
		"broker is busy": `{"name":"broker is busy","class":"busy","certainty":"not-stored","attempts":4,` +
			`"retries":[{"count":1,"untried":true,"paused":false},{"count":2,"untried":false,"paused":true}],"stop":"policy"}`,
		"broker hangs": `{"name":"broker hangs","class":"timeout","certainty":"maybe-stored","attempts":2,` +
			`"retries":[{"count":1,"untried":true,"paused":false}],"times":["1s","2s"],"stop":"time"}`,
	} {
		f := forecasts(t, busy)[name]
		text, err := json.Marshal(f)
		if err != nil || string(text) != want {
			t.Errorf("got  %s, %v\nwant %s", text, err, want)
		}
		var back core.FailureForecast
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, f) {
			t.Errorf("read back: %+v, %v", back, err)
		}
	}
}

// What a policy does may depend on the mode. A one-way call hears only of what happens before its
// message is written, and goes on only after what was certainly not sent.
func TestForecastsOfModes(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Attempt <= 1 && f.Mode != core.Async}
	})
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[core.Mode]map[string]string{
		core.Sync: {
			"broker hangs": "after 2 attempts: 1s at one broker, 2s at the other broker", "connection refused": "after 2 attempts: the other broker at once",
			"connection lost": "after 2 attempts: the other broker at once", "broker is busy": "after 2 attempts: the other broker at once",
		},
		core.Async: {
			"broker hangs": "after 1 attempt: 3s at one broker", "connection refused": "after 1 attempt", "connection lost": "after 1 attempt", "broker is busy": "after 1 attempt",
		},
		core.Oneway: {"connection refused": "after 2 attempts: the other broker at once", "connection lost": "after 1 attempt"},
	} {
		got := map[string]string{}
		for _, f := range p.Pipeline().PoliciesIn(mode)[0].Failures {
			got[f.Name] = f.Course()
			if (f.Stop == core.StopFinal) != (mode == core.Oneway && f.Name == "connection lost") {
				t.Errorf("%v: %s stops with %v", mode, f.Name, f.Stop)
			}
		}
		if mode == core.Oneway && len(got) != len(want) {
			t.Errorf("%v: got %v", mode, got)
		}
		for name, course := range want {
			if got[name] != course {
				t.Errorf("%v: %s: got %q, want %q", mode, name, got[name], course)
			}
		}
	}
}
