// Plugin is a plugin as an outside author writes it, in a module of its own, and an fx application
// that uses it. Package tenants is the plugin: a queue selector, an attempt interceptor and a
// retry policy, which keep the messages of a company's tenants apart. Package tenants/tenantsfx is
// its fx module, and tenants/tenantsfile gives its parts names for files of policies. The tests run
// Liftoff's kits, strategies/strategytest and core/steptest.
//
// The application runs on a cluster in this process, whose brokers misbehave on request:
//
//	cd examples/plugin && go run .
//
// Its go.mod has a replace, which outside of this repository is not needed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants/tenantsfx"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
	"go.uber.org/fx"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// theTenants would come from a configuration file.
var theTenants = tenants.Config{Tenants: map[string]tenants.Tenant{
	"acme":   {Brokers: []string{"broker-a"}},
	"globex": {Brokers: []string{"broker-b", "broker-c"}, MaxInFlight: 64},
}}

func run(ctx context.Context, out io.Writer) (err error) {
	var shop struct {
		fx.In
		Producer *core.Producer
		Cluster  *embeddedfx.Cluster
	}
	app := fx.New(
		fx.NopLogger,
		rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "shop"}),
		tenantsfx.Module, // <- the plugin
		fx.Supply(theTenants),
		embeddedfx.Module, // a cluster in this process; for a real one NameServers in the Config instead
		fx.Supply(embedded.Config{Brokers: embedded.BrokerNames(3)}),
		fx.Populate(&shop),
	)
	if err := app.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Stop(ctx)) }()
	show(out, shop.Producer)
	send(ctx, out, shop.Producer, shop.Cluster.Embedded())
	return nil
}

// show prints what the plugin's parts say of themselves.
func show(out io.Writer, producer *core.Producer) {
	pipeline := producer.Pipeline()
	for _, p := range pipeline.Policies() {
		fmt.Fprintf(out, "selector  %v\n", p.Selector)
	}
	for _, s := range pipeline.Steps() {
		if s.Name == tenants.StepName {
			fmt.Fprintf(out, "step      %v\n\n", s.Description)
		}
	}
}

// send sends orders, some of which meet a broker that is read-only.
func send(ctx context.Context, out io.Writer, producer *core.Producer, cluster *embedded.Cluster) {
	elsewhere := &core.Queue{Broker: "broker-b", ID: 0}
	for _, s := range []struct {
		what, tenant string
		readOnly     string      // broker
		queue        *core.Queue // that the message names
	}{
		{what: "an order of acme", tenant: "acme"},
		{what: "another one", tenant: "acme"},
		{what: "an order of globex", tenant: "globex"},
		{what: "another one", tenant: "globex"},
		{what: "acme, whose only broker is read-only", tenant: "acme", readOnly: "broker-a"},
		{what: "globex, one of whose brokers is read-only", tenant: "globex", readOnly: "broker-b"},
		{what: "acme, at a queue of globex", tenant: "acme", queue: elsewhere},
		{what: "a tenant that nobody knows", tenant: "initech"},
		{what: "an order that is nobody's"},
	} {
		remove := cluster.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
			if r.Node == s.readOnly {
				return embedded.Reply(rocketmq.CodeNoPermission, "the broker is read-only")
			}
			return embedded.Pass()
		})
		msg := &core.Message{Topic: "Orders", Body: []byte("3 books"), Queue: s.queue}
		if s.tenant != "" {
			msg.Properties = map[string]string{tenants.Property: s.tenant}
		}
		result, err := producer.Send(ctx, msg)
		fmt.Fprintf(out, "%-42s %s\n", s.what+":", describe(result, err))
		remove()
	}
}

func describe(r core.Result, err error) string {
	var failed *core.SendError
	switch {
	case errors.As(err, &failed) && len(failed.Attempts) == 0:
		return fmt.Sprintf("%v (%v), without an attempt", failed.Certainty, failed.Class)
	case errors.As(err, &failed):
		return fmt.Sprintf("%v (%v), given up after attempt %d", failed.Certainty, failed.Class, len(failed.Attempts))
	case err != nil:
		return err.Error()
	}
	return fmt.Sprintf("on %s by attempt %d", r.Queue.Broker, r.Attempts)
}
