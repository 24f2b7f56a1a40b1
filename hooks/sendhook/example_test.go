package sendhook_test

import (
	"context"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
)

func ExampleNew() {
	observer, err := sendhook.New(sendhook.Funcs("audit",
		func(_ context.Context, c *sendhook.Context) error {
			fmt.Println("before:", c.Mode(), c.Type(), "message to", c.Queue(), "at", c.BrokerAddr())
			return nil
		},
		func(_ context.Context, c *sendhook.Context) {
			if res, ok := c.Result(); ok {
				fmt.Println("after:", res.Status)
			} else {
				fmt.Println("after:", c.Err())
			}
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() == 1 {
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "queue full")
		}
		return tr.Ack(at), nil
	}
	cfg := coretest.Config(tr, observer.Step())
	cfg.Retry = coretest.Retry(2)
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
	if _, err := p.Send(ctx, &core.Message{Topic: "orders", Body: []byte("hello"), ShardingKey: "17"}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// before: sync fifo message to broker-a/0 at broker-a:10911
	// after: broker broker-a:10911: SYSTEM_BUSY (2): queue full
	// before: sync fifo message to broker-b/0 at broker-b:10911
	// after: SEND_OK
}

func ExampleFuncs() {
	hook := sendhook.Funcs("slow", nil, func(_ context.Context, c *sendhook.Context) {
		if c.Latency() > time.Second {
			fmt.Println("slow broker:", c.BrokerAddr())
		}
	})
	observer, err := sendhook.New(hook)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(observer.Step().Name(), observer.Describe())
	// Output:
	// sendhook.slow a hook before and after each attempt (hook slow)
}
