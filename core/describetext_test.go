package core_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// talking is a retry policy, a step of both scopes and a budget, with words about itself.
type talking struct{ onion }

func (*talking) InterceptAttempt(ctx context.Context, a *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	return next(ctx, a)
}
func (*talking) Next(*core.Failure) core.Decision { return core.Decision{} }
func (*talking) Withdraw(*core.Failure) bool      { return true }
func (*talking) Deposit()                         {}
func (*talking) Describe() core.Description {
	return core.Description{Summary: "does three things", Settings: []core.Setting{
		{Name: "first", Value: "short"},
		{Name: "second one", Value: strings.Repeat("a long text ", 12) + "that goes on below itself"},
	}}
}

type talkingEar struct{ ear }

func (talkingEar) Describe() core.Description {
	return core.Description{Summary: "counts", Settings: []core.Setting{{Name: "what", Value: "calls"}}}
}

// talkingLimit is a step that is a health view too.
type talkingLimit struct{ core.AttemptInterceptorFunc }

func (*talkingLimit) Health(core.Broker) core.Health { return core.HealthGood }
func (*talkingLimit) Describe() core.Description {
	return core.Description{Summary: "limits", Settings: []core.Setting{{Name: "at most", Value: "3"}}}
}

// What is there twice is described once, long texts go on below themselves, and a pipeline
// without a producer has steps alone.
func TestTextOfAPipeline(t *testing.T) {
	part, described := &talking{}, &talkingLimit{}
	cfg := coretest.Config(&coretest.Transport{}, core.CallStep("three.things", core.StageGuard, part).WithAttempt(core.AttemptGuard, part),
		core.ListenerStep("counter", talkingEar{}), core.ListenerStep("silent", ear{}))
	cfg.Retry, cfg.Budget = part, part
	cfg.Policies = &core.PolicyTable{
		Default: &core.Policy{Name: "default"},
		ByTopic: map[string]*core.Policy{"A": {Name: "quick", Timeout: time.Second}, "B": {Name: "as default"}},
		ByPrefix: map[string]*core.Policy{"limited-": {
			Name: "limited", Without: []string{"silent"}, Require: []string{"counter", "three.things"}, Health: described,
			Steps: []core.Step{core.AttemptStep("own.limit", core.AttemptProtect, described), core.ListenerStep("counter", talkingEar{})},
		}},
	}
	cfg.Handlers = map[core.ServerRequestKind]core.ServerRequestHandler{
		core.RequestReply: core.ServerRequestHandlerFunc(func(context.Context, *core.ServerRequest) {}),
	}
	cfg.MaxInFlightBytes = 1000
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "text.txt", p.Pipeline().String())

	bare, err := core.Resolve(core.Order{}, cfg.Steps...)
	if err != nil {
		t.Fatal(err)
	}
	steps, _, _ := strings.Cut(p.Pipeline().String(), "\n\n")
	if got := bare.String(); got != strings.Replace(steps, "     *coretest.Transport", "", 1)+"\n" {
		t.Errorf("without a producer:\n%s", got)
	}
	if bare.Transport() != nil || bare.Limits() != nil || len(bare.Policies()) > 0 {
		t.Errorf("without a producer there are %v, %v, %v", bare.Transport(), bare.Limits(), bare.Policies())
	}
	if text, err := json.Marshal(bare); err != nil || strings.Contains(string(text), "limits") || !strings.Contains(string(text), `"name":"three.things"`) {
		t.Errorf("as JSON: %s, %v", text, err)
	}
}

func TestPipelineAsJSON(t *testing.T) {
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}, core.ListenerStep("ear", ear{})))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p.Pipeline())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Steps     []core.PlacedStep
		Transport core.Description
		Limits    []core.Setting
		Policies  []core.PolicyDescription
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Steps[0].Name != "ear" || got.Steps[0].Description.Summary != "core_test.ear" || got.Transport.Summary != "*coretest.Transport" || len(got.Limits) != 6 ||
		got.Policies[0].Timeout != "3s" || got.Policies[0].AttemptTimeout != "1s" || got.Policies[0].Failures[0].Class != core.ClassTimeout {
		t.Errorf("got %+v", got)
	}
}
