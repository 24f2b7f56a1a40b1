package admin_test

import (
	"context"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/admin"
)

// A program makes its topic, sends, and looks at what the broker has. Producer and Admin share
// a client.
func ExampleNew() {
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{Brokers: embedded.BrokerNames(2)}) // in place of a real one
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	client, err := remoting.NewClient(remoting.Config{NameServers: cluster.NameServers()})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := liftoff.New(liftoff.Config{Group: "shop"}, liftoff.WithOwnClient(client))
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer producer.Shutdown(ctx)

	a, err := admin.New(client, admin.Config{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.CreateTopic(ctx, admin.Topic{Name: "orders", Queues: 4}, admin.Place{}))
	if _, err := producer.Send(ctx, &liftoff.Message{Topic: "orders", Keys: []string{"o-1"}, Body: []byte("one tea")}); err != nil {
		log.Fatal(err)
	}
	found, err := a.MessagesByKey(ctx, admin.Query{Topic: "orders", Key: "o-1"})
	for _, m := range found {
		body, err := m.Unpack(0)
		fmt.Printf("%s %v\n", body, err)
	}
	fmt.Println(err)
	// Output:
	// [broker-a broker-b] <nil>
	// one tea <nil>
	// <nil>
}
