package tenants_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// A cluster in virtual time: one of the tenant's brokers hangs, and the other one takes its
// messages. The third broker would be as good, and gets none.
func TestHungBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := embedded.New(t, embedded.Config{Network: embedded.NewNetwork(), Brokers: embedded.BrokerNames(3)})
		all := someTenants(t)
		producer, err := liftoff.New(
			liftoff.Config{Group: "test", NameServers: cluster.NameServers(), Client: remoting.Config{Dial: cluster.Dial}},
			liftoff.WithSelector(all.Selector()), liftoff.WithRetry(all.Retry(retry.AtLeastOnce())), liftoff.WithHooks(all),
		)
		if err != nil {
			t.Fatal(err)
		}
		if err := producer.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer producer.Shutdown(context.Background())
		cluster.Broker("broker-b").Pause()
		msg := &liftoff.Message{Topic: "T", Body: []byte("x"), Properties: map[string]string{tenants.Property: "globex"}}
		for i, attempts := range []int{2, 1, 1, 1} { // after the first the breaker knows
			res, err := producer.Send(t.Context(), msg)
			if err != nil || res.Queue.Broker != "broker-c" || res.Attempts != attempts {
				t.Errorf("message %d: %+v, %v", i, res, err)
			}
		}
	})
}
