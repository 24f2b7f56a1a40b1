package remotingfx_test

import (
	"context"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/remotingfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.uber.org/fx"
)

func ExampleNameServers() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{}) // stands for a real one
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	var p *core.Producer
	app := fx.New(fx.NopLogger,
		rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
		remotingfx.Module, remotingfx.NameServers(cluster.NameServers()...),
		fx.Populate(&p))
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	res, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")})
	fmt.Println(res.Status, err)
	fmt.Println(app.Stop(ctx))
	// Output:
	// SEND_OK <nil>
	// <nil>
}
