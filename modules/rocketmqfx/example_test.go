package rocketmqfx_test

import (
	"context"
	"fmt"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.uber.org/fx"
)

// An application with a producer, a cluster in this process and a hook of its own.
func ExampleNew() {
	audit := func() sendhook.Hook {
		return sendhook.Funcs("audit", nil, func(_ context.Context, c *sendhook.Context) {
			fmt.Println("sent", c.Topic(), "to", c.Queue().Broker)
		})
	}
	var p *core.Producer
	app := fx.New(fx.NopLogger,
		fx.Supply(liftoff.Config{Group: "orders"}, embedded.Config{}),
		rocketmqfx.Module, // provides New
		embeddedfx.Module,
		rocketmqfx.AsSendHook(audit),
		fx.Populate(&p))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	res, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")})
	fmt.Println(res.Status, err)
	if err := app.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// sent Orders to broker-a
	// SEND_OK <nil>
}
