package limit_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/limit"
)

// A topic takes two messages at once and one every second. What is more is refused.
func ExampleNewRate() {
	rate, err := limit.NewRate(limit.RateConfig{PerSecond: 1, Burst: 2, Excess: limit.Refuse})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	p, err := core.NewProducer(coretest.Config(&coretest.Transport{}, rate.Step()))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		_, err := p.Send(ctx, coretest.Message("hello"))
		var limited *limit.RateError
		if errors.As(err, &limited) {
			fmt.Printf("message %d: %v messages a second are allowed to %s; %v, %v\n", i,
				limited.PerSecond, limited.Topic, core.ClassOf(err), core.CertaintyOf(err))
		}
	}
	fmt.Println(core.Describe(rate))
	fmt.Println(p.Shutdown(ctx))
	// Output:
	// message 2: 1 messages a second are allowed to T; in-flight, not-sent
	// bounds the messages of each topic (at most 1 messages a second, burst 2 messages, beyond calls fail at once (in-flight, not-sent))
	// <nil>
}

// While one message is under way at broker-a, the next one goes to broker-b, though no retry
// policy would try again.
func ExampleNewBulkhead() {
	bulkhead, err := limit.NewBulkhead(limit.BulkheadConfig{Max: 1})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	arrived, answer := make(chan struct{}), make(chan struct{})
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Broker().Name == "broker-a" {
			close(arrived)
			<-answer
		}
		return tr.Ack(at), nil
	}
	p, err := core.NewProducer(coretest.Config(tr, bulkhead.Step()))
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	done := make(chan string)
	p.SendAsync(ctx, coretest.Message("one"), func(res core.Result, err error) { done <- res.Queue.Broker })
	<-arrived
	res, err := p.Send(ctx, coretest.Message("two"))
	fmt.Println(res.Queue.Broker, res.Attempts, err)
	close(answer)
	fmt.Println(<-done)
	for _, s := range bulkhead.States() {
		fmt.Printf("%s: %d of %d attempts are under way\n", s.Broker, s.UnderWay, s.Limit)
	}
	fmt.Println(p.Shutdown(ctx))
	// Output:
	// broker-b 1 <nil>
	// broker-a
	// broker-a: 0 of 1 attempts are under way
	// broker-b: 0 of 1 attempts are under way
	// <nil>
}

// A busy broker halves its limit.
func ExampleNewAdaptive() {
	adaptive, err := limit.NewAdaptive(limit.AdaptiveConfig{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Broker().Name == "broker-a" {
			return nil, core.ErrConnectionLost
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr, adaptive.Step())
	cfg.Retry = coretest.Retry(2)
	p, err := core.NewProducer(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Start(ctx); err != nil {
		log.Fatal(err)
	}
	res, err := p.Send(ctx, coretest.Message("hello"))
	fmt.Println(res.Queue.Broker, err)
	for _, s := range adaptive.States() {
		fmt.Printf("%s: %d attempts may be under way\n", s.Broker, s.Limit)
	}
	fmt.Println(p.Shutdown(ctx))
	// Output:
	// broker-b <nil>
	// broker-a: 16 attempts may be under way
	// broker-b: 32 attempts may be under way
	// <nil>
}
