// Quickstart sends messages in every mode through the whole pipeline to a RocketMQ
// cluster that runs inside this process, and shows what happened to them.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// stamp is a hand-written interceptor. It runs once per call, whatever the mode: All gives
// the one message, or those of a batch. It changes only what goes on the wire, never the
// caller's message.
type stamp struct{}

func (stamp) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	for out := range call.All() {
		out.SetProperty("sent-by", "quickstart")
	}
	return next(ctx, call)
}

// Describe is optional: what the pipeline's description says of the step.
func (stamp) Describe() core.Description {
	return core.Description{Summary: "a property that says who sent it"}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

	// A name server and two brokers in this process, on loopback ports.
	cluster, err := embedded.Start(ctx, embedded.Config{Brokers: []string{"broker-a", "broker-b"}})
	if err != nil {
		return err
	}
	defer cluster.Close()

	producer, err := liftoff.New(
		liftoff.Config{Group: "quickstart", NameServers: cluster.NameServers()},
		liftoff.WithSteps(core.CallStep("stamp", core.StageShape, stamp{})),
	)
	if err != nil {
		return err
	}
	if err := producer.Start(ctx); err != nil {
		return err
	}
	defer producer.Shutdown(ctx)
	say("The steps that every message goes through, outermost first (fmt.Print(producer.Pipeline()) tells it all):")
	for _, s := range producer.Pipeline().Steps() {
		if s.Scope != "listener" {
			say("  %-7s  %-7s  %-13s  %s", s.Scope, s.Stage, s.Name, s.Description.Summary)
		}
	}

	say("Sync: Send returns when a broker has acknowledged the message.")
	for i := range 3 {
		res, err := producer.Send(ctx, &liftoff.Message{Topic: "Greetings", Tag: "sync", Keys: []string{fmt.Sprint("order-", i)}, Body: fmt.Appendf(nil, "hello %d", i)})
		if err != nil {
			return err
		}
		say("  %v  id %v  queue %v  offset %d", res.Status, res.MessageID, res.Queue, res.QueueOffset)
	}

	say("Async: SendAsync returns at once; done gets the outcome, exactly once.")
	done := make(chan error, 1)
	producer.SendAsync(ctx, &liftoff.Message{Topic: "Greetings", Tag: "async", Body: make([]byte, 64<<10)}, func(res liftoff.Result, err error) {
		if err == nil {
			say("  %v  id %v  queue %v  offset %d", res.Status, res.MessageID, res.Queue, res.QueueOffset)
		}
		done <- err
	})
	if err := <-done; err != nil {
		return err
	}

	say("All: SendAll sends many at a time, to any topics, and waits for the outcome of each.")
	outcomes := producer.SendAll(ctx, []*liftoff.Message{
		{Topic: "Greetings", Tag: "all", Body: []byte("one of two")}, {Topic: "Greetings", Tag: "all", Body: []byte("two of two")},
	})
	if err := outcomes.FirstErr(); err != nil {
		return err
	}
	say("  %d messages, all acknowledged", len(outcomes))

	say("A fault: the next send is answered SYSTEM_BUSY, and the retry goes to the other broker.")
	cluster.ControlOnce(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		say("  %s answers SYSTEM_BUSY", r.Node)
		return embedded.Reply(rocketmq.CodeSystemBusy, "[quickstart] scripted")
	})
	res, err := producer.Send(ctx, &liftoff.Message{Topic: "Greetings", Tag: "retried", Body: []byte("second try")})
	if err != nil {
		return err
	}
	say("  %v  id %v  queue %v  attempts %d", res.Status, res.MessageID, res.Queue, res.Attempts)

	say("One-way: SendOneway returns when the message is written; no broker confirms it.")
	if err := producer.SendOneway(ctx, &liftoff.Message{Topic: "Greetings", Tag: "one-way", Body: []byte("no answer")}); err != nil {
		return err
	}

	say("Second thoughts: a message for later is taken back before its time.")
	later, err := producer.Send(ctx, &liftoff.Message{Topic: "Reminders", Body: []byte("in an hour"), DeliverAt: time.Now().Add(time.Hour)})
	if err != nil {
		return err
	}
	recalled, err := producer.Recall(ctx, "Reminders", later.RecallHandle)
	if err != nil {
		return err
	}
	say("  recalled %v", recalled)

	say("A mistake: a message without a body never leaves the process, and the error says so.")
	_, err = producer.Send(ctx, &liftoff.Message{Topic: "Greetings"})
	say("  %v\n  what became of the message: %v", err, liftoff.CertaintyOf(err))

	// Shutdown waits for what is in flight, so everything sent is stored below,
	// but for one-way messages, which only the broker knows about.
	if err := producer.Shutdown(ctx); err != nil {
		return err
	}
	for cluster.StoredCount("Greetings") < 8 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	say("What the brokers have stored:")
	for _, m := range cluster.Stored("Greetings") {
		say("  %s/%d offset %d  %-8s %-9s %5d bytes  sent-by %s", m.Broker, m.QueueID, m.QueueOffset, m.Property(rocketmq.PropertyTags), packed(m), len(m.Body), m.Property("sent-by"))
	}
	return ctx.Err()
}

func packed(m embedded.Stored) string {
	if m.SysFlag&rocketmq.SysCompressed != 0 {
		return "(zlib)"
	}
	return ""
}
