// Policy gives a producer its team's own rules: a queue selector (VIP orders get a
// broker of their own), and a policy for the topic of payments, which are never sent
// again if they may be stored. Single sends differ from both by options. See policy.go
// for the selector and the retry policy.
//
// It runs on a cluster in this process, whose brokers misbehave on request:
//
//	go run ./examples/policy
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// policies says which topic is sent how. What a policy does not name is the producer's.
func policies() core.PolicySource {
	return &liftoff.PolicyTable{
		ByTopic: map[string]*liftoff.Policy{
			"Payments": {Name: "payments", Timeout: 10 * time.Second, Retry: payOnce(retry.AtLeastOnce())},
		},
		Default: &liftoff.Policy{Name: "default"},
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	cluster, err := embedded.Start(ctx, embedded.Config{Brokers: []string{"broker-a", "broker-b", vipBroker}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()

	selectors := core.SelectorFactoryFunc(func(string) core.QueueSelector { return new(lanes) })
	producer, err := liftoff.New(
		liftoff.Config{Group: "shop", NameServers: cluster.NameServers()},
		liftoff.WithSelector(selectors), liftoff.WithPolicies(policies()),
	)
	if err != nil {
		return err
	}
	if err := producer.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Shutdown(ctx)) }()

	fmt.Fprintf(out, "VIP orders go to %s. When the connection breaks before the answer:\n", vipBroker)
	for _, p := range producer.Pipeline().Policies() {
		fmt.Fprintf(out, "  %-18s %v\n", p.Topics+":", lost(p))
	}
	fmt.Fprintln(out)
	sendEach(ctx, out, cluster, producer)
	sendAll(ctx, out, producer)
	fmt.Fprintf(out, "\nOf 6 orders and a quote the brokers hold %d messages: the order whose answer was lost is there\n"+
		"twice, under one message id, and the quote is not there. Of 5 payments they hold %d: each is there once.\n",
		cluster.StoredCount("Orders"), cluster.StoredCount("Payments"))
	return nil
}

// lost is what a policy does when the connection is lost at every attempt.
func lost(p core.PolicyDescription) core.FailureForecast {
	for _, f := range p.Failures {
		if f.Name == "connection lost" {
			return f
		}
	}
	return core.FailureForecast{}
}

// sendEach sends messages one by one, some of which meet trouble at their first attempt.
func sendEach(ctx context.Context, out io.Writer, cluster *embedded.Cluster, producer *liftoff.Producer) {
	order := &liftoff.Message{Topic: "Orders", Body: []byte("3 books")}
	vip := &liftoff.Message{Topic: "Orders", Body: []byte("1 yacht"), Properties: map[string]string{"tier": "vip"}}
	payment := &liftoff.Message{Topic: "Payments", Body: []byte("100 EUR")}
	// Options of one send: a quote is worth one attempt and no more.
	once := []liftoff.SendOption{liftoff.SendTimeout(2 * time.Second), liftoff.SendRetry(retry.Safe(retry.Retries(0)))}
	busy := embedded.Reply(rocketmq.CodeSystemBusy, "[OVERLOAD] too many requests")
	for _, s := range []struct {
		what    string
		msg     *liftoff.Message
		fault   embedded.Action // what happens to the first attempt
		options []liftoff.SendOption
	}{
		{"an order", order, embedded.Pass(), nil},
		{"another order", order, embedded.Pass(), nil},
		{"a VIP order", vip, embedded.Pass(), nil},
		{"another VIP order", vip, embedded.Pass(), nil},
		{"a VIP order, its broker is busy", vip, busy, nil},
		{"an order, the answer is lost", order, embedded.StoreThenCut(), nil},
		{"a quote, the broker is busy", order, busy, once},
		{"a payment, the broker is busy", payment, busy, nil},
		{"a payment, the answer is lost", payment, embedded.StoreThenCut(), nil},
	} {
		cluster.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return s.fault })
		result, err := producer.Send(ctx, s.msg, s.options...)
		fmt.Fprintf(out, "%-33s %s\n", s.what+":", describe(result, err))
	}
}

// sendAll sends several messages at a time. Each has an outcome of its own.
func sendAll(ctx context.Context, out io.Writer, producer *liftoff.Producer) {
	outcomes := producer.SendAll(ctx, []*liftoff.Message{
		{Topic: "Payments", Body: []byte("1 EUR")}, {Topic: "Payments"}, {Topic: "Payments", Body: []byte("3 EUR")}, {Topic: "Payments", Body: []byte("4 EUR")},
	})
	for i, o := range outcomes {
		what := fmt.Sprintf("payment %d of %d:", i+1, len(outcomes))
		if o.Err != nil {
			fmt.Fprintf(out, "%-33s %s\n", what, describe(o.Result, o.Err))
		} else {
			fmt.Fprintf(out, "%-33s stored\n", what)
		}
	}
}

func describe(r liftoff.Result, err error) string {
	if failed := (*liftoff.SendError)(nil); errors.As(err, &failed) {
		switch n := len(failed.Attempts); {
		case n == 0:
			return fmt.Sprintf("%v: %v", failed.Certainty, failed.Cause)
		case failed.Certainty.Safe():
			return fmt.Sprintf("%v, given up after attempt %d: it can be sent again", failed.Certainty, n)
		default:
			return fmt.Sprintf("%v, given up after attempt %d: check the books", failed.Certainty, n)
		}
	}
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprintf("stored on queue %v", r.Queue)
	if r.Attempts > 1 {
		s += fmt.Sprintf(" by attempt %d", r.Attempts)
	}
	if r.MaybeDuplicate {
		s += ", and maybe on another broker too"
	}
	return s
}
