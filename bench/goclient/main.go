// Command goclient is the contender Go client: github.com/apache/rocketmq-client-go/v2 v2.1.2 with its defaults.
package main

import (
	"context"
	"fmt"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"

	"github.com/liftoff-mq/liftoff/bench/load"
)

func main() { load.Main(open) }

func open(s *load.Spec) (*load.Contender, error) {
	rlog.SetLogLevel("fatal")
	body, err := s.Body()
	if err != nil {
		return nil, err
	}
	p, err := rocketmq.NewProducer(
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{s.NameServer})),
		producer.WithGroupName("bench_goclient"),
		producer.WithRetry(2), // as Java and Liftoff
	)
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	ctx := context.Background()
	// The client writes to the message (id, compressed body), so each send needs one of its own.
	message := func() *primitive.Message { return primitive.NewMessage(s.Topic, body) }
	outcome := func(r *primitive.SendResult, err error) error {
		if err == nil && r.Status != primitive.SendOK {
			err = fmt.Errorf("status %d", r.Status)
		}
		return err
	}
	c := &load.Contender{
		Send: func() error { return outcome(p.SendSync(ctx, message())) },
		Async: func(done func(error)) func() {
			back := func(_ context.Context, r *primitive.SendResult, err error) { done(outcome(r, err)) }
			return func() {
				if err := p.SendAsync(ctx, back, message()); err != nil {
					go done(err)
				}
			}
		},
		Close: p.Shutdown,
	}
	switch {
	case s.Mode == load.Oneway:
		c.Send = func() error { return p.SendOneWay(ctx, message()) }
	case s.Batch > 1:
		c.Send = func() error {
			batch := make([]*primitive.Message, s.Batch)
			for i := range batch {
				batch[i] = message()
			}
			return outcome(p.SendSync(ctx, batch...))
		}
	}
	return c, nil
}
