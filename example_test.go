package liftoff_test

import (
	"context"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

func Example() {
	ctx := context.Background()
	// A cluster inside the process; with a real one, name its name servers instead.
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()

	producer, err := liftoff.New(liftoff.Config{Group: "orders", NameServers: cluster.NameServers()})
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer producer.Shutdown(ctx)

	res, err := producer.Send(ctx, &core.Message{Topic: "Orders", Tag: "created", Body: []byte("order 42")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Status, res.Queue.Broker, "attempts:", res.Attempts)
	// Output: SEND_OK broker-a attempts: 1
}

func Example_batch() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	producer, err := liftoff.New(liftoff.Config{Group: "orders", NameServers: cluster.NameServers()})
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer producer.Shutdown(ctx)

	// One request; all of them are stored, in this order, or none.
	batch, err := producer.SendBatch(ctx, []*core.Message{
		{Topic: "Orders", Body: []byte("order 42")},
		{Topic: "Orders", Body: []byte("order 43")},
		{Topic: "Orders", Body: []byte("order 44")},
	})
	if err != nil {
		log.Fatal(err)
	}
	for i, res := range batch.All() {
		fmt.Println(i, res.Status, "offset", res.QueueOffset)
	}
	fmt.Println(batch.At(0).MessageID != batch.At(1).MessageID)
	// Output:
	// 0 SEND_OK offset 0
	// 1 SEND_OK offset 1
	// 2 SEND_OK offset 2
	// true
}

func ExampleNew() {
	_, err := liftoff.New(liftoff.Config{Group: "DEFAULT_PRODUCER", NameServers: []string{"127.0.0.1:9876"}})
	fmt.Println(err)
	// Output: producer "DEFAULT_PRODUCER": group "DEFAULT_PRODUCER" is reserved
}

func ExampleDefaults() {
	cfg, err := liftoff.Defaults(liftoff.Config{Group: "orders", NameServers: []string{"127.0.0.1:9876"}, Namespace: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	pipeline, err := core.Resolve(cfg.Order, cfg.Steps...)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cfg.Group)
	fmt.Print(pipeline)
	// Output:
	// shop%orders
	// call     guard    validate
	// call     shape    namespace
	// call     encode   compress.zlib
	// core              message id, route, queue selection, retry
	// attempt  protect  breaker
	// attempt           transport
	// listener          breaker: route
}
