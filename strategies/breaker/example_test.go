package breaker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// One of two brokers is gone: after two failures, by a rule of the user's own,
// no send goes there any more.
func ExampleNew() {
	breakers, err := breaker.New(breaker.Config{
		Trip:          func(c breaker.Counts) bool { return c.ConsecutiveFailures >= 2 },
		OnStateChange: func(broker string, from, to breaker.State) { fmt.Println(broker, from, "to", to) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	tr := &coretest.Transport{Unwritten: true}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Queue().Broker == "broker-a" {
			return nil, core.ErrConnect
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr, breakers.Step())
	cfg.Health, cfg.Retry = breakers, coretest.Retry(2)
	p, err := core.NewProducer(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Shutdown(ctx) }()
	for range 3 {
		res, err := p.Send(ctx, coretest.Message("hello"))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("sent to", res.Queue.Broker, "attempts:", res.Attempts)
	}
	fixed := coretest.Message("hello")
	fixed.Queue = &core.Queue{Broker: "broker-a", ID: 1}
	_, err = p.Send(ctx, fixed)
	fmt.Println(errors.Is(err, core.ErrCircuitOpen))
	// Output:
	// sent to broker-b attempts: 2
	// broker-a closed to open
	// sent to broker-b attempts: 2
	// sent to broker-b attempts: 1
	// true
}

func ExampleDefaultTrip() {
	fmt.Println(breaker.DefaultTrip(breaker.Counts{Successes: 100, Failures: 1, ConsecutiveFailures: 1}))
	fmt.Println(breaker.DefaultTrip(breaker.Counts{Successes: 100, Failures: 1, ConsecutiveFailures: 1, Hung: true}))
	// Output:
	// false
	// true
}

func ExampleBreakers_States() {
	breakers, err := breaker.New(breaker.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := coretest.Config(&coretest.Transport{}, breakers.Step())
	p, err := core.NewProducer(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Shutdown(ctx) }()
	if _, err := p.Send(ctx, coretest.Message("hello")); err != nil {
		fmt.Println(err)
	}
	for _, s := range breakers.States() {
		fmt.Println(s.Broker, s.State, s.Counts.Successes)
	}
	fmt.Print(p.Pipeline())
	// Output:
	// broker-a closed 1
	// core              message id, route, queue selection, retry
	// attempt  protect  breaker
	// attempt           transport
	// listener          breaker: route
}
