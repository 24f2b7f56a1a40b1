package core_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// limited is a transport that cannot carry everything.
type limited struct {
	coretest.Transport
	caps  core.Capabilities
	asked int
}

func (l *limited) Capabilities() core.Capabilities { l.asked++; return l.caps }

// wrap wraps a transport or a route source so that what is within can be found.
type wrap struct {
	core.Transport
	core.RouteSource
	within any
}

func (w *wrap) Unwrap() any { return w.within }

// needy is a step, or a strategy, that needs something of the transport.
type needy struct {
	onion
	core.Requirements
}

func (n *needy) Requires() core.Requirements    { return n.Requirements }
func (n *needy) Health(core.Broker) core.Health { return core.HealthGood }

type alarmed struct{ onion }

func (alarmed) Requires() core.Requirements { panic("boom") }

// What the transport cannot carry is refused at construction, by name, all at once.
func TestRequirementsAreChecked(t *testing.T) {
	needs := func(r core.Requirements) *needy { return &needy{Requirements: r} }
	tr := &limited{caps: core.Capabilities{
		Lacks: []core.Feature{core.FeatureBatch, core.FeatureTransaction, core.FeatureReply}, Codecs: []string{"zlib", "lz4"},
	}}
	cfg := coretest.Config(tr,
		core.CallStep("accumulate", core.StageEncode, needs(core.Requirements{Features: []core.Feature{core.FeatureOneway, core.FeatureBatch}})),
		core.CallStep("compress.zstd", core.StageEncode, needs(core.Requirements{Codecs: []string{"zlib", "zstd"}})),
		core.CallStep("fine", core.StageEncode, needs(core.Requirements{Features: []core.Feature{core.FeatureRecall}, Codecs: []string{"lz4"}})),
		core.CallStep("alarmed", core.StageGuard, alarmed{}),
	)
	cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "p", Health: needs(core.Requirements{Features: []core.Feature{core.FeatureTransaction, core.FeatureReply}})}}
	want := []string{
		"step accumulate: needs batch: rocketmq: not supported by the transport",
		`step compress.zstd: needs the codec "zstd", the transport has ["zlib" "lz4"]: rocketmq: not supported`,
		"panic in step alarmed: boom",
		`health of policy "p": needs transaction`, `health of policy "p": needs reply`,
	}
	_, err := core.NewProducer(cfg)
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range want {
		if strings.Count(err.Error(), w) != 1 {
			t.Errorf("%q is missing in %v", w, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(want) || !errors.Is(err, core.ErrUnsupported) {
		t.Errorf("%d mistakes in %v", n, err)
	}
	if tr.asked != 1 {
		t.Errorf("the transport was asked %d times", tr.asked)
	}

	t.Run("beside other mistakes", func(t *testing.T) {
		cfg := cfg
		cfg.Policies = &core.PolicyTable{}
		if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), want[0]) || !strings.Contains(err.Error(), "PolicyTable.Default is nil") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("every codec", func(t *testing.T) {
		cfg := coretest.Config(&coretest.Transport{}, cfg.Steps[:3]...)
		if _, err := core.NewProducer(cfg); err != nil {
			t.Error(err)
		}
	})
	t.Run("no codec", func(t *testing.T) {
		cfg := coretest.Config(&limited{caps: core.Capabilities{Codecs: []string{}}}, cfg.Steps[1])
		if _, err := core.NewProducer(cfg); err == nil || strings.Count(err.Error(), "needs the codec") != 2 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("new policies", func(t *testing.T) {
		tr.asked = 0
		p := coretest.Start(t, coretest.Config(tr))
		if err := p.SetPolicies(t.Context(), cfg.Policies); !errors.Is(err, core.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
		if tr.asked != 1 || p.Snapshot().Policies[0] != "default" {
			t.Errorf("asked %d times, policies %v", tr.asked, p.Snapshot().Policies)
		}
	})
}

type scared struct{ coretest.Transport }

func (*scared) Capabilities() core.Capabilities { panic("boom") }

func TestCapabilitiesPanic(t *testing.T) {
	if _, err := core.NewProducer(coretest.Config(&scared{})); err == nil || !strings.Contains(err.Error(), "panic in transport: boom") {
		t.Errorf("got %v", err)
	}
}

// A send that asks for what the transport lacks is refused before it is sent, in every mode.
func TestUnsupportedSends(t *testing.T) {
	type send func(p *core.Producer, m *core.Message) error
	sync := func(p *core.Producer, m *core.Message) error { _, err := p.Send(context.Background(), m); return err }
	async := func(p *core.Producer, m *core.Message) error {
		done := make(chan error, 1)
		p.SendAsync(context.Background(), m, func(_ core.Result, err error) { done <- err })
		return <-done
	}
	try := func(p *core.Producer, m *core.Message) error {
		done := make(chan error, 1)
		if err := p.TrySendAsync(context.Background(), m, func(_ core.Result, err error) { done <- err }); err != nil {
			return err
		}
		return <-done
	}
	oneway := func(p *core.Producer, m *core.Message) error { return p.SendOneway(context.Background(), m) }
	batch := func(p *core.Producer, m *core.Message) error {
		_, err := p.SendBatch(context.Background(), []*core.Message{coretest.Message("first"), m})
		return err
	}
	plain := func(*core.Message) {}
	level := func(m *core.Message) { m.DelayLevel = 3 }
	deliver := func(m *core.Message) { m.DeliverAt = time.Now().Add(time.Hour) }
	after := func(m *core.Message) { m.DeliverAfter = time.Hour }
	priority := func(m *core.Message) { m.Priority = new(0) }
	lite := func(m *core.Message) { m.LiteTopic = "chat" }
	queue := func(m *core.Message) { m.Queue = &core.Queue{Broker: "broker-a", ID: 1} }
	for _, tt := range []struct {
		lacks core.Feature
		msg   func(*core.Message)
		bad   map[string]send
		good  map[string]send
	}{
		{core.FeatureOneway, plain, map[string]send{"one-way": oneway}, map[string]send{"sync": sync, "async": async, "batch": batch}},
		{core.FeatureBatch, plain, map[string]send{"batch": batch}, map[string]send{"sync": sync, "async": async, "one-way": oneway}},
		{core.FeatureDelayLevel, level, map[string]send{"sync": sync, "async": async, "try": try, "one-way": oneway, "batch": batch}, nil},
		{core.FeatureDelayLevel, deliver, nil, map[string]send{"sync": sync}},
		{core.FeatureDeliverAt, deliver, map[string]send{"sync": sync, "async": async, "try": try, "one-way": oneway, "batch": batch}, nil},
		{core.FeatureDeliverAt, after, map[string]send{"sync": sync, "async": async, "one-way": oneway, "batch": batch}, nil},
		{core.FeatureDelayLevel, after, nil, map[string]send{"sync": sync}},
		{core.FeaturePriority, priority, map[string]send{"sync": sync, "async": async, "one-way": oneway, "batch": batch}, nil},
		{core.FeaturePriority, lite, nil, map[string]send{"sync": sync}},
		{core.FeatureLiteTopic, lite, map[string]send{"sync": sync, "async": async, "one-way": oneway, "batch": batch}, nil},
		{core.FeatureLiteTopic, priority, nil, map[string]send{"sync": sync}},
		{core.FeatureDeliverAt, level, nil, map[string]send{"sync": sync}},
		{core.FeatureFixedQueue, queue, map[string]send{"sync": sync, "async": async, "try": try, "one-way": oneway, "batch": batch}, nil},
		{core.FeatureFixedQueue, plain, nil, map[string]send{"sync": sync, "batch": batch}},
		{core.FeatureRecall, deliver, nil, map[string]send{"sync": sync, "one-way": oneway, "batch": batch}},
		{core.Feature(77), plain, nil, map[string]send{"sync": sync, "one-way": oneway, "batch": batch}},
	} {
		t.Run(tt.lacks.String(), func(t *testing.T) {
			tr, seen, ran := &limited{caps: core.Capabilities{Lacks: []core.Feature{tt.lacks}}}, &outcomes{}, 0
			p := coretest.Start(t, coretest.Config(tr, core.ListenerStep("seen", seen), core.CallStep("ran", core.StageObserve, core.InterceptorFunc(
				func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
					ran++
					return next(ctx, c)
				}))))
			for mode, send := range tt.bad {
				m := coretest.Message("x")
				tt.msg(m)
				err := send(p, m)
				if se := sendError(t, err); se.Class != core.ClassUnsupported || se.Certainty != core.NotSent || !errors.Is(err, core.ErrUnsupported) || !strings.Contains(err.Error(), tt.lacks.String()) {
					t.Errorf("%s: %v", mode, err)
				}
			}
			if len(tr.Attempts()) != 0 || ran != 0 || len(seen.certain) != len(tt.bad) {
				t.Errorf("%d attempts, %d runs, %d outcomes", len(tr.Attempts()), ran, len(seen.certain))
			}
			for mode, send := range tt.good {
				m := coretest.Message("x")
				tt.msg(m)
				if err := send(p, m); err != nil {
					t.Errorf("%s: %v", mode, err)
				}
			}
			if len(tr.Attempts()) != len(tt.good) {
				t.Errorf("%d attempts", len(tr.Attempts()))
			}
		})
	}
}

// A step that puts sends together is refused what SendBatch is refused.
func TestUnsupportedBatchOfCalls(t *testing.T) {
	tr := &limited{caps: core.Capabilities{Lacks: []core.Feature{core.FeatureBatch}}}
	for n, want := range map[int]core.Class{1: core.ClassNone, 2: core.ClassUnsupported} {
		g := &gatherer{n: n, limit: 1 << 20}
		p := coretest.Start(t, coretest.Config(tr, core.CallStep("gather", core.StageEncode, g)))
		errs := make(chan error, n)
		for range n {
			go func() { _, err := p.Send(context.Background(), coretest.Message("x")); errs <- err }()
		}
		for range n {
			if err := <-errs; core.ClassOf(err) != want || err != nil && core.CertaintyOf(err) != core.NotSent {
				t.Errorf("%d messages: %v", n, err)
			}
		}
	}
	if len(tr.Attempts()) != 1 {
		t.Errorf("%d attempts", len(tr.Attempts()))
	}
}

// Optional interfaces are found through wrappers, at any depth, and a wrapper of itself ends
// the search.
func TestWrappers(t *testing.T) {
	wrapped := func(depth int, within any) core.Transport {
		tr := within.(core.Transport)
		for range depth {
			tr = &wrap{Transport: tr, within: tr}
		}
		return tr
	}
	for _, depth := range []int{0, 1, 5, 63} {
		tr := &client{recaller: &recaller{lacks: []core.Feature{core.FeatureOneway}}, mailman: &mailman{}}
		p := coretest.Start(t, coretest.Config(wrapped(depth, tr)))
		if err := p.SendOneway(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrUnsupported) {
			t.Errorf("depth %d: what the transport lacks was not found: %v", depth, err)
		}
		if _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-a")); err != nil {
			t.Errorf("depth %d: Recall: %v", depth, err)
		}
		if tr.inbox == nil {
			t.Errorf("depth %d: the group was not registered", depth)
		}
	}
	itself := &wrap{Transport: &coretest.Transport{}}
	itself.within = itself
	cfg := coretest.Config(itself)
	var log []string
	client := &registrar{log: &log}
	cfg.Routes = &wrap{RouteSource: cfg.Routes, within: &wrap{within: routesOf{cfg.Routes, client}}}
	p := coretest.Start(t, cfg)
	if _, err := p.Recall(t.Context(), "T", handleOf("T", "broker-a")); !errors.Is(err, core.ErrUnsupported) {
		t.Errorf("a wrapper of itself: %v", err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"register test", "unregister test"}; !slices.Equal(log, want) {
		t.Errorf("through the route source: %v", log)
	}
	for name, within := range map[string]any{"nothing": nil, "a typed nil": (*registrar)(nil), "something else": 42} {
		if _, err := core.NewProducer(coretest.Config(&wrap{Transport: &coretest.Transport{}, within: within})); err != nil {
			t.Errorf("a wrapper of %s: %v", name, err)
		}
	}
}

// client is a transport that can do everything.
type client struct {
	*recaller
	*mailman
}

func (c *client) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	return c.recaller.RoundTrip(ctx, at)
}
