package rocketmqfx_test

import (
	"context"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.uber.org/fx"
)

// quota is a step of the application's own.
type quota struct{}

func (*quota) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, call)
}

// tally is one that only listens.
type tally struct{ calls int }

func (t *tally) CallDone(context.Context, *core.CallReport) { t.calls++ }

// Two producers beside each other: what is given to Named is for that one alone,
// what is given to the application is for both.
func ExampleNamed() {
	var in struct {
		fx.In
		Orders *core.Producer
		Audit  *core.Producer `name:"audit"`
		Tally  *tally
	}
	app := fx.New(fx.NopLogger,
		rocketmqfx.Module,
		rocketmqfx.Configure(liftoff.Config{Group: "orders"}),
		embeddedfx.Module, rocketmqfx.Supply(embedded.Config{}),

		rocketmqfx.Provide(func() *tally { return new(tally) }),
		rocketmqfx.AsListener("tally", func(t *tally) *tally { return t }),
		rocketmqfx.AsInterceptor("quota", core.StageGuard, func() *quota { return new(quota) }),
		rocketmqfx.AsSelector(selector.RoundRobin),
		rocketmqfx.Limits(validate.MaxBodySize(1<<20)),

		rocketmqfx.Named("audit",
			rocketmqfx.Configure(liftoff.Config{Group: "audit"}),
			rocketmqfx.AsRetry(func() core.RetryPolicy { return retry.Safe() }),
			rocketmqfx.AsCompressor(compress.LZ4),
			rocketmqfx.WithoutBreaker(),
		),
		fx.Populate(&in))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	for _, p := range []*core.Producer{in.Orders, in.Audit} {
		res, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")})
		fmt.Println(p.Group(), res.Status, err)
	}
	fmt.Println(in.Tally.calls, "calls")
	fmt.Print(in.Audit.Pipeline())
	if err := app.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// orders SEND_OK <nil>
	// audit SEND_OK <nil>
	// 2 calls
	// call     guard    quota
	// call     guard    validate
	// call     encode   compress.lz4
	// core              message id, route, queue selection, retry
	// attempt           transport
	// listener          tally: call
}

// A producer that nobody takes is not made, so its mistakes stay unseen: Eager
// asks for it.
func ExampleEager() {
	options := fx.Options(fx.NopLogger,
		rocketmqfx.Module,
		rocketmqfx.AsConfig(func() (liftoff.Config, error) { return liftoff.Config{Group: "no group!"}, nil }),
		embeddedfx.Module, fx.Supply(embedded.Config{}))
	fmt.Println(fx.New(options).Err() != nil)
	fmt.Println(fx.New(options, rocketmqfx.Eager()).Err() != nil)
	// Output:
	// false
	// true
}
