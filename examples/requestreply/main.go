// Requestreply asks for prices and waits for the answers: a producer makes requests, and what
// stands in for a consumer replies to them, on a RocketMQ cluster inside this process.
//
//	go run ./examples/requestreply
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

const topic = "Prices"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) error {
	cluster, err := embedded.Start(ctx, embedded.Config{Brokers: embedded.BrokerNames(2)})
	if err != nil {
		return err
	}
	defer cluster.Close()

	requests, err := liftoff.NewRequester(requestreply.Config{})
	if err != nil {
		return err
	}
	shop, err := start(ctx, "shop", cluster, liftoff.WithHooks(requests))
	if err != nil {
		return err
	}
	defer shop.Shutdown(ctx)
	prices, err := start(ctx, "prices", cluster)
	if err != nil {
		return err
	}
	defer prices.Shutdown(ctx)
	serving, stop := context.WithCancel(ctx)
	served := make(chan struct{})
	go func() {
		defer close(served)
		serve(serving, cluster, prices)
	}()
	defer func() {
		stop()
		<-served
	}()

	for _, fruit := range []string{"apples", "pears", "melons"} {
		reply, err := requests.Request(ctx, &liftoff.Message{Topic: topic, Body: []byte(fruit)}, liftoff.SendTimeout(2*time.Second))
		switch {
		case errors.Is(err, requestreply.ErrNoReply):
			fmt.Fprintf(w, "%s: no reply; the request is %v\n", fruit, liftoff.CertaintyOf(err))
		case err != nil:
			return err
		default:
			fmt.Fprintf(w, "%s: %s\n", fruit, reply.Body)
		}
	}
	return nil
}

// serve replies to the requests that it knows an answer to. A real program has a consumer of any
// library in its place, which calls SendReply with the properties of each message.
func serve(ctx context.Context, cluster *embedded.Cluster, p *liftoff.Producer) {
	known := map[string]string{"apples": "2.50", "pears": "3.20"}
	seen := map[string]bool{}
	for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
		for _, m := range cluster.Stored(topic) {
			price := known[string(m.Body)]
			if seen[m.MsgID] || price == "" {
				continue
			}
			seen[m.MsgID] = true
			properties := map[string]string{}
			for _, f := range m.Properties {
				properties[f.Key] = f.Value
			}
			if _, err := requestreply.SendReply(ctx, p, properties, []byte(price)); err != nil {
				log.Print(err)
			}
		}
	}
}

func start(ctx context.Context, group string, cluster *embedded.Cluster, options ...liftoff.Option) (*liftoff.Producer, error) {
	p, err := liftoff.New(liftoff.Config{Group: group, NameServers: cluster.NameServers()}, options...)
	if err != nil {
		return nil, err
	}
	return p, p.Start(ctx)
}
