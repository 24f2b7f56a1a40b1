package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
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

// What a policy does under each kind of failure is what it decides when it is asked: how many
// attempts there are, whether they go elsewhere and come after a pause.
func TestForecasts(t *testing.T) {
	paused := func(after int) core.RetryPolicy {
		return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			d := core.Decision{Retry: f.Attempt < 4}
			if f.Attempt > after {
				d.After = time.Millisecond
			}
			return d
		})
	}
	for _, tt := range []struct {
		name  string
		retry core.RetryPolicy
		// What holds for a busy broker and for a lost connection.
		busy, lost string
	}{
		{"never", coretest.NoRetry(), "1", "1"},
		{"panics", core.RetryPolicyFunc(func(*core.Failure) core.Decision { panic("boom") }), "1", "1"},
		{"always", core.RetryPolicyFunc(func(*core.Failure) core.Decision { return core.Decision{Retry: true} }), "32+ elsewhere 1, any 30", ""},
		{"two", coretest.Retry(2), "2 elsewhere 1", ""},
		{"three", coretest.Retry(3), "3 elsewhere 1, any 1", ""},
		{"32", coretest.Retry(32), "32 elsewhere 1, any 30", ""},
		{"33", coretest.Retry(33), "32+ elsewhere 1, any 30", ""},
		{"the same queue", patiently, "3 same 2", ""},
		{"paused", paused(0), "4 elsewhere 1 paused, any 2 paused", ""},
		{"paused later", paused(2), "4 elsewhere 1, any 1, any 1 paused", ""},
		{"only elsewhere", core.RetryPolicyFunc(func(f *core.Failure) core.Decision { return core.Decision{Retry: f.Untried > 0} }), "2 elsewhere 1", ""},
		{"only not stored", safely, "3 elsewhere 1, any 1", "1"},
		{"only answered", core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Answered && f.Attempt == 1}
		}), "2 elsewhere 1", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := coretest.Config(&coretest.Transport{})
			cfg.Retry = tt.retry
			got := map[string]string{}
			for _, f := range must(core.NewProducer(cfg)).Pipeline().Policies()[0].Failures {
				got[f.Name] = outline(f)
				if f.String() == "" || f.Class == core.ClassNone || f.Certainty == core.CertaintyUnknown {
					t.Errorf("%+v", f)
				}
			}
			if tt.lost == "" {
				tt.lost = tt.busy
			}
			if got["broker is busy"] != tt.busy || got["connection lost"] != tt.lost || len(got) != 10 {
				t.Errorf("busy %q, lost %q of %d", got["broker is busy"], got["connection lost"], len(got))
			}
		})
	}
}

// outline is a forecast in short: its attempts, + if there are more, and its retries.
func outline(f core.FailureForecast) string {
	s := fmt.Sprint(f.Attempts)
	if f.More {
		s += "+"
	}
	for i, r := range f.Retries {
		where := "any"
		switch {
		case r.Same:
			where = "same"
		case r.Untried:
			where = "elsewhere"
		}
		sep := ", "
		if i == 0 {
			sep = " "
		}
		s += fmt.Sprintf("%s%s %d", sep, where, r.Count)
		if r.Paused {
			s += " paused"
		}
	}
	return s
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
