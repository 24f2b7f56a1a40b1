package core_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// described is every strategy, a transport and a listener, with words about itself.
type described struct {
	core.SelectorFactory
	core.RetryPolicy
	broke
	coretest.Transport
	core.Description
}

// describedStep is such a step.
type describedStep struct {
	passing
	*described
}

func (d *described) Describe() core.Description       { return d.Description }
func (d *described) Health(core.Broker) core.Health   { return core.HealthGood }
func (d *described) StateChanged(*core.StateReport)   {}
func (d *described) RouteChanged(r *core.RouteReport) {}

func words(summary string, settings ...string) *described {
	d := &described{SelectorFactory: coretest.InOrder(), RetryPolicy: coretest.NoRetry(), Description: core.Description{Summary: summary}}
	for i := 0; i < len(settings); i += 2 {
		d.Settings = append(d.Settings, core.Setting{Name: settings[i], Value: settings[i+1]})
	}
	return d
}

type shy struct{ ring }

func (*shy) Describe() core.Description { panic("not a word") }

func TestDescribe(t *testing.T) {
	var nobody *described
	for _, tt := range []struct {
		name string
		part any
		want string
	}{
		{"summary", words("round-robin"), "round-robin"},
		{"settings", words("breaker", "opens after", "5 failures", "closed", "", "tries again after", "30s"), "breaker (opens after 5 failures, closed, tries again after 30s)"},
		{"nothing to say", onion{}, "core_test.onion"},
		{"panic", &shy{}, "*core_test.shy"},
		{"typed nil", nobody, "*core_test.described"},
		{"nil", nil, "<nil>"},
	} {
		if got := core.Describe(tt.part).String(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// describedConfig has two policies and a step of each kind.
func describedConfig() core.Config {
	both := &describedStep{described: words("traces", "exporter", "none")}
	cfg := coretest.Config(&wrap{Transport: &coretest.Transport{}, within: words("scripted transport", "brokers", "2")},
		core.CallStep("trace", core.StageObserve, both).WithAttempt(core.AttemptObserve, both),
		core.CallStep("silent", core.StageGuard, onion{}),
		core.AttemptStep("shy", core.AttemptGuard, &shy{}),
		core.ListenerStep("listen", words("hears states")),
	)
	cfg.Selector, cfg.Retry = words("first queue"), words("no retry")
	cfg.Policies = &core.PolicyTable{
		Default: &core.Policy{Name: "default"},
		ByTopic: map[string]*core.Policy{"Payments": {
			Name: "payments", Timeout: 10 * time.Second, AttemptTimeout: 4 * time.Second, Selector: words("by key", "partitions", "8"),
			Retry:  describedRetry{safely, words("safe", "attempts", "3")},
			Budget: words("a tenth", "reserve", "10"), Health: words("by latency"),
		}},
	}
	return cfg
}

type describedRetry struct {
	core.RetryPolicy
	*described
}

func (d describedRetry) Next(f *core.Failure) core.Decision { return d.RetryPolicy.Next(f) }

func TestPipelineOfAProducer(t *testing.T) {
	p, err := core.NewProducer(describedConfig())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "producer.txt", p.Pipeline().String())

	want := []core.PlacedStep{
		{Name: "trace", Scope: "call", Stage: "observe", Description: words("traces", "exporter", "none").Description},
		{Name: "silent", Scope: "call", Stage: "guard", Description: core.Description{Summary: "core_test.onion"}},
		{Name: "trace", Scope: "attempt", Stage: "observe", Description: words("traces", "exporter", "none").Description},
		{Name: "shy", Scope: "attempt", Stage: "guard", Description: core.Description{Summary: "*core_test.shy"}},
		{Name: "listen", Scope: "listener", Events: []string{"route", "state"}, Description: words("hears states").Description},
		{Name: "trace", Scope: "listener", Events: []string{"route", "state"}, Description: words("traces", "exporter", "none").Description},
	}
	if got := p.Pipeline().Steps(); !reflect.DeepEqual(got, want) {
		t.Errorf("steps %+v\nwant %+v", got, want)
	}
	policies := p.Pipeline().Policies()
	text, err := json.Marshal(policies)
	if err != nil {
		t.Fatal(err)
	}
	var back []core.PolicyDescription
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, policies) {
		t.Errorf("%v from JSON: %+v\nwant %+v", err, back, policies)
	}
	if err := p.SetPolicies(t.Context(), &core.PolicyTable{Default: &core.Policy{Name: "new"}}); err != nil {
		t.Fatal(err)
	}
	if d := p.Pipeline().Policies(); len(d) != 1 || d[0].Name != "new" || d[0].Topics != "every topic" {
		t.Errorf("after the change: %+v", d)
	}
	if got := len(must(core.Resolve(core.Order{})).Policies()); got != 0 {
		t.Errorf("a pipeline of no producer has %d policies", got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What a policy does under each kind of failure is what it decides when it is asked.
func TestForecasts(t *testing.T) {
	paused := func(after int) core.RetryPolicy {
		return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			d := core.Decision{Retry: f.Attempt < 4}
			if f.Attempt > after {
				d.After = time.Second
			}
			return d
		})
	}
	// These failures leave the message surely unstored, the others do not.
	safe := []string{"broker cannot be reached", "broker is busy", "broker is unavailable", "broker refuses", "no permission", "wrong credentials", "route is outdated"}
	for _, tt := range []struct {
		name  string
		retry core.RetryPolicy
		safe  string
		other string
	}{
		{"never", coretest.NoRetry(), "1 attempt, no retry", "1 attempt, no retry"},
		{"panics", core.RetryPolicyFunc(func(*core.Failure) core.Decision { panic("boom") }), "1 attempt, no retry", "1 attempt, no retry"},
		{"always", core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true} }), "attempts until the call's time ends, at the other broker first, at once", ""},
		{"always, paused", core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true, After: time.Second} }), "attempts until the call's time ends, at the other broker first, each after a pause", ""},
		{"two", coretest.Retry(2), "up to 2 attempts, at the other broker, at once", ""},
		{"three", coretest.Retry(3), "up to 3 attempts, at the other broker first, at once", ""},
		{"32", coretest.Retry(32), "up to 32 attempts, at the other broker first, at once", ""},
		{"33", coretest.Retry(33), "attempts until the call's time ends, at the other broker first, at once", ""},
		{"the same queue", patiently, "up to 3 attempts, none at another broker, at once", ""},
		{"paused", paused(0), "up to 4 attempts, at the other broker first, each after a pause", ""},
		{"paused later", paused(2), "up to 4 attempts, at the other broker first, 1 of them after a pause", ""},
		{"only elsewhere", core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Untried > 0} }), "up to 2 attempts, at the other broker, at once", ""},
		{"only not stored", safely, "up to 3 attempts, at the other broker first, at once", "1 attempt, no retry"},
		{"only answered", core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Answered && f.Attempt == 1}
		}), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := coretest.Config(&coretest.Transport{})
			cfg.Retry = tt.retry
			forecasts := must(core.NewProducer(cfg)).Pipeline().Policies()[0].Failures
			if len(forecasts) != 9 {
				t.Fatalf("%d kinds of failures", len(forecasts))
			}
			for _, f := range forecasts {
				want := tt.other
				if want == "" || slices.Contains(safe, f.Name) {
					want = tt.safe
				}
				if want == "" { // by who says so
					want = "up to 2 attempts, at the other broker, at once"
					if f.Class == core.ClassNetwork || f.Class == core.ClassTimeout {
						want = "1 attempt, no retry"
					}
				}
				want += "; then the error says " + f.Certainty.String()
				if got := f.String(); got != want {
					t.Errorf("%s: %q\nwant %q", f.Name, got, want)
				}
				if f.Certainty.Safe() != slices.Contains(safe, f.Name) {
					t.Errorf("%s: %v", f.Name, f.Certainty)
				}
			}
		})
	}
}

// The pipeline is logged when the producer starts, whatever its parts say of themselves.
func TestStartLogsThePipeline(t *testing.T) {
	logs := &logLines{}
	cfg := describedConfig()
	cfg.Logger = logs.logger()
	p := must(core.NewProducer(cfg))
	if err := p.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if logs.count("producer pipeline") != 1 || logs.count("scripted transport") != 1 {
		t.Errorf("logged %s", strings.TrimSpace(logs.buf.String()))
	}
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
