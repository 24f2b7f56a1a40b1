package selector_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

func TestHealthyKeepsAGoodChoice(t *testing.T) {
	asked := 0
	f := selector.Healthy(factory(func(context.Context, *core.Selection) (int, error) { asked++; return 5, nil }))
	in(t, situation{health: map[string]core.Health{"a": down}}, func(ctx context.Context, sel *core.Selection) {
		if got := pick(t, ctx, f.ForTopic("T"), sel); got != 5 {
			t.Errorf("chose %d, want inner's 5", got)
		}
	})
	// Nothing is better than inner's choice: it stays, wherever the lap begins.
	in(t, situation{health: map[string]core.Health{"a": down, "b": down, "c": down}}, func(ctx context.Context, sel *core.Selection) {
		for range 20 {
			if got := pick(t, ctx, f.ForTopic("T"), sel); got != 5 {
				t.Errorf("chose %d, want inner's 5", got)
			}
		}
	})
	if asked != 21 {
		t.Errorf("inner was asked %d times, want once a pick", asked)
	}
}

func TestHealthyPassesErrorsThrough(t *testing.T) {
	errInner := errors.New("inner")
	for _, want := range []struct {
		index int
		err   error
	}{{0, errInner}, {-1, nil}, {12, nil}} {
		f := selector.Healthy(factory(func(context.Context, *core.Selection) (int, error) { return want.index, want.err }))
		in(t, situation{}, func(ctx context.Context, sel *core.Selection) {
			if i, err := f.ForTopic("T").Select(ctx, sel); i != want.index || err != want.err {
				t.Errorf("got %d, %v, want %d, %v", i, err, want.index, want.err)
			}
		})
	}
}

// Healthy keeps a consistent choice and says that it is one.
func TestHealthyAroundHash(t *testing.T) {
	s, ok := selector.Healthy(selector.Hash()).ForTopic("T").(core.ConsistentSelector)
	if !ok {
		t.Fatal("not a consistent selector")
	}
	msg := coretest.Message("x")
	msg.ShardingKey = "hello" // 99162322
	if !s.RequiresConsistency(msg) || s.RequiresConsistency(coretest.Message("x")) {
		t.Error("inner's consistency was lost")
	}
	in(t, situation{msg: msg, health: map[string]core.Health{"c": down}, tried: 1},
		func(ctx context.Context, sel *core.Selection) {
			if got, want := pick(t, ctx, s, sel), 99162322%12; got != want {
				t.Errorf("chose %d, want %d", got, want) // on broker c
			}
		})
}

// listening is a factory and a selector that counts what it is told.
type listening struct{ attempts, routes int }

func (l *listening) AttemptDone(context.Context, *core.AttemptReport) { l.attempts++ }
func (l *listening) RouteChanged(*core.RouteReport)                   { l.routes++ }
func (l *listening) Select(context.Context, *core.Selection) (int, error) {
	return 0, nil
}

type listeningFactory struct {
	*listening
	selector core.QueueSelector
}

func (f listeningFactory) ForTopic(string) core.QueueSelector { return f.selector }

func TestHealthyKeepsListeners(t *testing.T) {
	inFactory, inSelector := &listening{}, &listening{}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Selector = selector.Healthy(listeningFactory{inFactory, inSelector})
	p := coretest.Start(t, cfg)
	for range 3 {
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Shutdown(t.Context()); err != nil { // joins the reports of routes
		t.Fatal(err)
	}
	if inFactory.attempts != 3 || inFactory.routes != 1 || inSelector.attempts != 3 {
		t.Errorf("factory heard %d attempts and %d routes, selector %d attempts; want 3, 1, 3",
			inFactory.attempts, inFactory.routes, inSelector.attempts)
	}
}

// selfish is a factory that is its own selector.
type selfish struct{ *listening }

func (s selfish) ForTopic(string) core.QueueSelector { return s }

func TestHealthyTellsOneValueOnce(t *testing.T) {
	inner := selfish{&listening{}}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Selector = selector.Healthy(inner)
	if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if inner.attempts != 1 {
		t.Errorf("heard %d attempts, want 1", inner.attempts)
	}
}

// What is made of nothing is nil, and a producer says so by the field's name, also where
// a policy's nil field would mean the default.
func TestNilIsRefused(t *testing.T) {
	for name, f := range map[string]core.SelectorFactory{
		"inner of Healthy":           selector.Healthy(nil),
		"function inside Healthy":    selector.Healthy(core.SelectorFactoryFunc(nil)),
		"key of HashBy":              selector.HashBy(nil),
		"HashBy(nil) inside Healthy": selector.Healthy(selector.HashBy(nil)),
	} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "orders", Selector: f}}
		if _, err := core.NewProducer(cfg); err == nil || !strings.Contains(err.Error(), `policy "orders": Selector is nil`) {
			t.Errorf("nil %s: %v", name, err)
		}
	}
	for name, none := range map[string]core.QueueSelector{"nil": nil, "nil function": core.QueueSelectorFunc(nil)} {
		f := selector.Healthy(core.SelectorFactoryFunc(func(string) core.QueueSelector { return none }))
		if f.ForTopic("T") != nil {
			t.Errorf("%s: a selector made of nothing for a topic", name)
		}
	}
}
