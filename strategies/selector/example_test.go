package selector_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// send sends msg n times through a producer with the selector and shows where
// the messages went: two brokers with two queues each.
func send(f core.SelectorFactory, msg *core.Message, n int) map[core.Queue]int {
	tr := &coretest.Transport{}
	cfg := coretest.Config(tr)
	cfg.Selector = f
	p, err := core.NewProducer(cfg)
	if err != nil {
		fmt.Println(err)
		return nil
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil {
		fmt.Println(err)
		return nil
	}
	defer func() { _ = p.Shutdown(ctx) }()
	counts := map[core.Queue]int{}
	for range n {
		res, err := p.Send(ctx, msg)
		if err != nil {
			fmt.Println(err)
			continue
		}
		counts[res.Queue]++
	}
	return counts
}

func ExampleRoundRobin() {
	fmt.Println(send(selector.RoundRobin(), coretest.Message("hello"), 8))
	// Output: map[broker-a/0:2 broker-a/1:2 broker-b/0:2 broker-b/1:2]
}

func ExampleRandom() {
	fmt.Println(len(send(selector.Random(), coretest.Message("hello"), 200)), "queues used")
	// Output: 4 queues used
}

func ExampleHash() {
	order := coretest.Message("paid")
	order.ShardingKey = "order-42"
	fmt.Println(send(selector.Hash(), order, 8))
	// Output: map[broker-a/1:8]
}

func ExampleHashBy() {
	msg := coretest.Message("hello")
	msg.Keys = []string{"customer-7"}
	byKey := selector.HashBy(func(m *core.Message) string { return strings.Join(m.Keys, " ") })
	fmt.Println(len(send(byKey, msg, 8)), "queue used")
	// Output: 1 queue used
}

func ExampleJavaHash() {
	fmt.Println(selector.JavaHash("hello"))
	// Output: 99162322
}

// A selector of one's own: all messages to the brokers of the own rack, unless
// those are down or were tried.
func ExampleHealthy() {
	rack := core.SelectorFactoryFunc(func(string) core.QueueSelector {
		return core.QueueSelectorFunc(func(_ context.Context, sel *core.Selection) (int, error) {
			for i := range sel.Len() {
				if strings.HasSuffix(sel.Queue(i).Broker, "-b") {
					return i, nil
				}
			}
			return 0, nil
		})
	})
	fmt.Println(send(selector.Healthy(rack), coretest.Message("hello"), 8))
	// Output: map[broker-b/0:8]
}
