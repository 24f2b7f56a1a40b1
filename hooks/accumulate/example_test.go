package accumulate_test

import (
	"context"
	"fmt"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A thousand asynchronous sends of small messages take a few requests.
func ExampleNew() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()

	small, err := accumulate.New(accumulate.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	producer, err := liftoff.New(liftoff.Config{Group: "meters", NameServers: cluster.NameServers()},
		liftoff.WithSteps(small.Step()))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := producer.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	for i := range 1000 {
		reading := &core.Message{Topic: "Readings", Body: fmt.Appendf(nil, "meter %d: 21.5", i)}
		producer.SendAsync(ctx, reading, func(_ core.Result, err error) {
			if err != nil {
				fmt.Println(err)
			}
		})
	}
	if err := producer.Shutdown(ctx); err != nil { // waits for them
		fmt.Println(err)
	}
	requests := cluster.RequestCount(wire.SendMessageV2) + cluster.RequestCount(wire.SendBatchMessage)
	fmt.Println(cluster.StoredCount("Readings"), "messages, fewer than 500 requests:", requests < 500)
	// Output:
	// 1000 messages, fewer than 500 requests: true
}
