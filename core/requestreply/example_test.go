package requestreply_test

import (
	"context"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// A request, and the reply that a consumer of the topic sends. Here the two are one program, at
// a cluster inside the process.
func ExampleNew() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	requests, err := requestreply.New(requestreply.Config{})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(liftoff.Config{Group: "shop", NameServers: cluster.NameServers()}, liftoff.WithHooks(requests))
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer producer.Shutdown(ctx)

	done := make(chan struct{})
	requests.RequestAsync(ctx, &core.Message{Topic: "Prices", Body: []byte("apples")}, func(reply *requestreply.Reply, err error) {
		defer close(done)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", reply.Body)
	})
	request := consume(cluster, "Prices")
	if _, err := requestreply.SendReply(ctx, producer, request, []byte("2.50")); err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: 2.50
}

// NewReply gives the message, so that it can have properties of its own.
func ExampleNewReply() {
	request := map[string]string{"CLUSTER": "DefaultCluster", "CORRELATION_ID": "b7c2", "REPLY_TO_CLIENT": "10.0.0.7@12#ab"}
	reply, to, err := requestreply.NewReply(request, []byte("2.50"))
	if err != nil {
		log.Fatal(err)
	}
	reply.Properties = map[string]string{"currency": "EUR"}
	_ = to // is given to the send: producer.Send(ctx, reply, to)
	fmt.Println(reply.Topic)
	// Output: DefaultCluster_REPLY_TOPIC
}
