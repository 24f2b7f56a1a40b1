package liftoff_test

import (
	"context"
	"encoding/json"
	"errors"
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

	res, err := producer.Send(ctx, &liftoff.Message{Topic: "Orders", Tag: "created", Body: []byte("order 42")})
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
	batch, err := producer.SendBatch(ctx, []*liftoff.Message{
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

// Many messages at a time, each with an outcome of its own.
func Example_sendAll() {
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

	outcomes := producer.SendAll(ctx, []*liftoff.Message{
		{Topic: "Orders", Body: []byte("order 42")},
		{Topic: "Orders"}, // without a body
		{Topic: "Invoices", Body: []byte("invoice 42")},
	})
	for o := range outcomes.Failed() {
		fmt.Println(o.Message.Topic, liftoff.CertaintyOf(o.Err))
	}
	fmt.Println(len(outcomes), cluster.StoredCount("Orders"), cluster.StoredCount("Invoices"))
	// Output:
	// Orders not-sent
	// 3 1 1
}

// All mistakes are told at once.
func ExampleNew() {
	_, err := liftoff.New(liftoff.Config{NameServers: []string{"127.0.0.1:port"}})
	fmt.Println(err)
	// Output:
	// producer "": group is empty
	// remoting client: name server "127.0.0.1:port": port "port" is not a number from 1 to 65535
}

func ExampleConfig() {
	var cfg liftoff.Config
	err := json.Unmarshal([]byte(`{
		"group": "orders", "nameServers": ["127.0.0.1:9876"],
		"timeout": "5s", "client": {"serialization": "json"}
	}`), &cfg)
	fmt.Println(cfg.Group, cfg.Timeout, cfg.Client.Serialization, err)

	err = json.Unmarshal([]byte(`{"timeout": 5}`), &cfg)
	fmt.Println(err)
	// Output:
	// orders 5s JSON <nil>
	// timeout: 5 is no duration: it has no unit; write it as text, such as "3s" or "500ms"
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
	fmt.Println(pipeline.Names())
	// Output:
	// shop%orders
	// [validate namespace compress.zlib] [breaker]
}

// The error of a send says whether the message can be sent again.
func ExampleCertaintyOf() {
	producer, err := liftoff.New(liftoff.Config{Group: "orders", NameServers: []string{"127.0.0.1:9876"}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = producer.Send(context.Background(), &liftoff.Message{Topic: "Orders", Body: []byte("order 42")}) // it was not started
	switch liftoff.CertaintyOf(err) {
	case liftoff.NotSent, liftoff.NotStored:
		fmt.Println("safe to send again:", err)
	default:
		fmt.Println("it may be stored:", err)
	}
	fmt.Println(liftoff.CertaintyOf(errors.New("not the error of a send")))
	// Output:
	// safe to send again: send to "Orders": closed, not-sent: rocketmq: producer is not running
	// unknown
}
