package liftoff_test

import (
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core/requestreply"
)

func ExampleNewRequester() {
	requests, err := liftoff.NewRequester(requestreply.Config{MaxWaiting: 100})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(liftoff.Config{Group: "shop", NameServers: []string{"127.0.0.1:9876"}}, liftoff.WithHooks(requests))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(producer.State(), requests.Snapshot().Waiting)
	// Output: created 0
}
