package breaker_test

import (
	"context"
	"encoding/json"
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
		OnStateChange: func(b core.Broker, from, to breaker.State) { fmt.Println(b.Name, from, "to", to) },
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
	// No other broker may take this one, so the breaker lets it through.
	fixed := coretest.Message("hello")
	fixed.Queue = &core.Queue{Broker: "broker-a", ID: 1}
	_, err = p.Send(ctx, fixed)
	fmt.Println(errors.Is(err, core.ErrConnect))
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
	for _, s := range p.Pipeline().Steps() {
		fmt.Println(s.Scope, s.Stage, s.Name, s.Events)
	}
	// Output:
	// broker-a closed 1
	// attempt protect breaker []
	// listener  breaker [route]
}

func ExampleBreakers_Describe() {
	breakers, err := breaker.New(breaker.Config{Probes: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range breakers.Describe().Settings {
		fmt.Printf("%s: %s\n", s.Name, s.Value)
	}
	// Output:
	// opens after: 5 failures in a row; or 50% failures among 20 or more attempts within 10s; or 1 attempt of 500ms or more without any answer from the broker
	// open for: 5s; meanwhile other brokers get the messages; those that no other may take go through
	// closes after: 2 attempts that succeed; until then there are at most 2 at a time
	// failures: no or lost connection, busy, unavailable, unexplained errors; time-outs of 50ms or more, if the broker lately needed less
}

// The numbers can come from a file: three failures in a row open a breaker, or a tenth of fifty
// or more attempts within a minute.
func ExampleConfig() {
	var cfg breaker.Config
	err := json.Unmarshal([]byte(`{"consecutiveFailures": 3, "failureRatio": 0.1, "minRequests": 50, "window": "1m"}`), &cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	breakers, err := breaker.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	opens := breakers.Describe().Settings[0]
	fmt.Println(opens.Name, opens.Value)
	// Output:
	// opens after 3 failures in a row; or 10% failures among 50 or more attempts within 1m0s; or 1 attempt of 500ms or more without any answer from the broker
}
