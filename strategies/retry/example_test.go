package retry_test

import (
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// timeout is the failure of a first attempt that got no answer.
var timeout = &core.Failure{
	Attempt: 1, Err: core.ErrTimeout, Class: core.ClassTimeout,
	Certainty: core.MaybeStored, Untried: 1,
}

func ExampleAtLeastOnce() {
	fmt.Println(retry.AtLeastOnce().Next(timeout).Retry)
	fmt.Println(retry.AtLeastOnce(retry.Retries(0)).Next(timeout).Retry)
	// Output:
	// true
	// false
}

func ExampleSafe() {
	fmt.Println(retry.Safe().Next(timeout).Retry)
	connect := *timeout
	connect.Err, connect.Class, connect.Certainty = core.ErrConnect, core.ClassNetwork, core.NotSent
	fmt.Println(retry.Safe().Next(&connect).Retry)
	// Output:
	// false
	// true
}

func ExampleJava5() {
	busy := &core.Failure{
		Attempt: 1, Err: refusal.Of(rocketmq.CodeSystemBusy, "", "10.0.0.1:10911"), Class: core.ClassBusy,
		Code: rocketmq.CodeSystemBusy, Answered: true, Certainty: core.NotStored, Untried: 1,
	}
	fmt.Println(retry.Java5().Next(busy).Retry, retry.Java49().Next(busy).Retry)
	fmt.Println(retry.Java49(retry.Codes(rocketmq.CodeSystemBusy)).Next(busy).Retry)
	// Output:
	// true false
	// true
}

func ExampleJava49() {
	fmt.Println(retry.Java49Codes())
	fmt.Println(retry.Java49().Next(timeout).Retry)
	// Output:
	// [TOPIC_NOT_EXIST SERVICE_NOT_AVAILABLE SYSTEM_ERROR NO_PERMISSION NO_BUYER_ID NOT_IN_CURRENT_UNIT]
	// true
}

// A policy of one's own: up to five attempts for orders, one for the rest, with
// pauses.
func ExampleWithBackoff() {
	orders := core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		return core.Decision{Retry: f.Err != nil && f.Message.Topic == "Order" && f.Attempt < 5}
	})
	policy := retry.WithBackoff(orders, retry.Exponential(10*time.Millisecond, time.Second, 0))
	for attempt := 1; attempt <= 5; attempt++ {
		d := policy.Next(&core.Failure{Attempt: attempt, Err: core.ErrTimeout, Message: &core.Message{Topic: "Order"}})
		fmt.Println(d.Retry, d.After)
	}
	// Output:
	// true 10ms
	// true 20ms
	// true 40ms
	// true 80ms
	// false 0s
}

// The pause doubles with each attempt, and half of it is random.
func ExampleExponential() {
	backoff := retry.Exponential(10*time.Millisecond, 500*time.Millisecond, 0.5)
	pause := backoff.Pause(&core.Failure{Attempt: 3})
	fmt.Println(20*time.Millisecond < pause && pause <= 40*time.Millisecond)
	fmt.Println(core.Describe(backoff))
	// Output:
	// true
	// 10ms doubling to 500ms with 0.5 of it random
}

// The pause is drawn from the last one, and begins where there was none.
func ExampleDecorrelated() {
	policy := retry.AtLeastOnce(retry.Pause(retry.Decorrelated(10*time.Millisecond, 500*time.Millisecond)))
	first := *timeout
	first.Untried = 0
	fmt.Println(policy.Next(&first).After < 30*time.Millisecond)
	second := first
	second.Attempt, second.Paused = 2, 200*time.Millisecond
	fmt.Println(policy.Next(&second).After <= 500*time.Millisecond)
	// Output:
	// true
	// true
}

// A time-out is retried once, everything else as often as the inner policy has it.
func ExampleLimit() {
	policy := retry.Limit(retry.AtLeastOnce(retry.Retries(5)), map[core.Class]int{core.ClassTimeout: 1})
	for attempt := 1; attempt <= 2; attempt++ {
		f := *timeout
		f.Attempt = attempt
		fmt.Println("time-out of attempt", attempt, "is retried:", policy.Next(&f).Retry)
	}
	// Output:
	// time-out of attempt 1 is retried: true
	// time-out of attempt 2 is retried: false
}

func ExampleNone() {
	fmt.Println(retry.None().Next(timeout).Retry)
	fmt.Println(core.Describe(retry.None()))
	// Output:
	// false
	// none: one attempt
}

// The same queue is asked again, after a pause, though another broker is left.
func ExampleSameQueue() {
	d := retry.AtLeastOnce(retry.SameQueue()).Next(timeout)
	fmt.Println(d.Retry, d.Reroute)
	// Output: true same-queue
}

func ExampleNewBudget() {
	budget, err := retry.NewBudget(0.5, 2) // a retry for each second success, two at first
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(budget.Withdraw(&core.Failure{}), budget.Withdraw(&core.Failure{}), budget.Withdraw(&core.Failure{}))
	budget.Deposit()
	budget.Deposit()
	fmt.Println(budget.Withdraw(&core.Failure{}))
	// Output:
	// true true false
	// true
}

func ExampleRestoreWeak() {
	weak := &core.Failure{Attempt: 1, Status: core.FlushDiskTimeout, Certainty: core.Stored, Untried: 1}
	fmt.Println(retry.AtLeastOnce().Next(weak).Retry, retry.AtLeastOnce(retry.RestoreWeak()).Next(weak).Retry)
	// Output: false true
}

func ExampleBusy() {
	policy := retry.AtLeastOnce(retry.Retries(1), retry.Busy(3), retry.Pause(retry.Exponential(time.Millisecond, 5*time.Millisecond, 1)),
		retry.Codes(rocketmq.CodeTransactionFailed))
	busy := core.Failure{
		Err: refusal.Of(rocketmq.CodeSystemBusy, "", "10.0.0.1:10911"), Class: core.ClassBusy,
		Code: rocketmq.CodeSystemBusy, Answered: true, Certainty: core.NotStored,
	}
	other := core.Failure{
		Err: refusal.Of(rocketmq.CodeTransactionFailed, "", "10.0.0.1:10911"), Class: core.ClassBroker,
		Code: rocketmq.CodeTransactionFailed, Answered: true, Certainty: core.MaybeStored,
	}
	for attempt := range 5 {
		busy.Attempt, other.Attempt = attempt+1, attempt+1
		fmt.Println(attempt+1, policy.Next(&busy).Retry, policy.Next(&other).Retry)
	}
	// Output:
	// 1 true true
	// 2 true false
	// 3 true false
	// 4 false false
	// 5 false false
}

func ExampleJava5Codes() {
	fmt.Println(retry.Java49Codes())
	fmt.Println(retry.Java5Codes())
	// Output:
	// [TOPIC_NOT_EXIST SERVICE_NOT_AVAILABLE SYSTEM_ERROR NO_PERMISSION NO_BUYER_ID NOT_IN_CURRENT_UNIT]
	// [TOPIC_NOT_EXIST SERVICE_NOT_AVAILABLE SYSTEM_ERROR NO_PERMISSION NO_BUYER_ID NOT_IN_CURRENT_UNIT SYSTEM_BUSY GO_AWAY]
}

// A policy says what it does and with which numbers.
func ExampleRetries() {
	fmt.Println(core.Describe(retry.Safe(retry.Retries(1))))
	fmt.Println(core.Describe(retry.WithBackoff(retry.Java49(), retry.Exponential(10*time.Millisecond, time.Second, 0.5))))
	// Output:
	// safe (retries 1, retries of a busy broker 1, pause random up to 10ms doubling to 500ms, stored twice never)
	// as the Java producer of 4.9 (retries 2, pause none, stored twice possible after an attempt without an answer, retried answers TOPIC_NOT_EXIST SERVICE_NOT_AVAILABLE SYSTEM_ERROR NO_PERMISSION NO_BUYER_ID NOT_IN_CURRENT_UNIT in sync sends, pause if longer 10ms doubling to 1s with 0.5 of it random)
}
