package health_test

import (
	"context"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/health"
)

// A broker that refuses connections is down for a while.
func ExampleNewLatency() {
	view, err := health.NewLatency(health.Config{Table: health.Java5()})
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
	cfg := coretest.Config(tr)
	cfg.Health, cfg.Retry = view, coretest.Retry(2)
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
	res, err := p.Send(ctx, coretest.Message("hello"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("sent to", res.Queue.Broker)
	for _, s := range view.Snapshot() {
		fmt.Println(s.Broker, s.Health)
	}
	// Output:
	// sent to broker-b
	// broker-a down
	// broker-b good
}

func ExampleTable_Lookup() {
	for _, latency := range []time.Duration{100, 550, 5000} {
		latency *= time.Millisecond
		fmt.Println(latency, health.Java5().Lookup(latency), health.Java49().Lookup(latency))
	}
	// Output:
	// 100ms 0s 0s
	// 550ms 2s 30s
	// 5s 10s 3m0s
}

// maintenance is a view of one's own: the brokers that are being worked on.
type maintenance map[string]bool

func (m maintenance) Health(b core.Broker) core.Health {
	if m[b.Name] {
		return core.HealthDown
	}
	return core.HealthGood
}

func ExampleWorst() {
	latency, err := health.NewLatency(health.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	view := health.Worst(latency, maintenance{"broker-b": true})
	a := core.Broker{Name: "broker-a", Addr: "10.0.0.1:10911"}
	b := core.Broker{Name: "broker-b", Addr: "10.0.0.2:10911"}
	fmt.Println(view.Health(a), view.Health(b))
	// Output: good down
}

func ExampleJava5() {
	for _, latency := range []time.Duration{20 * time.Millisecond, 600 * time.Millisecond} {
		fmt.Println(latency, health.Java5().Lookup(latency), health.Java49().Lookup(latency))
	}
	// Output:
	// 20ms 0s 0s
	// 600ms 2s 30s
}
