package tenants_test

import (
	"context"
	"fmt"
	"log"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

func ExampleNew() {
	all, err := tenants.New(tenants.Config{
		Tenants: map[string]tenants.Tenant{
			"acme":   {Brokers: []string{"broker-a"}},
			"globex": {Brokers: []string{"broker-b"}, MaxInFlight: 64},
		},
		Default: "acme",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(core.Describe(all.Selector()))
	fmt.Println(core.Describe(all.Step().Parts()[0]))
	fmt.Println(core.Describe(all.Retry(retry.Safe())))
	// Output:
	// in turn over the tenant's brokers (acme broker-a, globex broker-b, messages without a tenant as acme)
	// a tenant's attempts go to its brokers only (acme any number at a time, globex 64 at a time, messages without a tenant as acme)
	// safe (retries 2, retries of a busy broker 10, pause random up to 10ms doubling to 500ms, stored twice never, other brokers the tenant's only)
}

// A message goes to its tenant's brokers, and nowhere else.
func ExampleTenants_Selector() {
	all, err := tenants.New(tenants.Config{Tenants: map[string]tenants.Tenant{"acme": {Brokers: []string{"broker-b"}}}})
	if err != nil {
		log.Fatal(err)
	}
	cfg := coretest.Config(&coretest.Transport{}, all.Step()) // a producer for tests, with broker-a and broker-b
	cfg.Selector, cfg.Retry = all.Selector(), all.Retry(retry.AtLeastOnce())
	producer, err := core.NewProducer(cfg)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := producer.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer producer.Shutdown(ctx)
	result, err := producer.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("3 books"), Properties: map[string]string{tenants.Property: "acme"}})
	fmt.Println(result.Queue.Broker, err)
	// Output: broker-b <nil>
}
