package forbid_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
)

func ExampleNew() {
	check, err := forbid.New(forbid.Func("maintenance", func(_ context.Context, c *forbid.Context) error {
		if c.Queue().Broker == "broker-a" {
			return errors.New("broker-a is being serviced")
		}
		return nil
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := coretest.Config(&coretest.Transport{}, check.Step())
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
	defer p.Shutdown(ctx)

	m := &core.Message{Topic: "orders", Body: []byte("hello")}
	_, err = p.Send(ctx, m)
	fmt.Println(errors.Is(err, core.ErrForbidden))
	var refused *forbid.Error
	fmt.Println(errors.As(err, &refused), refused)

	// With a retry policy the message goes elsewhere.
	res, err := p.Send(ctx, m, core.SendRetry(coretest.Retry(2)))
	fmt.Println(res.Queue, res.Attempts, err)
	// Output:
	// true
	// true rocketmq: send forbidden: hook maintenance refused broker-a/0: broker-a is being serviced
	// broker-b/0 2 <nil>
}

func ExampleFunc() {
	hook := forbid.Func("rack", func(_ context.Context, c *forbid.Context) error {
		if c.Mode() == core.Oneway {
			return fmt.Errorf("%s takes no one-way messages", c.Queue().Broker)
		}
		return nil
	})
	check, err := forbid.New(hook)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(check.Step().Name(), check.Describe())
	// Output:
	// forbid.rack a check that may refuse an attempt (hook rack)
}
