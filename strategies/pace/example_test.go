package pace_test

import (
	"context"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

// Of the one-way messages to a broker, every so often one asks for an answer.
func ExampleNew() {
	pacer, err := pace.New(pace.Config{MinWindow: 20, MaxWindow: 20})
	if err != nil {
		log.Fatal(err)
	}
	tr := &coretest.Transport{}
	p, err := core.NewProducer(coretest.Config(tr, pacer.Step()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	for range 12 {
		if err := p.SendOneway(ctx, coretest.Message("hello")); err != nil {
			fmt.Println(err)
		}
	}
	for i, sent := range tr.Attempts() {
		if sent.Answer {
			fmt.Println("message", i+1, "was answered")
		}
	}
	for _, s := range pacer.States() {
		fmt.Printf("%s: %d of %d may still wait there\n", s.Broker, s.Unconfirmed, s.Window)
	}
	fmt.Println(core.Describe(pacer))
	fmt.Println(p.Shutdown(ctx))
	// Output:
	// message 5 was answered
	// message 10 was answered
	// broker-a: 2 of 20 may still wait there
	// paces one-way sends to each broker (window 20 to 20 messages, target at most 20ms in the broker's queue)
	// <nil>
}
