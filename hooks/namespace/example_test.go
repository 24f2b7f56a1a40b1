package namespace_test

import (
	"context"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
)

func ExampleNew() {
	ns, err := namespace.New("tenant-7")
	if err != nil {
		fmt.Println(err)
		return
	}
	tr := &coretest.Transport{}
	cfg := coretest.Config(tr, ns.Step())
	cfg.Group = namespace.WrapGroup(ns.Name(), "billing")
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
	if _, err := p.Send(ctx, m); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("group:", p.Group())
	fmt.Println("on the wire:", tr.Attempts()[0].Topic)
	fmt.Println("the message:", m.Topic)
	// Output:
	// group: tenant-7%billing
	// on the wire: tenant-7%orders
	// the message: orders
}

func ExampleWrap() {
	fmt.Println(namespace.Wrap("ns", "orders"))
	fmt.Println(namespace.Wrap("ns", "ns%orders"))
	fmt.Println(namespace.Wrap("ns", "%RETRY%billing"))
	fmt.Println(namespace.Wrap("ns", "RMQ_SYS_TRACE_TOPIC"))
	fmt.Println(namespace.Unwrap("ns", "%DLQ%ns%billing"))
	fmt.Println(namespace.Of("ns%orders"))
	// Output:
	// ns%orders
	// ns%orders
	// %RETRY%ns%billing
	// RMQ_SYS_TRACE_TOPIC
	// %DLQ%billing
	// ns
}

func ExampleUnwrap() {
	wire := namespace.WrapGroup("tenant", "shop")
	fmt.Println(wire, namespace.Of(wire), namespace.Unwrap("tenant", wire), namespace.Unwrap("other", wire))
	fmt.Println(namespace.Check("a%b"))
	// Output:
	// tenant%shop tenant shop tenant%shop
	// namespace: name "a%b" has characters other than | a-z A-Z 0-9 _ -
}
