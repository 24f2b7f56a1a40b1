package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// feed is a policy feed whose policies the test replaces.
type feed struct {
	core.PolicySource
	begin  core.PolicySource
	follow error
	boom   string // what panics
	set    func(context.Context, core.PolicySource) error
	life   []string
}

func (f *feed) Begin() core.PolicySource {
	if f.boom == "begin" {
		panic("boom")
	}
	return f.begin
}

func (f *feed) Follow(set func(context.Context, core.PolicySource) error) error {
	if f.boom == "follow" {
		panic("boom")
	}
	f.set = set
	return f.follow
}

func (f *feed) Start(context.Context) error    { f.life = append(f.life, "start"); return nil }
func (f *feed) Shutdown(context.Context) error { f.life = append(f.life, "shutdown"); return nil }

func withTimeout(d time.Duration) *core.PolicyTable {
	return &core.PolicyTable{Default: &core.Policy{Name: "default", Timeout: d}}
}

// A producer begins with a feed's policies, gives it life once, and takes what it sets.
func TestPolicyFeed(t *testing.T) {
	f := &feed{begin: withTimeout(4 * time.Second)}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies, cfg.Own = f, []core.Service{f} // listed beside, it is still one service
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.Pipeline().Policies()[0].Timeout; got != "4s" {
		t.Errorf("it begins with %s", got)
	}
	if err := f.set(t.Context(), withTimeout(5*time.Second)); err != nil {
		t.Error(err)
	}
	if got := p.Pipeline().Policies()[0].Timeout; got != "5s" {
		t.Errorf("it goes on with %s", got)
	}
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Error(err)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := strings.Join(f.life, " "); got != "start shutdown" {
		t.Errorf("its life is %s", got)
	}
	if err := f.set(t.Context(), withTimeout(6*time.Second)); !errors.Is(err, core.ErrClosed) {
		t.Errorf("a producer that was shut down takes policies: %v", err)
	}
}

func TestBadPolicyFeeds(t *testing.T) {
	for _, tt := range []struct {
		feed *feed
		want string
	}{
		{&feed{}, "the policy feed began with nil"},
		{&feed{boom: "begin"}, "panic in policy feed: boom"},
		{&feed{begin: withTimeout(time.Second), boom: "follow"}, "policies: panic in policy feed: boom"},
		{&feed{begin: withTimeout(time.Second), follow: errors.New("no")}, `producer "test": policies: no`},
		{&feed{begin: withTimeout(-time.Second)}, `policy "default": Timeout is negative: -1s`},
	} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Policies = tt.feed
		if p, err := core.NewProducer(cfg); err == nil || p != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

// A name in Without that ends in "?" may be absent.
func TestWithoutWhatMayBeAbsent(t *testing.T) {
	pass := core.InterceptorFunc(func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
		return next(ctx, call)
	})
	cfg := coretest.Config(&coretest.Transport{}, core.CallStep("a", core.StageGuard, pass), core.CallStep("b", core.StageGuard, pass))
	cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "p", Without: []string{"x?", "a?", "y?"}}}
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pipeline, err := p.PipelineFor("T")
	if err != nil {
		t.Fatal(err)
	}
	if call, _ := pipeline.Names(); strings.Join(call, " ") != "b" {
		t.Errorf("it runs %v", call)
	}
	if got := strings.Join(pipeline.Policies()[0].Without, " "); got != "a" {
		t.Errorf("it is without %s", got)
	}
}
