package liftoff_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// A step of one's own stands where its stage says.
func ExampleWithSteps() {
	quota := core.InterceptorFunc(func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
		return next(ctx, call)
	})
	producer, err := liftoff.New(
		liftoff.Config{Group: "orders", NameServers: []string{"127.0.0.1:9876"}},
		liftoff.WithSteps(core.CallStep("quota", core.StageGuard, quota).After("validate")),
		liftoff.WithoutBreaker(), liftoff.WithoutCompression(),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(producer.Pipeline())
	// Output:
	// call     guard    validate
	// call     guard    quota
	// core              message id, route, queue selection, retry
	// attempt           transport
}

// An order that is given outright lists every step.
func ExampleWithOrder() {
	_, err := liftoff.New(
		liftoff.Config{Group: "orders", NameServers: []string{"127.0.0.1:9876"}},
		liftoff.WithOrder(core.Order{Call: []string{"validate"}}),
	)
	fmt.Println(err)
	// Output: producer "orders": pipeline: step "compress.zlib": missing in the call order
}

// The parts of the default producer, each replaced.
func ExampleWithSelector() {
	budget, err := retry.NewBudget(0.2, 50)
	if err != nil {
		log.Fatal(err)
	}
	breakers, err := breaker.New(breaker.Config{Probes: 2})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(
		liftoff.Config{Group: "orders", NameServers: []string{"127.0.0.1:9876"}},
		liftoff.WithSelector(selector.RoundRobin()),
		liftoff.WithRetry(retry.Safe()),
		liftoff.WithBudget(budget),
		liftoff.WithBreaker(breakers),
		liftoff.WithHealth(breakers),
		liftoff.WithCompressor(compress.LZ4()),
		liftoff.WithLimits(validate.MaxBodySize(1<<20)),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(producer.Pipeline())
	// Output:
	// call     guard    validate
	// call     encode   compress.lz4
	// core              message id, route, queue selection, retry
	// attempt  protect  breaker
	// attempt           transport
	// listener          breaker: route
}

// A transport of one's own, here a scripted one, needs no name server.
func ExampleWithTransport() {
	ctx := context.Background()
	producer, err := liftoff.New(
		liftoff.Config{Group: "orders"},
		liftoff.WithTransport(&coretest.Transport{}, coretest.Routes(1, "broker-a")),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	res, err := producer.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("order 42")})
	fmt.Println(res.Status, res.Queue, err)
	fmt.Println(producer.Shutdown(ctx))
	// Output:
	// SEND_OK broker-a/0 <nil>
	// <nil>
}

// A client with settings of its own, which this producer starts and stops.
// Producers that share a client leave that to whoever made it.
func ExampleWithService() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	client, err := remoting.NewClient(remoting.Config{NameServers: cluster.NameServers(), Serialization: remoting.JSON})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(liftoff.Config{Group: "orders"}, liftoff.WithTransport(client, client), liftoff.WithService(client))
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	res, err := producer.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("order 42")})
	fmt.Println(res.Status, err)
	fmt.Println(producer.Shutdown(ctx), client.Stats().Connections)
	// Output:
	// SEND_OK <nil>
	// <nil> 0
}

// A cluster without a socket is reached by its own Dial.
func ExampleWithDial() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{Network: embedded.NewNetwork()})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	producer, err := liftoff.New(liftoff.Config{Group: "orders", NameServers: cluster.NameServers()}, liftoff.WithDial(cluster.Dial))
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer producer.Shutdown(ctx)
	_, err = producer.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("order 42")})
	fmt.Println(err, cluster.StoredCount("Orders"))

	cluster.Broker("broker-a").Kill()
	_, err = producer.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("order 43")}, core.SendRetry(retry.Safe(retry.Retries(0))))
	fmt.Println(core.ClassOf(err), errors.Is(err, context.DeadlineExceeded))
	// Output:
	// <nil> 1
	// network false
}
