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
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"go.uber.org/fx"
)

// cluster stands for a real one.
func cluster() *embedded.Cluster {
	c, err := embedded.Start(context.Background(), embedded.Config{})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// One client for the application: the producer uses it, and so can whoever wants to know of a
// topic before the first send.
func ExampleModule() {
	c := cluster()
	defer c.Close()
	ctx := context.Background()
	var p *core.Producer
	var client *remoting.Client
	app := fx.New(fx.NopLogger,
		rocketmqfx.Module,
		remotingfx.Module,
		fx.Supply(liftoff.Config{Group: "orders", NameServers: c.NameServers()}),
		fx.Populate(&p, &client))
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	res, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")})
	fmt.Println(res.Status, err)
	route, err := client.Route(ctx, "Orders")
	fmt.Println(route.Len() > 0, err)
	fmt.Println(app.Stop(ctx))
	// Output:
	// SEND_OK <nil>
	// true <nil>
	// <nil>
}

// A second cluster: New makes a client of it, for the producer that asks for it.
func ExampleNew() {
	first, second := cluster(), cluster()
	defer first.Close()
	defer second.Close()
	newMirror := func(p rocketmqfx.Params) (*core.Producer, error) {
		mirror, err := remotingfx.New(remotingfx.Params{
			Lifecycle: p.Lifecycle, Settings: remoting.Config{NameServers: second.NameServers()},
		})
		if err != nil {
			return nil, err
		}
		p.Transport, p.Routes = mirror.Transport, mirror.Routes
		return rocketmqfx.New(liftoff.Config{Group: "mirror"}, p)
	}
	var in struct {
		fx.In
		Orders *core.Producer
		Mirror *core.Producer `name:"mirror"`
	}
	ctx := context.Background()
	app := fx.New(fx.NopLogger,
		rocketmqfx.Module,
		remotingfx.Module,
		fx.Supply(liftoff.Config{Group: "orders", NameServers: first.NameServers()}),
		rocketmqfx.Named("mirror", newMirror),
		fx.Populate(&in))
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	for _, p := range []*core.Producer{in.Orders, in.Mirror} {
		if _, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(first.StoredCount("Orders"), second.StoredCount("Orders"))
	fmt.Println(app.Stop(ctx))
	// Output:
	// 1 1
	// <nil>
}
