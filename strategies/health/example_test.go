package health_test

import (
	"context"
	"fmt"
	"net"
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

// Of a broker that is being worked on the first view decides: it is used when no other is left,
// however bad the second finds it.
func ExampleFirst() {
	soft := known{"broker-a": core.HealthSuspect}
	hard := known{"broker-a": core.HealthDown, "broker-b": core.HealthDown}
	a, b := core.Broker{Name: "broker-a", Addr: "10.0.0.1:10911"}, core.Broker{Name: "broker-b", Addr: "10.0.0.2:10911"}
	first, worst := health.First(soft, hard), health.Worst(soft, hard)
	fmt.Println(first.Health(a), first.Health(b))
	fmt.Println(worst.Health(a), worst.Health(b))
	// Output:
	// suspect down
	// down down
}

// known is a view of fixed grades.
type known map[string]core.Health

func (k known) Health(b core.Broker) core.Health { return k[b.Name] }

// A broker whose connection broke is probed until it can be reached.
func ExampleNewReachability() {
	asked := make(chan string)
	view, err := health.NewReachability(health.ReachabilityConfig{
		Probe: func(_ context.Context, b core.Broker) error {
			asked <- b.Name
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	tr := &coretest.Transport{}
	tr.Do = func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }
	cfg := coretest.Config(tr)
	cfg.Health = view
	p, err := core.NewProducer(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := p.Start(ctx); err != nil { // which starts the view too
		fmt.Println(err)
		return
	}
	defer func() { _ = p.Shutdown(ctx) }()
	broken := core.Broker{Name: "broker-a", Addr: "broker-a:10911"}
	if _, err := p.Send(ctx, coretest.Message("hello")); err != nil {
		fmt.Println(core.ClassOf(err), view.Health(broken))
	}
	fmt.Println("probed:", <-asked)
	for view.Health(broken) != core.HealthGood {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(view.Health(broken))
	// Output:
	// network down
	// probed: broker-a
	// good
}

// A probe that opens connections as the client does.
func ExampleDial() {
	view, err := health.NewReachability(health.ReachabilityConfig{
		Probe: health.Dial((&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}).DialContext),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(view.Health(core.Broker{Name: "broker-a", Addr: "127.0.0.1:10911"}))
	// Output: good
}

func ExampleJava5() {
	for _, latency := range []time.Duration{20 * time.Millisecond, 600 * time.Millisecond} {
		fmt.Println(latency, health.Java5().Lookup(latency), health.Java49().Lookup(latency))
	}
	// Output:
	// 20ms 0s 0s
	// 600ms 2s 30s
}
