package strategytest_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/strategytest"
)

// log is a test that prints what it finds. A real test gives its *testing.T.
type log struct{}

func (log) Helper()              {}
func (log) Logf(string, ...any)  {}
func (log) Skipf(string, ...any) {}
func (log) Errorf(format string, args ...any) {
	fmt.Println(strings.SplitN(fmt.Sprintf(format, args...), "\n", 2)[0])
}
func (l log) Run(_ string, f func(log)) bool { f(l); return true }

// A policy that retries without end.
func ExampleTestRetryPolicy() {
	stubborn := core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		d := retry.AtLeastOnce().Next(f)
		if f.Class == core.ClassBusy {
			d = core.Decision{Retry: true, After: 10 * time.Millisecond}
		}
		return d
	})
	strategytest.TestRetryPolicy(log{}, func() core.RetryPolicy { return stubborn }, strategytest.RetryOptions{})
	// Output:
	// R1: every call comes to an end: after 100 attempts it goes on with busy, not-stored: broker 10.0.0.1:10911: SYSTEM_BUSY (2)
}
