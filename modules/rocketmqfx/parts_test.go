package rocketmqfx_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/modules/breakerfx"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/metricsfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/modules/tracingfx"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"go.uber.org/fx"
)

// seen counts how often each part was used.
type seen map[string]*atomic.Int64

func (s seen) part(name string) *atomic.Int64 {
	s[name] = new(atomic.Int64)
	return s[name]
}

// counting is every kind of part: it counts its uses.
type counting struct{ n *atomic.Int64 }

func (c *counting) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	c.n.Add(1)
	return next(ctx, call)
}

func (c *counting) ForTopic(topic string) core.QueueSelector {
	c.n.Add(1)
	return coretest.InOrder().ForTopic(topic)
}

func (c *counting) Next(*core.Failure) core.Decision {
	c.n.Add(1)
	return core.Decision{Retry: true}
}

func (c *counting) Withdraw(*core.Failure) bool    { return true }
func (c *counting) Deposit()                       { c.n.Add(1) }
func (c *counting) Health(core.Broker) core.Health { c.n.Add(1); return core.HealthGood }
func (c *counting) Name() string                   { return "zlib" }
func (c *counting) Append(dst, _ []byte) ([]byte, error) {
	c.n.Add(1)
	return append(dst, 'z'), nil
}

func (c *counting) HandleServerRequest(context.Context, *core.ServerRequest) { c.n.Add(1) }

func (c *counting) Policy(string) *core.Policy { c.n.Add(1); return ownPolicy }
func (c *counting) Policies() []core.TopicPolicy {
	return []core.TopicPolicy{{Topics: "every topic", Policy: ownPolicy}}
}

var ownPolicy = &core.Policy{Name: "own"}

type hook struct{ counting }

func (h *hook) Step() core.Step { return core.CallStep("own.hook", core.StageObserve, &h.counting) }

// Every way in puts its part into the producer: plain provides, Use, and what is added.
func TestEveryPartIsUsed(t *testing.T) {
	s := seen{}
	tr := &registrar{}
	var failed atomic.Bool
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if failed.CompareAndSwap(false, true) {
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
		}
		return tr.Ack(at), nil
	}
	step := func(name string) core.Step {
		return core.CallStep(name, core.StageGuard, &counting{s.part(name)})
	}
	adding := func(name string) liftoff.Option { return liftoff.WithSteps(step(name)) }
	var p *core.Producer
	run(t, basics(tr,
		rocketmqfx.AsHook(func() (*hook, error) { return &hook{counting{s.part("hook")}}, nil }),
		rocketmqfx.AsStep(func() (core.Step, error) { return step("step"), nil }),
		fx.Provide(func() core.Step { return step("plain-step") }),
		rocketmqfx.AsOption(func() (liftoff.Option, error) { return adding("option"), nil }),
		fx.Provide(func() liftoff.Option { return adding("plain-option") }),
		rocketmqfx.AsOption(func() liftoff.Option {
			return liftoff.WithHandler(core.RequestReply, &counting{s.part("handler")})
		}),
		rocketmqfx.Use[core.SelectorFactory](func() *counting { return &counting{s.part("selector")} }),
		rocketmqfx.Use[core.RetryPolicy](func() (core.RetryPolicy, error) { return &counting{s.part("retry")}, nil }),
		fx.Provide(
			func() core.RetryBudget { return &counting{s.part("budget")} },
			func() core.HealthView { return &counting{s.part("health")} },
			func() core.Compressor { return &counting{s.part("compressor")} },
			func() core.PolicySource { return &counting{s.part("policies")} },
			func() (*breaker.Breakers, error) {
				s.part("breaker").Add(0)
				return breaker.New(breaker.Config{Trip: func(breaker.Counts) bool { s["breaker"].Add(1); return false }})
			},
			func() core.Order {
				s.part("order").Add(1)
				return core.Order{Call: []string{"step", "plain-step", "option", "plain-option", "own.hook", "validate", "compress.zlib"}}
			}),
		fx.Populate(&p)))
	const large = 64 << 10
	if _, err := p.Send(t.Context(), &core.Message{Topic: "T", Body: []byte(strings.Repeat("x", large))}); err != nil {
		t.Fatal(err)
	}
	if err := tr.inbox.Deliver(&core.ServerRequest{Kind: core.RequestReply, Group: "orders"}); err != nil {
		t.Error(err)
	}
	if err := p.Shutdown(t.Context()); err != nil { // waits for the handler
		t.Error(err)
	}
	for name, n := range s {
		if n.Load() == 0 {
			t.Errorf("the %s was not used", name)
		}
	}
	if got := tr.Attempts(); len(got) != 2 || got[1].Body != "z" {
		t.Errorf("%d attempts", len(got))
	}
	if got, _ := p.Pipeline().Names(); got[0] != "step" {
		t.Errorf("the order was not used: %v", got)
	}
}

func TestOptions(t *testing.T) {
	var p *core.Producer
	run(t, basics(&coretest.Transport{},
		rocketmqfx.AsOption(liftoff.WithoutBreaker), rocketmqfx.AsOption(liftoff.WithoutCompression),
		fx.Supply(validate.MaxBodySize(3)),
		rocketmqfx.AsOption(func(max validate.Option) liftoff.Option { return liftoff.WithLimits(max) }),
		fx.Populate(&p)))
	for _, absent := range []string{"breaker", "compress"} {
		if s := p.Pipeline().String(); strings.Contains(s, absent) {
			t.Errorf("the pipeline has %s:\n%s", absent, s)
		}
	}
	if _, err := p.Send(t.Context(), coretest.Message("1234")); !errors.Is(err, core.ErrInvalidMessage) {
		t.Errorf("a body over the limit: %v", err)
	}
}

// Neither the order of the modules nor that of fx's value groups is in the pipeline.
func TestOrderNeverDependsOnTheContainer(t *testing.T) {
	observer := func(name string) any {
		return func() (*sendhook.Observer, error) {
			return sendhook.New(sendhook.Funcs(name, nil, func(context.Context, *sendhook.Context) {}))
		}
	}
	check := func(name string) any {
		return func() (*forbid.Check, error) {
			return forbid.New(forbid.Func(name, func(context.Context, *forbid.Context) error { return nil }))
		}
	}
	const apps = 100
	var first string
	for range apps {
		var p *core.Producer
		opts := []fx.Option{
			fx.NopLogger, rocketmqfx.Module, embeddedfx.Module, tracingfx.Module, metricsfx.Module, breakerfx.Module,
			fx.Supply(liftoff.Config{Group: "orders"}, breaker.Config{}),
			rocketmqfx.AsStep(func() core.Step { return passing("delta") }),
			rocketmqfx.AsStep(func() core.Step { return passing("alpha") }),
			rocketmqfx.AsOption(func() liftoff.Option { return liftoff.WithSteps(passing("charlie"), passing("bravo")) }),
			fx.Provide(func() core.Step { return passing("echo") }),
			rocketmqfx.AsHook(check("two")), rocketmqfx.AsHook(check("one")),
			rocketmqfx.AsHook(observer("two")), rocketmqfx.AsHook(observer("one")),
			fx.Populate(&p),
		}
		rand.Shuffle(len(opts), func(i, j int) { opts[i], opts[j] = opts[j], opts[i] })
		if err := fx.New(opts...).Err(); err != nil {
			t.Fatal(err)
		}
		switch s := p.Pipeline().String(); {
		case first == "":
			first = s
		case s != first:
			t.Fatalf("another pipeline:\n%s\nfirst was:\n%s", s, first)
		}
	}
	for _, name := range []string{
		"alpha", "bravo", "charlie", "delta", "echo", "forbid.one", "forbid.two", "sendhook.one", "sendhook.two",
		"otel.trace", "otel.metrics", "breaker",
	} {
		if !strings.Contains(first, name) {
			t.Errorf("the pipeline is without %s:\n%s", name, first)
		}
	}
}
