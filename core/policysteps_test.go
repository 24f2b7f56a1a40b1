package core_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// marking is a step that writes down where it runs, around operations too, and listens.
type marking struct {
	name    string
	journal *journal
}

func (m *marking) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	m.journal.write(m.name)
	return next(ctx, c)
}

func (m *marking) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	m.journal.write(m.name)
	return next(ctx, op)
}

func (m *marking) CallDone(context.Context, *core.CallReport) { m.journal.write("told " + m.name) }
func (m *marking) StateChanged(r *core.StateReport)           { m.journal.write(m.name + " " + r.New.String()) }
func (m *marking) Drain()                                     { m.journal.write("drain " + m.name) }

// mark is a step named name in a stage, which writes as.
func (j *journal) mark(name string, stage core.Stage, as string) core.Step {
	return core.CallStep(name, stage, &marking{as, j})
}

// markAttempt is the same in attempt scope, where it does not listen.
func (j *journal) markAttempt(name string) core.Step {
	return core.AttemptStep(name, core.AttemptGuard, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			j.write(name)
			return next(ctx, at)
		}))
}

// A policy's steps run for its own calls alone, in the places that their stages give them; one
// takes the place of the producer's step of its name; one that the policy leaves out neither
// runs nor hears of its calls. Every step hears once of what belongs to no call.
func TestStepsOfPolicies(t *testing.T) {
	j := &journal{}
	limit, zip := j.mark("limit", core.StageGuard, "limit"), j.mark("pack", core.StageEncode, "zip")
	cfg := coretest.Config(&coretest.Transport{},
		j.mark("watch", core.StageObserve, "watch"), j.mark("pack", core.StageEncode, "pack"), j.markAttempt("ask"))
	cfg.Policies = &core.PolicyTable{
		Default: &core.Policy{Name: "rest"},
		ByTopic: map[string]*core.Policy{
			"More":    {Name: "more", Steps: []core.Step{limit, j.markAttempt("last")}, Require: []string{"limit", "watch", "ask"}},
			"Other":   {Name: "other", Steps: []core.Step{zip}, Require: []string{"pack"}},
			"Less":    {Name: "less", Without: []string{"watch", "pack", "ask"}},
			"Neither": {Name: "neither", Without: []string{"watch"}, Steps: []core.Step{zip, limit}},
		},
	}
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "start", "pack running, watch running, limit running, zip running")
	for _, tt := range []struct{ topic, call, recall, steps string }{
		{"Any", "watch, pack, ask, told pack, told watch", "watch, pack", "watch, pack / ask"},
		{"More", "watch, limit, pack, ask, last, told limit, told pack, told watch", "watch, limit, pack", "watch, limit, pack / ask, last"},
		{"Other", "watch, zip, ask, told zip, told watch", "watch, zip", "watch, pack / ask"},
		{"Less", "", "", " / "},
		{"Neither", "limit, zip, ask, told limit, told zip", "limit, zip", "limit, pack / ask"},
	} {
		if _, err := p.Send(t.Context(), &core.Message{Topic: tt.topic, Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		j.expect(t, "send to "+tt.topic, tt.call)
		if _, err := p.Recall(t.Context(), tt.topic, "x"); !errors.Is(err, core.ErrUnsupported) {
			t.Fatal(err)
		}
		j.expect(t, "recall in "+tt.topic, tt.recall)
		pipeline, err := p.PipelineFor(tt.topic)
		if err != nil {
			t.Fatal(err)
		}
		call, attempt := pipeline.Names()
		if got := strings.Join(call, ", ") + " / " + strings.Join(attempt, ", "); got != tt.steps {
			t.Errorf("the pipeline for %s has %s, want %s", tt.topic, got, tt.steps)
		}
		if got := len(pipeline.Policies()); got != 1 {
			t.Errorf("%d policies for %s", got, tt.topic)
		}
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "shutdown", "pack shut down, watch shut down, limit shut down, zip shut down, "+
		"drain pack, drain watch, drain limit, drain zip")
}

// What is wrong with a policy's steps is told with its name, beside all other mistakes.
func TestMistakesInStepsOfPolicies(t *testing.T) {
	j := &journal{}
	limit := j.mark("limit", core.StageGuard, "limit")
	for _, tt := range []struct {
		name   string
		policy core.Policy
		want   string
	}{
		{"left out twice over", core.Policy{Steps: []core.Step{j.mark("a", core.StageGuard, "")}, Without: []string{"a"}}, `policy "p": step "a" is both in Steps and in Without`},
		{"left out what is not there", core.Policy{Without: []string{"pcak"}}, `policy "p": Without names step "pcak", which the producer does not have; it has "a", "b"`},
		{"required", core.Policy{Require: []string{"acl"}}, `policy "p": requires step "acl", which is not in its pipeline; that has "a", "b"`},
		{"required and left out", core.Policy{Require: []string{"a"}, Without: []string{"a"}}, `policy "p": requires step "a", which is not in its pipeline; that has "b"`},
		{"all left out", core.Policy{Require: []string{"a"}, Without: []string{"a", "b"}}, `policy "p": requires step "a", which is not in its pipeline; that has no step`},
		{"twice", core.Policy{Steps: []core.Step{limit, limit}}, `policy "p": pipeline: step "limit": given more than once`},
		{"empty", core.Policy{Steps: []core.Step{{}}}, `policy "p": pipeline: step "": a name is dotted lower-case words`},
		{"neighbour left out", core.Policy{Without: []string{"a"}}, `policy "p": pipeline: step "b": neighbour "a" is unknown`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := j.mark("b", core.StageGuard, "b")
			if strings.HasPrefix(tt.name, "neighbour") {
				b = b.After("a")
			}
			cfg := coretest.Config(&coretest.Transport{}, j.mark("a", core.StageGuard, "a"), b)
			cfg.MaxWorkers = -1
			tt.policy.Name = "p"
			cfg.Policies = &core.PolicyTable{Default: &tt.policy}
			_, err := core.NewProducer(cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "MaxWorkers") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// An order of the producer's lists the steps of all its policies. Each pipeline leaves out what
// it does not have.
func TestOrderWithStepsOfPolicies(t *testing.T) {
	j := &journal{}
	table := &core.PolicyTable{Default: &core.Policy{Name: "rest"}, ByTopic: map[string]*core.Policy{
		"More": {Name: "more", Steps: []core.Step{j.mark("limit", core.StageGuard, "limit")}, Without: []string{"b"}},
	}}
	for _, tt := range []struct {
		name      string
		order     []string
		any, more string
		err       string
	}{
		{"whole", []string{"b", "limit", "a"}, "[b a]", "[limit a]", ""},
		{"a policy's is missing", []string{"b", "a"}, "", "", `policy "more": pipeline: step "limit": missing in the call order`},
		{"nobody's", []string{"b", "limti", "limit", "a"}, "", "", `step "limti": in the call order, but not a step of that scope`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := coretest.Config(&coretest.Transport{}, j.mark("a", core.StageObserve, "a"), j.mark("b", core.StageEncode, "b"))
			cfg.Policies, cfg.Order = table, core.Order{Call: tt.order}
			p, err := core.NewProducer(cfg)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for topic, want := range map[string]string{"Any": tt.any, "More": tt.more} {
				pipeline, err := p.PipelineFor(topic)
				if err != nil {
					t.Fatal(err)
				}
				if call, _ := pipeline.Names(); fmt.Sprint(call) != want {
					t.Errorf("%s: %v, want %s", topic, call, want)
				}
			}
		})
	}
}

// A step of a policy that is a service lives as long as a policy has it, and drains if it is
// there when the producer shuts down.
func TestServicesAmongStepsOfPolicies(t *testing.T) {
	j := &journal{}
	type service struct {
		*marking
		*unit
	}
	source := func(name string) core.PolicySource {
		s := &service{&marking{name, j}, &unit{name: name, journal: j}}
		return &core.PolicyTable{Default: &core.Policy{Name: name, Steps: []core.Step{core.CallStep("x", core.StageGuard, s)}}}
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = source("one")
	p, err := core.NewProducer(cfg)
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	j.expect(t, "start", "start one, one running")
	if err := p.SetPolicies(t.Context(), source("two")); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		j.mu.Lock()
		n := len(j.lines)
		j.mu.Unlock()
		if n == 2 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("the first policy's step is not shut down")
		}
	}
	j.expect(t, "replaced", "start two, stop one")
	if err := p.SetPolicies(t.Context(), &core.PolicyTable{Default: &core.Policy{Name: "p", Require: []string{"x"}}}); err == nil {
		t.Error("policies without a step that they require are taken")
	}
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "send", "two, told two")
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "shutdown", "two shut down, drain two, stop two")
}

// The rules of next hold in a policy's chain as they do in the producer's, and name its steps.
func TestRulesOfNextInStepsOfPolicies(t *testing.T) {
	twice := core.AttemptStep("twice", core.AttemptGuard, core.AttemptInterceptorFunc(
		func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			_, _ = next(ctx, at)
			return next(ctx, at)
		}))
	needs := core.CallStep("needs", core.StageGuard, &needing{core.InterceptorFunc(pass), core.Requirements{Features: []core.Feature{core.FeatureReply}}})
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "p", Steps: []core.Step{twice}}}
	p := coretest.Start(t, cfg)
	if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrNextTwice) || !strings.Contains(err.Error(), `"twice"`) {
		t.Errorf("got %v", err)
	}
	cfg.Transport = lacking{&coretest.Transport{}}
	cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "p", Steps: []core.Step{needs}}}
	if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), `step needs of policy "p": needs reply`) {
		t.Errorf("got %v", err)
	}
}

func pass(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

// needing is a step with requirements.
type needing struct {
	core.Interceptor
	needs core.Requirements
}

func (n *needing) Requires() core.Requirements { return n.needs }

// lacking is a transport without replies.
type lacking struct{ core.Transport }

func (lacking) Capabilities() core.Capabilities {
	return core.Capabilities{Lacks: []core.Feature{core.FeatureReply}}
}

// A table chooses by the whole name, then by the longest prefix, then by the first pattern.
func TestPolicyTableByPrefixAndPattern(t *testing.T) {
	named := func(name string) *core.Policy { return &core.Policy{Name: name} }
	wide, narrow, events := named("wide"), named("narrow"), named("events")
	table := &core.PolicyTable{
		Default:  named("rest"),
		ByTopic:  map[string]*core.Policy{"audit-eu": named("exact")},
		ByPrefix: map[string]*core.Policy{"audit": wide, "audit-": narrow},
		ByPattern: []core.PatternPolicy{
			{Pattern: "*-events", Policy: events},
			{Pattern: "order-?", Policy: wide},
			{Pattern: "order-[a-c]*", Policy: events},
		},
	}
	for topic, want := range map[string]string{
		"audit-eu": "exact", "audit-us": "narrow", "audit": "wide", "auditor": "wide", "audi": "rest", "audit-events": "narrow",
		"x-events": "events", "order-z": "wide", "order-a": "wide", "order-ab": "events", "order-zz": "rest", "": "rest", "Audit": "rest",
	} {
		if got := table.Policy(topic).Name; got != want {
			t.Errorf("topic %q has policy %s, want %s", topic, got, want)
		}
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = table
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range p.Pipeline().Policies() {
		got = append(got, d.Name+": "+d.Topics)
	}
	want := []string{
		"exact: audit-eu", `narrow: topics that begin with "audit-"`, `wide: topics that begin with "audit", topics like "order-?"`,
		`events: topics like "*-events", topics like "order-[a-c]*"`, "rest: every other topic",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	table.ByPattern = []core.PatternPolicy{{Pattern: "[a", Policy: wide}, {Pattern: "b", Policy: wide}, {Pattern: "b", Policy: wide}}
	_, err = core.NewProducer(cfg)
	for _, want := range []string{`pattern "[a": syntax error in pattern`, `pattern "b" is there twice`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A breaker or a limit that came with new policies forgot its brokers at the next change of a route: it had never heard
// of the route before. Parts that come later hear of the routes that are known, the others are not told again.
func TestPartsOfNewPoliciesHearOfKnownRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, later := &hearing{RetryPolicy: coretest.NoRetry()}, &hearing{RetryPolicy: coretest.NoRetry()}
		var queues atomic.Int32
		queues.Store(1)
		cfg := coretest.Config(&coretest.Transport{}, core.CallStep("first", core.StageGuard, first))
		cfg.RouteRefresh = time.Minute
		cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) {
			return coretest.Routes(int(queues.Load()), "broker-a").Route(context.Background(), "")
		})
		p := coretest.Start(t, cfg)
		for _, topic := range []string{"A", "B"} {
			if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		expect := func(when string, h *hearing, want ...string) {
			t.Helper()
			h.mu.Lock()
			defer h.mu.Unlock()
			slices.Sort(h.other)
			if !slices.Equal(h.other, want) {
				t.Errorf("%s: heard %v, want %v", when, h.other, want)
			}
			h.other = nil
		}
		expect("at first", first, "route A", "route B", "running")
		if err := p.SetPolicies(t.Context(), &core.PolicyTable{Default: &core.Policy{Name: "new", Health: later}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect("policies are replaced", first)
		expect("policies are replaced", later, "route A", "route B")
		queues.Store(2)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		expect("the routes change", first, "route A", "route B")
		expect("the routes change", later, "route A", "route B")
		if err := p.SetPolicies(t.Context(), &core.PolicyTable{Default: &core.Policy{Name: "newer", Health: later}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect("the part stays", later)
	})
}
