// Fxapp is an fx application with a producer. One line adds tracing to it: run it
// with -trace to see the difference.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/modules/tracingfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
	"go.uber.org/fx"
)

func main() {
	traced := flag.Bool("trace", false, "add tracing")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *traced); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, traced bool) error {
	var shop *Shop
	options := []fx.Option{
		fx.NopLogger,
		rocketmqfx.Module, // the producer
		fx.Supply(liftoff.Config{Group: "shop"}),
		embeddedfx.Module, // a cluster in this process; for a real one NameServers in the Config instead
		fx.Supply(embedded.Config{Brokers: embedded.BrokerNames(2)}),
		rocketmqfx.AsHook(NewCurfew), // a hook of the application's own
		fx.Provide(NewShop),
		fx.Provide(func() io.Writer { return w }, NewTracing), // made only if somebody asks
		fx.Populate(&shop),
	}
	if traced {
		options = append(options, tracingfx.Module) // <- the one line that adds tracing
	}
	app := fx.New(options...)
	if err := app.Start(ctx); err != nil {
		return err
	}
	call, attempt := shop.producer.Pipeline().Names()
	fmt.Fprintf(w, "steps for each call %v, for each attempt %v\n\n", call, attempt)
	shop.Sell(ctx, "an order", "hello")
	shop.cluster.Embedded().ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
		return embedded.Reply(rocketmq.CodeSystemBusy, "scripted")
	})
	shop.Sell(ctx, "an order that meets a busy broker", "hello again")
	shop.Sell(ctx, "an order without a body", "")
	shop.Sell(ctx, "an order at night", "psst")
	return app.Stop(ctx)
}

// Shop is the application: fx gives it the producer.
type Shop struct {
	producer *core.Producer
	cluster  *embeddedfx.Cluster
	out      io.Writer
}

// NewShop makes the shop.
func NewShop(p *core.Producer, c *embeddedfx.Cluster, out io.Writer) *Shop { return &Shop{p, c, out} }

// Sell sends an order.
func (s *Shop) Sell(ctx context.Context, what, body string) {
	fmt.Fprintf(s.out, "%s:\n", what)
	res, err := s.producer.Send(ctx, &core.Message{Topic: "Orders", Tag: "shop", Body: []byte(body)})
	if err != nil {
		fmt.Fprintf(s.out, "  failed, %v: %v\n", core.CertaintyOf(err), core.ClassOf(err))
		return
	}
	fmt.Fprintf(s.out, "  %v on %s by attempt %d\n", res.Status, res.Queue.Broker, res.Attempts)
}

// NewCurfew makes a forbid-check hook: nothing is sold at night.
func NewCurfew() (*forbid.Check, error) {
	return forbid.New(forbid.Func("curfew", func(_ context.Context, c *forbid.Context) error {
		if string(c.Message().Body) == "psst" {
			return fmt.Errorf("%s is closed", c.Queue().Broker)
		}
		return nil
	}))
}
