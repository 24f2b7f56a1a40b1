package steptest_test

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
)

// printer shows what rules report. Instead of it a test gives its *testing.T.
type printer struct{}

func (printer) Helper()                           {}
func (printer) Cleanup(func())                    {}
func (printer) Logf(string, ...any)               {}
func (printer) Errorf(format string, args ...any) { fmt.Printf("FAIL "+format+"\n", args...) }
func (printer) Fatalf(format string, args ...any) { fmt.Printf("FAIL "+format+"\n", args...) }
func (printer) Skipf(string, ...any)              {}

// Run runs a sub-test.
func (p printer) Run(_ string, f func(p printer)) bool {
	f(p)
	return true
}

// A step that puts bodies into capitals, forgets to say so, and knows nothing of compression.
func ExampleTestStep() {
	capitals := core.InterceptorFunc(func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
		for out := range call.All() {
			out.SetBody(bytes.ToUpper(out.Body()))
		}
		return next(ctx, call)
	})
	steptest.TestStep(printer{}, func(steptest.TB) steptest.Step {
		return steptest.Step{Step: core.CallStep("capitals", core.StageEncode, capitals)}
	})
	// Output:
	// FAIL I6 changes: message: a body of 15 bytes became one of 15, with the codec ""; set ChangesBody if it may
	// FAIL I8 packed: message: Interceptor.Intercept of step "capitals" set the body of a message that a codec had packed
}

// credit is a budget that grants ten retries more than there were successes.
type credit struct{ left atomic.Int64 }

func (c *credit) Withdraw(*core.Failure) bool { return c.left.Add(-1) >= 0 }
func (c *credit) Deposit()                    { c.left.Add(1) }

func ExampleTestBudget() {
	steptest.TestBudget(printer{}, func(steptest.TB) steptest.Budget {
		c := &credit{}
		c.left.Store(10)
		return steptest.Budget{Budget: c, Most: 100}
	})
	// Output:
	// FAIL B2 bound: usual: 101 retries are granted in a row after 1000 successes; set Most if they may
	// FAIL B2 bound: outage: 101 retries are granted in a row after 1000 successes; set Most if they may
	// FAIL B3 refill: usual: after 1000 successes an empty budget grants no retry; set Refill if it needs more
}

// deflater packs with DEFLATE, and forgets what is in dst.
type deflater struct{}

func (deflater) Name() string { return "deflate" }

func (deflater) Append(_, src []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(src); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func ExampleTestCompressor() {
	steptest.TestCompressor(printer{}, func(steptest.TB) steptest.Compressor {
		return steptest.Compressor{
			Compressor: deflater{}, Deterministic: true, Bodies: [][]byte{[]byte(strings.Repeat("liftoff ", 100))},
			Unpack: func(packed []byte) ([]byte, error) { return io.ReadAll(flate.NewReader(bytes.NewReader(packed))) },
		}
	})
	// Output:
	// FAIL C3 append: bodies: what was in a dst with room for 0 bytes is not in front
}

// The rules in one list.
func ExampleStepRules() {
	for _, r := range steptest.StepRules() {
		fmt.Println(r, "-", r.Text)
	}
	// Output:
	// I1 returns - it does not block, panic or end its goroutine, whatever the call is and whatever becomes of it
	// I2 next - it calls next, or returns an error that says why not; never later, never twice at a time, and again only with Repeats
	// I3 waiting - it waits for nothing longer than the call lasts: until ctx is done, the deadline, an abort
	// I4 context - it passes on the ctx that it got, or one derived from it
	// I5 message - it never writes to the user's message
	// I6 changes - it changes nothing of what is sent but what it is made to change
	// I7 properties - the properties that it sets are sound: not empty, without separators, not the unique id, of a size that brokers take
	// I8 packed - a body that a codec has packed stays as it is
	// I9 again - a step further out may run the call again: then it does the same again
	// I10 result - it returns a result or an error, and a success is what next returned
	// I11 error - an error of next is passed on, wrapped at most
	// I12 permits - what it holds for a call it lets go of when the call ends, however that is
	// I13 kept - it keeps neither call, attempt, operation nor result after it returned
	// I14 concurrency - many calls may come at a time, and each gets what is its own
	// I15 goroutines - it leaves no goroutine behind, once its calls and, of a service, Shutdown are over
	// A1 once - it calls next at most once
	// A2 frozen - it changes nothing of what is sent
	// L1 returns - it returns at once: it does not block, panic or end its goroutine, whatever the report says
	// L2 reading - it reads the report, and what is in it, and changes nothing
	// L3 kept - it keeps neither the report nor a call, attempt or result in it
	// L4 concurrency - many goroutines may report at a time
	// L5 goroutines - it leaves no goroutine behind
}

// The rules of budgets in one list.
func ExampleBudgetRules() {
	for _, r := range steptest.BudgetRules() {
		fmt.Println(r, "-", r.Text)
	}
	// Output:
	// B1 returns - it returns at once: it does not block, panic or end its goroutine
	// B2 bound - without a success it grants a bounded number of retries, also after many successes
	// B3 refill - successes let an empty budget grant retries again
	// B4 debt - a retry that it does not grant costs nothing
	// B5 failure - it reads the failure and its message, changes nothing, and keeps nothing
	// B6 concurrency - many goroutines may ask at a time, and together they get no more than one alone
	// B7 goroutines - it leaves no goroutine behind
}

// The rules of compressors in one list.
func ExampleCompressorRules() {
	for _, r := range steptest.CompressorRules() {
		fmt.Println(r, "-", r.Text)
	}
	// Output:
	// C1 returns - it packs every body, or returns an error: it does not block, panic or end its goroutine
	// C2 name - its name is one lower-case word, and always the same
	// C3 append - it appends: what is in dst stays in front, and what comes behind it does not depend on it
	// C4 source - it does not write to src, and its result is nobody else's memory
	// C5 unpack - what it packed can be unpacked into the same body
	// C6 same - with Deterministic, the same body is packed into the same bytes
	// C7 kept - it does not keep dst and src, but for those that it worked on last
	// C8 concurrency - many bodies may be packed at a time
	// C9 goroutines - it leaves no goroutine behind
}
