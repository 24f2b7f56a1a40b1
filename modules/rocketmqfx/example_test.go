package rocketmqfx_test

import (
	"context"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.uber.org/fx"
)

// start starts an application and gives what stops it.
func start(options ...fx.Option) (stop func()) {
	ctx := context.Background()
	app := fx.New(fx.NopLogger, fx.Options(options...))
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	return func() {
		if err := app.Stop(ctx); err != nil {
			log.Fatal(err)
		}
	}
}

func hello(p *core.Producer) {
	res, err := p.Send(context.Background(), &core.Message{Topic: "Orders", Body: []byte("hello")})
	fmt.Println(p.Group(), res.Status, err)
}

// A module and a configuration are a running producer.
func ExampleModule() {
	cluster, err := embedded.Start(context.Background(), embedded.Config{}) // in a real program it is elsewhere
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()

	var p *core.Producer
	stop := start(
		rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders", NameServers: cluster.NameServers()}),
		fx.Populate(&p))
	defer stop()
	hello(p)
	// Output: orders SEND_OK <nil>
}

// New is what Module provides. A program that wants another configuration for it, or other
// parts, can call it in a constructor of its own.
func ExampleNew() {
	var p *core.Producer
	stop := start(
		embeddedfx.Module,
		fx.Provide(func(p rocketmqfx.Params) (*core.Producer, error) {
			p.Options = append(p.Options, liftoff.WithoutBreaker())
			return rocketmqfx.New(liftoff.Config{Group: "orders"}, p)
		}),
		fx.Populate(&p))
	defer stop()
	hello(p)
	// Output: orders SEND_OK <nil>
}

// Two producers beside each other, over one client. What is given to the application is for
// both; the function of the named one says what is different there.
func ExampleNamed() {
	newAudit := func(p rocketmqfx.Params) (*core.Producer, error) {
		p.Retry = retry.Safe()
		p.Options = append(p.Options, liftoff.WithoutBreaker())
		return rocketmqfx.New(liftoff.Config{Group: "audit"}, p)
	}
	var in struct {
		fx.In
		Orders *core.Producer
		Audit  *core.Producer `name:"audit"`
	}
	stop := start(
		embeddedfx.Module,
		rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders"}),
		rocketmqfx.Named("audit", newAudit),
		fx.Populate(&in))
	defer stop()
	hello(in.Orders)
	hello(in.Audit)
	// Output:
	// orders SEND_OK <nil>
	// audit SEND_OK <nil>
}

// patience is a dependency of the application's own retry policy.
type patience int

func newRetry(p patience) core.RetryPolicy { return retry.AtLeastOnce(retry.Retries(int(p))) }

// A part with a dependency. Without the patience the application does not start.
func ExampleUse() {
	options := fx.Options(fx.NopLogger,
		embeddedfx.Module,
		rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders"}),
		rocketmqfx.Use[core.RetryPolicy](newRetry),
		fx.Invoke(func(*core.Producer) {}))
	fmt.Println(fx.New(options, fx.Supply(patience(5))).Err())
	fmt.Println(fx.New(options).Err() != nil)
	// Output:
	// <nil>
	// true
}

func ExampleAsHook() {
	audit := func() (*sendhook.Observer, error) {
		return sendhook.New(sendhook.Funcs("audit", nil, func(_ context.Context, c *sendhook.Context) {
			fmt.Println("sent", c.Topic(), "to", c.Queue().Broker)
		}))
	}
	var p *core.Producer
	stop := start(embeddedfx.Module, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
		rocketmqfx.AsHook(audit), fx.Populate(&p))
	defer stop()
	hello(p)
	// Output:
	// sent Orders to broker-a
	// orders SEND_OK <nil>
}

// quota is a step of the application's own.
type quota struct{ sends int }

func (q *quota) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	q.sends++
	return next(ctx, call)
}

func ExampleAsStep() {
	newQuota := func() *quota { return &quota{} }
	var p *core.Producer
	var q *quota
	stop := start(embeddedfx.Module, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
		fx.Provide(newQuota),
		rocketmqfx.AsStep(func(q *quota) core.Step { return core.CallStep("quota", core.StageGuard, q) }),
		fx.Populate(&p, &q))
	defer stop()
	hello(p)
	fmt.Println(q.sends, "send")
	// Output:
	// orders SEND_OK <nil>
	// 1 send
}

// Options are for what has no type of its own in the graph.
func ExampleAsOption() {
	var p *core.Producer
	stop := start(embeddedfx.Module, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
		rocketmqfx.AsOption(liftoff.WithoutCompression),
		rocketmqfx.AsOption(func() liftoff.Option {
			return liftoff.WithHandler(core.RequestOther, core.ServerRequestHandlerFunc(
				func(_ context.Context, r *core.ServerRequest) { fmt.Println(r.Name) }))
		}),
		fx.Populate(&p))
	defer stop()
	fmt.Println(p.Pipeline().Names())
	// Output: [validate] [breaker]
}
