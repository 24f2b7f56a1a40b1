package selector_test

import (
	"context"
	"fmt"
	"strings"
	"time"

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

// Broker-b is to be taken out of service: it gets nothing more.
func ExampleNewWeighted() {
	f, err := selector.NewWeighted(selector.WeightedConfig{Weights: map[string]int{"broker-a": 3, "broker-b": 0}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for q := range send(f, coretest.Message("hello"), 100) {
		if q.Broker != "broker-a" {
			fmt.Println("sent to", q)
		}
	}
	_, err = selector.NewWeighted(selector.WeightedConfig{Weights: map[string]int{"broker-a": -3}})
	fmt.Println(err)
	// Output: selector weighted: Weights["broker-a"] is negative: -3
}

// Orders stay where they are when brokers come and go.
func ExampleNewHash() {
	f, err := selector.NewHash(selector.HashConfig{Function: selector.HashRendezvous})
	if err != nil {
		fmt.Println(err)
		return
	}
	order := coretest.Message("paid")
	order.ShardingKey = "order-42"
	fmt.Println(send(f, order, 8))

	var function selector.HashFunc // as a file names it
	fmt.Println(function.UnmarshalText([]byte("jump")), function)
	// Output:
	// map[broker-a/1:8]
	// <nil> jump
}

func ExampleNewSticky() {
	f, err := selector.NewSticky(selector.StickyConfig{Messages: 4, For: time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(send(f, coretest.Message("hello"), 8)), "queues used")
	// Output: 2 queues used
}

// One message after the other: nothing is under way, and every queue gets its part.
func ExampleLeastInFlight() {
	fmt.Println(len(send(selector.LeastInFlight(), coretest.Message("hello"), 200)), "queues used")
	// Output: 4 queues used
}

func ExampleNewPowerOfTwo() {
	f, err := selector.NewPowerOfTwo(selector.PowerOfTwoConfig{Decay: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(core.Describe(f))
	// Output: of two random brokers the one with less latency and fewer attempts under way (latency fades to 1/e in 5s, a failure counts as 1s at least, prefers brokers that are healthy and not tried yet)
}

// The brokers of this zone, and those of others while none of it is well.
func ExampleNewZone() {
	f, err := selector.NewZone(selector.ZoneConfig{Brokers: []string{"broker-a*"}, Inner: selector.RoundRobin()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(send(f, coretest.Message("hello"), 8))
	// Output: map[broker-a/0:4 broker-a/1:4]
}

func ExampleAvoidTried() {
	first := core.SelectorFactoryFunc(func(string) core.QueueSelector {
		return core.QueueSelectorFunc(func(context.Context, *core.Selection) (int, error) { return 0, nil })
	})
	fmt.Println(send(selector.AvoidTried(first), coretest.Message("hello"), 8))
	// Output: map[broker-a/0:8]
}

// Queue 7 of each broker, and any queue where there is none.
func ExampleFallback() {
	first := selector.Filter(selector.RoundRobin(), func(q core.Queue) bool { return q.ID == 7 })
	fmt.Println(send(first, coretest.Message("hello"), 1))
	fmt.Println(send(selector.Fallback(first, selector.RoundRobin()), coretest.Message("hello"), 8))
	// Output:
	// send to "T": no-route, not-sent: select a queue: rocketmq: no route to topic: the filter keeps none of its 4 queues
	// map[]
	// map[broker-a/0:2 broker-a/1:2 broker-b/0:2 broker-b/1:2]
}

func ExampleFilter() {
	first := selector.Filter(selector.RoundRobin(), func(q core.Queue) bool { return q.ID == 0 })
	fmt.Println(send(first, coretest.Message("hello"), 8))
	// Output: map[broker-a/0:4 broker-b/0:4]
}
