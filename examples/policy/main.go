// Policy gives a producer its team's own rules, in two small types: a queue
// selector (VIP orders get a broker of their own) and a retry policy (a payment
// whose outcome is unknown is never sent twice). See policy.go for both.
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

func run(ctx context.Context, out io.Writer) (err error) {
	cluster, err := embedded.Start(ctx, embedded.Config{Brokers: []string{"broker-a", "broker-b", vipBroker}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()

	selectors := core.SelectorFactoryFunc(func(string) core.QueueSelector { return new(lanes) })
	producer, err := liftoff.New(
		liftoff.Config{Group: "shop", NameServers: cluster.NameServers()},
		liftoff.WithSelector(selectors),
		liftoff.WithRetry(payOnce(retry.AtLeastOnce())),
	)
	if err != nil {
		return err
	}
	if err := producer.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Shutdown(ctx)) }()

	order := &core.Message{Topic: "shop", Tag: "order", Body: []byte("3 books")}
	vip := &core.Message{Topic: "shop", Tag: "order", Body: []byte("1 yacht"), Properties: map[string]string{"tier": "vip"}}
	payment := &core.Message{Topic: "shop", Tag: "payment", Body: []byte("100 EUR")}
	fmt.Fprintf(out, "VIP orders go to %s. A payment is not sent again if it may be stored.\n\n", vipBroker)
	busy := embedded.Reply(rocketmq.CodeSystemBusy, "[OVERLOAD] too many requests")
	for _, s := range []struct {
		what  string
		msg   *core.Message
		fault embedded.Action // what happens to the first attempt
	}{
		{"an order", order, embedded.Pass()},
		{"another order", order, embedded.Pass()},
		{"a VIP order", vip, embedded.Pass()},
		{"another VIP order", vip, embedded.Pass()},
		{"a VIP order, its broker is busy", vip, busy},
		{"an order, the answer is lost", order, embedded.StoreThenCut()},
		{"a payment, the broker is busy", payment, busy},
		{"a payment, the answer is lost", payment, embedded.StoreThenCut()},
	} {
		cluster.ControlOnce(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return s.fault })
		result, err := producer.Send(ctx, s.msg)
		fmt.Fprintf(out, "%-33s %s\n", s.what+":", describe(result, err))
	}
	fmt.Fprintf(out, "\nOf 8 messages the brokers hold %d: the order whose answer was lost is there twice,\n"+
		"under one message id. The payment whose answer was lost is there once.\n", cluster.StoredCount("shop"))
	return nil
}

func describe(r core.Result, err error) string {
	if failed := (*core.SendError)(nil); errors.As(err, &failed) {
		return fmt.Sprintf("%v, given up after attempt %d: check the books", failed.Certainty, len(failed.Attempts))
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
