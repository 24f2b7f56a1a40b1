package msgtrace_test

import (
	"fmt"

	"github.com/liftoff-mq/liftoff/hooks/msgtrace"
)

func ExampleNew() {
	trace, err := msgtrace.New(msgtrace.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(trace.Step().Name(), trace.Describe())
	// Output:
	// msgtrace RocketMQ's message trace (topic RMQ_SYS_TRACE_TOPIC, records at most 100 in a message, after 500ms; 2048 wait, beyond that they are dropped)
}
