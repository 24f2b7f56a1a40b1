package rocketmqfx_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.uber.org/fx"
)

// three takes a default and two named producers.
type three struct {
	fx.In

	Default *core.Producer
	Orders  *core.Producer `name:"orders"`
	Audit   *core.Producer `name:"audit"`

	OrdersPipeline *core.Pipeline `name:"orders"`
	AuditPipeline  *core.Pipeline `name:"audit"`
}

func onlyQueue(i int) func() core.SelectorFactory {
	return func() core.SelectorFactory {
		return core.SelectorFactoryFunc(func(string) core.QueueSelector {
			return core.QueueSelectorFunc(func(context.Context, *core.Selection) (int, error) { return i, nil })
		})
	}
}

func TestNamedProducers(t *testing.T) {
	var forAll, forOrders, forAudit atomic.Int64
	var ps three
	opts := basics(&coretest.Transport{},
		rocketmqfx.AsInterceptor("shared", core.StageGuard, func() *passer { return &passer{&forAll} }),
		rocketmqfx.AsSelector(onlyQueue(1)),
		rocketmqfx.Named("orders", rocketmqfx.Configure(liftoff.Config{Group: "orders-group"}),
			rocketmqfx.AsInterceptor("own", core.StageGuard, func() *passer { return &passer{&forOrders} }),
			rocketmqfx.AsSelector(onlyQueue(2))),
		rocketmqfx.Named("audit", rocketmqfx.Configure(liftoff.Config{Group: "audit-group"}),
			rocketmqfx.AsInterceptor("own", core.StageGuard, func() *passer { return &passer{&forAudit} }),
			rocketmqfx.Provide(func() *atomic.Int64 { return &forAudit }),
			rocketmqfx.AsStep(func(n *atomic.Int64) core.Step {
				return core.CallStep("second", core.StageGuard, &passer{n})
			}),
			rocketmqfx.WithoutBreaker()),
		fx.Invoke(func(in three) { ps = in }))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	run(t, opts)

	steps := func(p *core.Producer) []string { call, _ := p.Pipeline().Names(); return call }
	tests := []struct {
		p     *core.Producer
		group string
		steps []string
		queue core.Queue
	}{
		{ps.Default, "orders", []string{"shared", "validate", "compress.zlib"}, core.Queue{Broker: "broker-a", ID: 1}},
		{ps.Orders, "orders-group", []string{"own", "shared", "validate", "compress.zlib"}, core.Queue{Broker: "broker-b", ID: 0}},
		{ps.Audit, "audit-group", []string{"own", "second", "shared", "validate", "compress.zlib"}, core.Queue{Broker: "broker-a", ID: 1}},
	}
	for _, tt := range tests {
		if tt.p.Group() != tt.group || !slices.Equal(steps(tt.p), tt.steps) {
			t.Errorf("group %q with steps %v, want %q with %v", tt.p.Group(), steps(tt.p), tt.group, tt.steps)
		}
		if got := must(t, tt.p).Queue; got != tt.queue {
			t.Errorf("%s: sent to %v, want %v", tt.group, got, tt.queue)
		}
	}
	for _, named := range []struct {
		p    *core.Producer
		pipe *core.Pipeline
	}{{ps.Orders, ps.OrdersPipeline}, {ps.Audit, ps.AuditPipeline}} {
		if named.p.Pipeline() != named.pipe {
			t.Errorf("%s: the pipeline of that name is another one", named.p.Group())
		}
	}
	if forAll.Load() != 3 || forOrders.Load() != 1 || forAudit.Load() != 2 {
		t.Errorf("steps ran %d times for all, %d for orders, %d for audit", forAll.Load(), forOrders.Load(), forAudit.Load())
	}
	if _, attempt := ps.Audit.Pipeline().Names(); slices.Contains(attempt, "breaker") {
		t.Error("the audit producer has a breaker")
	}
	if _, attempt := ps.Orders.Pipeline().Names(); !slices.Contains(attempt, "breaker") {
		t.Error("the orders producer has no breaker")
	}
}

func TestNamedAlone(t *testing.T) {
	var p *core.Producer
	run(t, fx.NopLogger, over(&coretest.Transport{}),
		rocketmqfx.Named("solo", rocketmqfx.Configure(liftoff.Config{Group: "solo"}), rocketmqfx.Eager()),
		fx.Invoke(fx.Annotate(func(named *core.Producer) { p = named }, fx.ParamTags(rocketmqfx.Tag("solo")))))
	must(t, p)
}

// A transport given to Named is that producer's alone.
func TestNamedTransport(t *testing.T) {
	shared, own := &coretest.Transport{}, &coretest.Transport{}
	var ps struct {
		fx.In
		Default *core.Producer
		Own     *core.Producer `name:"own"`
	}
	run(t, basics(shared,
		rocketmqfx.Named("own", rocketmqfx.Configure(liftoff.Config{Group: "own"}),
			rocketmqfx.Provide(func() (core.Transport, core.RouteSource) { return own, coretest.Routes(1, "x") })),
		fx.Populate(&ps)))
	must(t, ps.Default)
	must(t, ps.Own)
	if len(shared.Attempts()) != 1 || len(own.Attempts()) != 1 {
		t.Errorf("%d sends over the shared transport, %d over the own", len(shared.Attempts()), len(own.Attempts()))
	}
}

func TestNamedErrors(t *testing.T) {
	cfg := rocketmqfx.Configure(liftoff.Config{Group: "g"})
	app := func(more ...fx.Option) fx.Option { return basics(&coretest.Transport{}, more...) }
	tests := []struct {
		name      string
		app       fx.Option
		validates bool
		names     []string
	}{
		{"no configuration", app(rocketmqfx.Named("orders", rocketmqfx.Eager())), true, []string{`producer "orders" has no configuration`, "Configure"}},
		{"twice", app(rocketmqfx.Named("orders", cfg), rocketmqfx.Named("orders", cfg)), true, []string{"already provided", "orders"}},
		{"bad name", app(rocketmqfx.Named(`a"b`, cfg)), true, []string{`a\"b`}},
		{
			"two selectors", app(rocketmqfx.Named("orders", cfg, rocketmqfx.Eager(), rocketmqfx.AsSelector(firstSelector), rocketmqfx.AsSelector(secondSelector))), false,
			[]string{`producer "orders"`, "firstSelector", "secondSelector"},
		},
		{"bad step", app(rocketmqfx.Named("orders", cfg, rocketmqfx.Eager(), rocketmqfx.AsInterceptor("x", core.StageNone, newPass))), false, []string{`"x"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantErr(t, tt.validates, tt.app, tt.names...) })
	}
}
