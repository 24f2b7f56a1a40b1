package transporttest_test

import (
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/transporttest"
)

// printer shows what a rule reports.
type printer struct{}

func (printer) Helper()                           {}
func (printer) Cleanup(func())                    {}
func (printer) Logf(format string, args ...any)   { fmt.Printf(format+"\n", args...) }
func (printer) Errorf(format string, args ...any) { fmt.Printf("FAIL "+format+"\n", args...) }
func (printer) Fatalf(format string, args ...any) { fmt.Printf("FAIL "+format+"\n", args...) }
func (printer) Skipf(format string, args ...any)  { fmt.Printf("SKIP "+format+"\n", args...) }

// A transport that forgets to say that it has written something.
func ExampleRule_Test() {
	forgetful := &coretest.Transport{Unwritten: true}
	for _, r := range transporttest.Rules()[:5] {
		r.Test(printer{}, func(transporttest.TB) transporttest.World {
			return transporttest.World{
				Transport: forgetful, Routes: coretest.Routes(1, "broker-a"), Topic: "T",
				Skip: map[string]string{"T4": "its far end cannot refuse"},
			}
		})
	}
	// Output:
	// T1 answer: skipped: refused, lost: the world has no Serve, so nobody knows what arrives
	// T1 answer: skipped: refusing: the world has no Refusing
	// SKIP T2 message: skipped: the world has no Serve, so nobody knows what arrives
	// SKIP T3 place: skipped: the world has no Serve, so nobody knows what arrives
	// SKIP T4 refusal: skipped: its far end cannot refuse
	// FAIL T5 written: stored: MarkWritten was not called for a message, and it was acknowledged
	// FAIL T5 written: oneway: MarkWritten was not called for a message, and it was a success
	// T5 written: skipped: refused, lost, hanging: the world has no Serve, so nobody knows what arrives
	// T5 written: skipped: refusing: the world has no Refusing
	// T5 written: skipped: silent: the world has no Silent
}

// The rules in one list.
func ExampleRules() {
	for _, r := range transporttest.Rules() {
		fmt.Println(r, "-", r.Text)
	}
	// Output:
	// T1 answer - a success is a result with a status and no error, everything else an error and no result
	// T2 message - topic, body, flag, codec and every property arrive unchanged, a batch in its order
	// T3 place - the request goes to the attempt's address and names its queue
	// T4 refusal - a refusal is a *BrokerError with the class and the certainty that the answer means
	// T5 written - MarkWritten has been called when bytes of the request may have left, and not otherwise
	// T6 deadline - it returns ErrTimeout at the deadline, and at SendBy while nothing was written
	// T7 context - it returns as soon as ctx is done, with ContextError
	// T8 abort - it returns ErrAborted as soon as Aborted is closed
	// T9 one-way - without WantsAnswer it returns the status Written once the request is written
	// T10 batch - each message of a batch has its own outcome
	// T11 reading - messages are read and not changed, and nothing of them is read after RoundTrip has returned
	// T12 concurrency - many attempts may be made at once, and none waits for another's answer
	// T13 network - without a connection the error wraps ErrConnect, with one that was lost ErrConnectionLost
	// T14 end - after Shutdown it returns ErrClosed, at once, and leaves no goroutine behind
	// R1 route - a known topic gives a route with at least one queue and no error
	// R2 unknown - an unknown topic is an error that wraps ErrNoRoute and names the topic
	// R3 read-only - a topic whose queues are all read-only is ErrNotWritable
	// R4 context - it returns as soon as ctx is done, with ContextError
	// R5 same - the same cluster gives an equal route again, with the queues in one order
	// R6 concurrency - many look-ups may be made at once
}

// A far end asks the handler about each request, and does what it says.
func ExampleHandler() {
	var h transporttest.Handler = func(r transporttest.Request) transporttest.Reply {
		if r.Queue == (core.Queue{Broker: "broker-a"}) {
			return transporttest.Reply{Kind: transporttest.Hang}
		}
		return transporttest.Reply{}
	}
	fmt.Println(h(transporttest.Request{Queue: core.Queue{Broker: "broker-a"}}).Kind)
	fmt.Println(h(transporttest.Request{Queue: core.Queue{Broker: "broker-b"}}).Kind)
	// Output:
	// Hang
	// Store
}
