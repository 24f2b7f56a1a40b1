package rocketmqfx_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"go.uber.org/fx"
)

// calls counts how often each part was used.
type calls struct{ step, hook, call, attempt, listen, forbid, send, selector, retry, budget, health, codec atomic.Int64 }

type passer struct{ n *atomic.Int64 }

func newPass() *passer { return &passer{new(atomic.Int64)} }

func (p *passer) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	p.n.Add(1)
	return next(ctx, c)
}

type attemptPasser struct{ n *atomic.Int64 }

func (p *attemptPasser) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	p.n.Add(1)
	return next(ctx, at)
}

type counter struct{ n *atomic.Int64 }

func newCounter() *counter { return &counter{new(atomic.Int64)} }

func (c *counter) CallDone(context.Context, *core.CallReport) { c.n.Add(1) }

type stateListener struct{ f func(*core.StateReport) }

func (l *stateListener) StateChanged(r *core.StateReport) { l.f(r) }

type stepper struct{ n *atomic.Int64 }

func (s *stepper) Step() core.Step {
	return core.CallStep("own.hook", core.StageObserve, &passer{s.n})
}

func newForbid(name string) func() forbid.Hook {
	return func() forbid.Hook {
		return forbid.Func(name, func(context.Context, *forbid.Context) error { return nil })
	}
}

func newSendHook(name string) func() sendhook.Hook {
	return func() sendhook.Hook {
		return sendhook.Funcs(name, nil, func(context.Context, *sendhook.Context) {})
	}
}

type budget struct{ n *atomic.Int64 }

func (b *budget) Withdraw() bool { return true }
func (b *budget) Deposit()       { b.n.Add(1) }

type health struct{ n *atomic.Int64 }

func (h *health) Health(string) core.Health { h.n.Add(1); return core.HealthGood }

type codec struct{ n *atomic.Int64 }

func (c *codec) Name() string   { return "zlib" }
func (c *codec) SysFlag() int32 { return 1 }
func (c *codec) Append(dst, _ []byte) ([]byte, error) {
	c.n.Add(1)
	return append(dst, 'z'), nil
}

// Every helper puts its part into the producer.
func TestEveryPartIsUsed(t *testing.T) {
	var n calls
	var p *core.Producer
	failed := false
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if !failed {
			failed = true
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "")
		}
		return tr.Ack(at), nil
	}
	run(t, basics(tr,
		rocketmqfx.AsStep(func() core.Step {
			return core.CallStep("own.step", core.StageShape, &passer{&n.step})
		}),
		rocketmqfx.AsHook(func() *stepper { return &stepper{&n.hook} }),
		rocketmqfx.AsInterceptor("own.call", core.StageGuard, func() *passer { return &passer{&n.call} }),
		rocketmqfx.AsAttemptInterceptor("own.attempt", core.AttemptWire, func() *attemptPasser { return &attemptPasser{&n.attempt} }),
		rocketmqfx.AsListener("own.listener", func() *counter { return &counter{&n.listen} }),
		rocketmqfx.AsForbidHook(func() forbid.Hook {
			return forbid.Func("own", func(context.Context, *forbid.Context) error { n.forbid.Add(1); return nil })
		}),
		rocketmqfx.AsSendHook(func() sendhook.Hook {
			return sendhook.Funcs("own", nil, func(context.Context, *sendhook.Context) { n.send.Add(1) })
		}),
		rocketmqfx.AsSelector(func() core.SelectorFactoryFunc {
			return func(topic string) core.QueueSelector {
				n.selector.Add(1)
				return coretest.InOrder().ForTopic(topic)
			}
		}),
		rocketmqfx.AsRetry(func() (core.RetryPolicyFunc, error) {
			return func(*core.Failure) core.Decision { n.retry.Add(1); return core.Decision{Retry: true} }, nil
		}),
		rocketmqfx.AsBudget(func() *budget { return &budget{&n.budget} }),
		rocketmqfx.AsHealth(func() *health { return &health{&n.health} }),
		rocketmqfx.AsCompressor(func() *codec { return &codec{&n.codec} }),
		fx.Populate(&p)))
	const large = 64 << 10
	if _, err := p.Send(t.Context(), &core.Message{Topic: "T", Body: []byte(strings.Repeat("x", large))}); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]*atomic.Int64{
		"step": &n.step, "hook": &n.hook, "interceptor": &n.call, "attempt interceptor": &n.attempt, "listener": &n.listen,
		"forbid hook": &n.forbid, "send hook": &n.send, "selector": &n.selector, "retry": &n.retry, "budget": &n.budget,
		"health": &n.health, "compressor": &n.codec,
	} {
		if got.Load() == 0 {
			t.Errorf("the %s was not used", name)
		}
	}
	if got := tr.Attempts(); len(got) != 2 || got[1].Body != "z" {
		t.Errorf("%d attempts", len(got))
	}
}

func TestLeavingOutAndLimiting(t *testing.T) {
	var p *core.Producer
	run(t, basics(&coretest.Transport{}, rocketmqfx.WithoutBreaker(), rocketmqfx.WithoutCompression(),
		rocketmqfx.Limits(validate.MaxBodySize(3)), fx.Populate(&p)))
	for _, absent := range []string{"breaker", "compress"} {
		if s := p.Pipeline().String(); strings.Contains(s, absent) {
			t.Errorf("pipeline has %s:\n%s", absent, s)
		}
	}
	if _, err := p.Send(t.Context(), coretest.Message("1234")); !errors.Is(err, core.ErrInvalidMessage) {
		t.Errorf("a body over the limit: %v", err)
	}
}

func firstSelector() core.SelectorFactory  { return coretest.InOrder() }
func secondSelector() core.SelectorFactory { return coretest.InOrder() }

func TestDuplicatesAreErrors(t *testing.T) {
	app := func(more ...fx.Option) fx.Option {
		return basics(&coretest.Transport{}, append(more, rocketmqfx.Eager())...)
	}
	step := func() core.Step { return core.CallStep("twin", core.StageGuard, newPass()) }
	tests := []struct {
		name      string
		app       fx.Option
		validates bool
		names     []string
	}{
		{"selectors", app(rocketmqfx.AsSelector(firstSelector), rocketmqfx.AsSelector(secondSelector)), false, []string{"selector is given 2 times", "firstSelector", "secondSelector"}},
		{"one selector twice", app(rocketmqfx.AsSelector(firstSelector), rocketmqfx.AsSelector(firstSelector)), true, []string{"already provided", "rocketmq.selector by", "firstSelector"}},
		{"interceptors", app(rocketmqfx.AsInterceptor("twin", core.StageGuard, newPass), rocketmqfx.AsInterceptor("twin", core.StageGuard, newPass)), true, []string{"already provided", "rocketmq.twin by", "newPass"}},
		{"steps", app(rocketmqfx.AsStep(step), rocketmqfx.AsStep(step)), false, []string{`"twin"`, "more than once"}},
		{"a step and an interceptor", app(rocketmqfx.AsStep(step), rocketmqfx.AsInterceptor("twin", core.StageGuard, newPass)), false, []string{`"twin"`}},
		{"forbid hooks", app(rocketmqfx.AsForbidHook(newForbid("a")), rocketmqfx.AsForbidHook(newForbid("a"))), false, []string{"forbid.a"}},
		{"a step of the default producer", app(rocketmqfx.AsStep(func() core.Step {
			return core.CallStep("validate", core.StageGuard, newPass())
		})), false, []string{`"validate"`}},
		{
			"breaker and none", app(rocketmqfx.WithoutBreaker(), rocketmqfx.AsBreaker(func() (*breaker.Breakers, error) { return breaker.New(breaker.Config{}) })), false,
			[]string{"breaker is given 2 times", "WithoutBreaker", "TestDuplicatesAreErrors"},
		},
		{"orders", app(rocketmqfx.Order(core.Order{}), rocketmqfx.Order(core.Order{})), false, []string{"order is given 2 times"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantErr(t, tt.validates, tt.app, tt.names...) })
	}
}

// What fx would drop if it were optional is an error that names what is missing.
func TestMissingDependencyIsReported(t *testing.T) {
	type rules struct{}
	app := func(more ...fx.Option) fx.Option {
		return basics(&coretest.Transport{}, append(more, rocketmqfx.Eager())...)
	}
	tests := map[string]fx.Option{
		"selector":    rocketmqfx.AsSelector(func(*rules) core.SelectorFactory { return coretest.InOrder() }),
		"retry":       rocketmqfx.AsRetry(func(*rules) core.RetryPolicy { return coretest.NoRetry() }),
		"codec":       rocketmqfx.AsCompressor(func(*rules) core.Compressor { return compress.LZ4() }),
		"step":        rocketmqfx.AsStep(func(*rules) core.Step { return core.Step{} }),
		"hook":        rocketmqfx.AsHook(func(*rules) *stepper { return nil }),
		"interceptor": rocketmqfx.AsInterceptor("x", core.StageGuard, func(*rules) *passer { return newPass() }),
		"listener":    rocketmqfx.AsListener("x", func(*rules) *counter { return newCounter() }),
		"forbid hook": rocketmqfx.AsForbidHook(func(*rules) forbid.Hook { return nil }),
		"send hook":   rocketmqfx.AsSendHook(func(*rules) sendhook.Hook { return nil }),
	}
	for name, part := range tests {
		t.Run(name, func(t *testing.T) { wantErr(t, true, app(part), "rocketmqfx_test.rules") })
	}
}

func TestBrokenPartsAreReported(t *testing.T) {
	app := func(more ...fx.Option) fx.Option {
		return basics(&coretest.Transport{}, append(more, rocketmqfx.Eager())...)
	}
	tests := []struct {
		name      string
		part      fx.Option
		validates bool
		names     []string
	}{
		{"constructor fails", rocketmqfx.AsRetry(func() (core.RetryPolicy, error) { return nil, io.ErrUnexpectedEOF }), false, []string{"unexpected EOF"}},
		{"wrong type", rocketmqfx.AsRetry(func() *passer { return newPass() }), true, []string{"core.RetryPolicy"}},
		{"a function in place of a constructor", rocketmqfx.AsRetry(coretest.NoRetry()), true, []string{"AsRetry", "function that returns a core.RetryPolicy"}},
		{"a value in place of a constructor", rocketmqfx.AsBudget(&budget{}), true, []string{"AsBudget is given a *rocketmqfx_test.budget", "func() core.RetryBudget"}},
		{"nil in place of a constructor", rocketmqfx.AsSelector(nil), true, []string{"AsSelector is given nil"}},
		{"nil in place of a step", rocketmqfx.AsStep(nil), true, []string{"AsStep is given nil"}},
		{"constructor returns nil", rocketmqfx.AsSelector(func() core.SelectorFactory { return nil }), false, []string{"AsSelector", "returned nil", "TestBrokenPartsAreReported"}},
		{"constructor returns no breakers", rocketmqfx.AsBreaker(func() *breaker.Breakers { return nil }), false, []string{"AsBreaker", "returned nil"}},
		{"no listener", rocketmqfx.AsListener("deaf", func() *budget { return &budget{} }), false, []string{`"deaf"`, "no interceptor"}},
		{"no stage", rocketmqfx.AsInterceptor("floating", core.StageNone, newPass), false, []string{`"floating"`, "Stage"}},
		{"bad hook name", rocketmqfx.AsForbidHook(newForbid("Not A Name")), false, []string{"Not A Name"}},
		{"nil send hook", rocketmqfx.AsSendHook(func() sendhook.Hook { return nil }), false, []string{"sendhook: hook is nil"}},
		{"bad order", rocketmqfx.Order(core.Order{Call: []string{"validate"}}), false, []string{"missing in the call order"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantErr(t, tt.validates, app(tt.part), tt.names...) })
	}
}
