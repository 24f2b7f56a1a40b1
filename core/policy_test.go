package core_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// sourceFunc is a policy source of one listed policy that answers with a function.
type sourceFunc struct {
	listed []core.TopicPolicy
	policy func(topic string) *core.Policy
}

func (s sourceFunc) Policy(topic string) *core.Policy { return s.policy(topic) }
func (s sourceFunc) Policies() []core.TopicPolicy     { return s.listed }

// panicking is a source that cannot be listed.
type panicking struct{ core.PolicySource }

func (panicking) Policies() []core.TopicPolicy { panic("boom") }

func TestPolicyTable(t *testing.T) {
	a, b, rest := &core.Policy{Name: "a"}, &core.Policy{Name: "b"}, &core.Policy{Name: "rest"}
	c, d := &core.Policy{Name: "c"}, &core.Policy{Name: "d"}
	for _, tt := range []struct {
		name  string
		table core.PolicyTable
		want  string
	}{
		{"default alone", core.PolicyTable{Default: rest}, "rest: every topic"},
		{
			"topics",
			core.PolicyTable{Default: rest, ByTopic: map[string]*core.Policy{"z": a, "c": b, "b": a, "x": c, "d": d, "y": c, "a": d}},
			"d: a, d; a: b, z; b: c; c: x, y; rest: every other topic",
		},
		{
			"a topic that has the default",
			core.PolicyTable{Default: rest, ByTopic: map[string]*core.Policy{"z": rest}},
			"rest: z, every other topic",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := coretest.Config(&coretest.Transport{})
			cfg.Policies = &tt.table
			p, err := core.NewProducer(cfg)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range p.Pipeline().Policies() {
				got = append(got, d.Name+": "+d.Topics)
			}
			if got := strings.Join(got, "; "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for topic, p := range tt.table.ByTopic {
				if tt.table.Policy(topic) != p {
					t.Errorf("topic %q", topic)
				}
			}
			if tt.table.Policy("other") != rest {
				t.Error("another topic does not get the default")
			}
		})
	}
}

// Every mistake in a source is told at once, at construction and when policies are replaced,
// and a replacement with mistakes changes nothing.
func TestPolicyMistakes(t *testing.T) {
	good := func(name string) *core.Policy { return &core.Policy{Name: name} }
	var noHealth *healthUnit
	list := func(policies ...*core.Policy) core.PolicySource {
		s := sourceFunc{policy: func(string) *core.Policy { return nil }}
		for i, p := range policies {
			s.listed = append(s.listed, core.TopicPolicy{Topics: fmt.Sprint("topic ", i), Policy: p})
		}
		return s
	}
	for _, tt := range []struct {
		name   string
		source core.PolicySource
		want   []string
	}{
		{"nothing listed", list(), []string{"the source has none"}},
		{"cannot be listed", panicking{}, []string{"panic in policy source: boom"}},
		{"typed nil", (*core.PolicyTable)(nil), []string{"is nil"}},
		{"the last of a list", list(good("first"), nil), []string{"policies: the policy of topic 1 is nil"}},
		{"a table without a default", &core.PolicyTable{}, []string{`policies: PolicyTable.Default is nil: set it, such as &Policy{Name: "default"}`}},
		{
			"a table with topics and without a default", &core.PolicyTable{ByTopic: map[string]*core.Policy{"a": nil, "b": good("b")}},
			[]string{"policies: the policy of a is nil\n", "policies: PolicyTable.Default is nil: set it"},
		},
		{
			"all at once", list(
				nil, good(""), good("twice"), good("twice"),
				&core.Policy{Name: "nils", Selector: core.SelectorFactoryFunc(nil), Retry: core.RetryPolicyFunc(nil), Budget: (*budget)(nil), Health: noHealth},
				&core.Policy{Name: "times", Timeout: -time.Second, AttemptTimeout: 3000},
				&core.Policy{Name: "more times", Timeout: time.Millisecond - 1, AttemptTimeout: -1},
			), []string{
				"the policy of topic 0 is nil", "the policy of topic 1 has no name", `policy "twice": the name is used twice`,
				`policy "nils": Selector is nil`, `policy "nils": Retry is nil`, `policy "nils": Budget is nil`, `policy "nils": Health is nil`,
				`policy "times": Timeout is negative: -1s`, `policy "times": AttemptTimeout is 3µs, at least 1ms is needed`, "3000*time.Millisecond",
				`policy "more times": Timeout is 999.999µs`, `policy "more times": AttemptTimeout is negative: -1ns`,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check := func(err error) {
				t.Helper()
				if err == nil {
					t.Fatal("no error")
				}
				for _, want := range tt.want {
					if n := strings.Count(err.Error(), want); n != 1 {
						t.Errorf("%q is %d times in %v", want, n, err)
					}
				}
				if n := strings.Count(err.Error(), "\n") + 1; tt.name == "all at once" && n != len(tt.want)-1 {
					t.Errorf("%d mistakes in %v", n, err)
				}
			}
			cfg := coretest.Config(&coretest.Transport{})
			p := coretest.Start(t, cfg)
			check(p.SetPolicies(t.Context(), tt.source))
			if got := p.Snapshot().Policies; !slices.Equal(got, []string{"default"}) {
				t.Errorf("policies %v", got)
			}
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Error(err)
			}
			cfg.Policies = tt.source
			_, err := core.NewProducer(cfg)
			check(err)
		})
	}
	p := coretest.Start(t, coretest.Config(&coretest.Transport{}))
	if err := p.SetPolicies(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "the source is nil") {
		t.Errorf("nil: %v", err)
	}
}

// A policy's gaps are filled with what the configuration says, and nothing else is.
func TestPolicyGaps(t *testing.T) {
	own := &budget{left: 5}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Timeout, cfg.Budget = 7*time.Second, own
	cfg.Policies = &core.PolicyTable{
		Default: &core.Policy{Name: "empty"},
		ByTopic: map[string]*core.Policy{"T": {Name: "full", Timeout: time.Second, AttemptTimeout: 2 * time.Second, Budget: &budget{}}},
	}
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	got := p.Pipeline().Policies()
	if len(got) != 2 || got[0].Timeout != "1s" || got[0].AttemptTimeout != "2s" ||
		got[1].Timeout != "7s" || got[1].AttemptTimeout != "1s" {
		t.Errorf("got %+v", got)
	}
	cfg.Selector, cfg.Retry = nil, nil
	if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), `policy "full": Selector is nil`) || !strings.Contains(err.Error(), `policy "empty": Retry is nil`) {
		t.Errorf("got %v", err)
	}
}

// What a source answers wrongly fails the sends to the topic, in every mode, and those alone.
func TestPolicySourceAnswersNonsense(t *testing.T) {
	listed := &core.Policy{Name: "listed"}
	for name, answer := range map[string]func() *core.Policy{
		"nil":      func() *core.Policy { return nil },
		"unlisted": func() *core.Policy { return &core.Policy{Name: "unlisted"} },
		"panic":    func() *core.Policy { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			count := &attemptCount{}
			tr := &coretest.Transport{}
			cfg := coretest.Config(tr, core.ListenerStep("count", count))
			cfg.Policies = sourceFunc{[]core.TopicPolicy{{Topics: "all", Policy: listed}}, func(topic string) *core.Policy {
				if topic == "T" {
					return answer()
				}
				return listed
			}}
			p := coretest.Start(t, cfg)
			done, try := make(chan error, 1), make(chan error, 1)
			p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { done <- err })
			async := <-done
			_, sent := p.Send(t.Context(), coretest.Message("x"))
			_, batch := p.SendBatch(t.Context(), []*core.Message{coretest.Message("x")})
			for mode, err := range map[string]error{
				"async": async, "sync": sent, "batch": batch, "one-way": p.SendOneway(t.Context(), coretest.Message("x")),
				"try": func() error {
					if err := p.TrySendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { try <- err }); err != nil {
						return err
					}
					return <-try
				}(),
			} {
				var pe *core.PanicError
				if se := sendError(t, err); se.Class != core.ClassPlugin || se.Certainty != core.NotSent || se.Topic != "T" ||
					!errors.Is(err, core.ErrContract) && !errors.As(err, &pe) {
					t.Errorf("%s: %v", mode, err)
				}
			}
			if _, err := p.Send(t.Context(), &core.Message{Topic: "other", Body: []byte("x")}); err != nil {
				t.Error(err)
			}
			if count.calls != 6 || len(tr.Attempts()) != 1 {
				t.Errorf("%d outcomes, %d attempts", count.calls, len(tr.Attempts()))
			}
		})
	}
}

// A source or an option that ends the goroutine of an asynchronous send takes nobody's
// outcome away, and holds no Shutdown up.
func TestGoexitBeforeAnAsynchronousSend(t *testing.T) {
	exits := core.SendOptionFunc(func(*core.CallOptions) { runtime.Goexit() })
	for name, opts := range map[string][]core.SendOption{"source": nil, "option": {exits}} {
		t.Run(name, func(t *testing.T) {
			listed := &core.Policy{Name: "listed"}
			cfg := coretest.Config(&coretest.Transport{})
			cfg.MaxInFlight = 2
			cfg.Policies = sourceFunc{[]core.TopicPolicy{{Topics: "all", Policy: listed}}, func(string) *core.Policy {
				if opts == nil {
					runtime.Goexit()
				}
				return listed
			}}
			p := coretest.Start(t, cfg)
			outcomes := make(chan error, 10)
			for range 5 {
				go p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { outcomes <- err }, opts...)
				if err := <-outcomes; !errors.Is(err, core.ErrContract) || core.CertaintyOf(err) != core.NotSent {
					t.Errorf("got %v", err)
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_ = p.TrySendAsync(t.Context(), coretest.Message("x"), func(core.Result, error) { t.Error("done of a send that was not taken") }, opts...)
				}()
				<-ended
			}
			if s := p.Snapshot(); s.InFlight.Bytes != 0 {
				t.Errorf("in flight %+v", s.InFlight)
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// askedFor is a policy source and a selector factory that note what topics they are asked for.
type askedFor struct {
	mu        sync.Mutex
	policies  []string
	selectors []string
	a, b      *core.Policy
}

func newAskedFor() *askedFor {
	s := &askedFor{a: &core.Policy{Name: "a"}, b: &core.Policy{Name: "b"}}
	s.a.Selector = s
	return s
}

func (s *askedFor) Policy(topic string) *core.Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies = append(s.policies, topic)
	if strings.HasPrefix(topic, "T") {
		return s.a
	}
	return s.b
}

func (s *askedFor) Policies() []core.TopicPolicy {
	return []core.TopicPolicy{{Topics: "T*", Policy: s.a}, {Topics: "every other topic", Policy: s.b}}
}

func (s *askedFor) ForTopic(topic string) core.QueueSelector {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.selectors = append(s.selectors, topic)
	return coretest.InOrder().ForTopic(topic)
}

// take gives what was asked since the last time.
func (s *askedFor) take() (policies, selectors []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	policies, selectors = s.policies, s.selectors
	s.policies, s.selectors = nil, nil
	return policies, selectors
}

// What a user chooses by is the user's topic, whatever a step makes of it.
func TestUsersTopicChooses(t *testing.T) {
	var looked []string
	source, tr := newAskedFor(), &coretest.Transport{}
	cfg := coretest.Config(tr, core.CallStep("namespace", core.StageShape, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			for o := range c.All() {
				o.SetTopic("ns%" + o.Topic())
			}
			return next(ctx, c)
		})))
	routes := cfg.Routes
	cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
		looked = append(looked, topic)
		return routes.Route(ctx, topic)
	})
	cfg.Policies = source
	p := coretest.Start(t, cfg)
	for range 3 {
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	if policies, selectors := source.take(); !slices.Equal(policies, []string{"T"}) || !slices.Equal(selectors, []string{"T"}) {
		t.Errorf("the source was asked for %q, the factory for %q", policies, selectors)
	}
	if !slices.Equal(looked, []string{"ns%T"}) || tr.Attempts()[0].Topic != "ns%T" {
		t.Errorf("looked up %q, sent to %q", looked, tr.Attempts()[0].Topic)
	}
	if s := p.Snapshot(); len(s.Topics) != 1 || s.Topics[0].Topic != "ns%T" || !slices.Equal(s.Topics[0].Policies, []string{"a"}) {
		t.Errorf("topics %+v", s.Topics)
	}
}

// Topics that nobody sends to are forgotten, and come back with their policy. Those that
// have no route are forgotten sooner: anybody can think of such a name. Names that are too
// long for a topic are not kept at all.
func TestTopicsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newAskedFor()
		cfg := coretest.Config(&coretest.Transport{Forget: true}, around("veto", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			if c.Message().Topic == "veto" {
				return nil, core.ErrNoRoute
			}
			return next(ctx, c)
		}))
		routes := cfg.Routes
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			if topic == "none" {
				return nil, core.ErrNoRoute
			}
			return routes.Route(ctx, topic)
		})
		cfg.Policies = source
		p := coretest.Start(t, cfg)
		send := func(names ...string) (policies, selectors []string) {
			for _, topic := range names {
				_, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
				if core.ClassOf(err) == core.ClassNoRoute != (topic == "none" || topic == "veto") {
					t.Errorf("%.20s: %v", topic, err)
				}
			}
			return source.take()
		}
		longest, long := "T"+strings.Repeat("x", 254), "T"+strings.Repeat("x", 255)
		topics := []string{"T1", "T2", "other", "", "none", "veto", longest, long}
		const poll = core.DefaultRouteRefresh
		time.Sleep(poll / 2)
		for _, tt := range []struct {
			name      string
			polls     time.Duration // that come before
			send      []string
			policies  []string
			selectors []string
		}{
			{"first", 0, topics, topics, []string{"T1", "T2", longest, long}},
			{"at once", 0, topics, []string{long}, []string{long}},
			{"they were used before the poll", 1, topics, []string{long}, []string{long}},
			{"the second poll found no use", 2, topics, []string{"none", "veto", long}, []string{long}},
			{"one is used", 15, []string{"T1"}, nil, nil},
			{"twenty polls, the first of which found a use", 5, []string{"T2"}, nil, nil},
			{"twenty-one", 1, topics, []string{"other", "", "none", "veto", longest, long}, []string{longest, long}},
		} {
			time.Sleep(tt.polls * poll)
			if policies, selectors := send(tt.send...); !slices.Equal(policies, tt.policies) || !slices.Equal(selectors, tt.selectors) {
				t.Errorf("%s: asked for %.20q and %.20q, want %.20q and %.20q", tt.name, policies, selectors, tt.policies, tt.selectors)
			}
		}
		// Two topics that share a place do not get each other's policy.
		for range 100 {
			send("T1", "other", "a1", "T2", "2T", "b2", "T3", "c3")
		}
		source.take()
		if policies, _ := send("T1", "other", "a1"); policies != nil {
			t.Errorf("asked again for %q", policies)
		}
	})
}

// hearing is a strategy that writes down which policy's events it hears.
type hearing struct {
	core.RetryPolicy
	mu    sync.Mutex
	calls []string // the policies of calls, attempts and retries
	other []string // routes and states
}

func (h *hearing) hear(c *core.Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c.Policy().Name)
}

func (h *hearing) event(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.other = append(h.other, name)
}

func (h *hearing) CallDone(_ context.Context, r *core.CallReport)        { h.hear(r.Call) }
func (h *hearing) AttemptDone(_ context.Context, r *core.AttemptReport)  { h.hear(r.Attempt.Call()) }
func (h *hearing) RetryScheduled(_ context.Context, r *core.RetryReport) { h.hear(r.Call) }
func (h *hearing) RouteChanged(r *core.RouteReport)                      { h.event("route " + r.Topic) }

func (h *hearing) StateChanged(r *core.StateReport) { h.event(r.New.String()) }
func (h *hearing) Health(core.Broker) core.Health   { return core.HealthGood }
func (h *hearing) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

// The strategies of a policy hear of the calls that it serves. One value is told once,
// however many policies have it and whatever else it is.
func TestListenersOfPolicies(t *testing.T) {
	retry := coretest.Retry(2)
	a, b := &hearing{RetryPolicy: retry}, &hearing{RetryPolicy: retry}
	shared, step := &hearing{RetryPolicy: retry}, &hearing{RetryPolicy: retry}
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() == 1 {
			return nil, core.ErrConnectionLost
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr, core.CallStep("step", core.StageGuard, step))
	cfg.Health = shared // of b and c
	cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "c", Retry: retry}, ByTopic: map[string]*core.Policy{
		"A": {Name: "a", Retry: a, Health: step}, "B": {Name: "b", Retry: b},
	}}
	p := coretest.Start(t, cfg)
	for _, topic := range []string{"A", "B", "C"} {
		if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	each := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, n, n, n, n) // two attempts, a retry, the outcome
		}
		return out
	}
	for _, tt := range []struct {
		name string
		h    *hearing
		want []string
	}{
		{"a", a, each("a")}, {"b", b, each("b")}, {"shared", shared, each("b", "c")}, {"step", step, each("a", "b", "c")},
	} {
		if !slices.Equal(tt.h.calls, tt.want) {
			t.Errorf("%s heard of the calls of %v, want %v", tt.name, tt.h.calls, tt.want)
		}
		slices.Sort(tt.h.other)
		if want := []string{"route A", "route B", "route C", "running", "shut down"}; !slices.Equal(tt.h.other, want) {
			t.Errorf("%s heard %v, want %v", tt.name, tt.h.other, want)
		}
	}
}
