package core_test

import (
	"context"
	"encoding/json"
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
