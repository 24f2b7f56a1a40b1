package steptest

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// Budget is a retry budget, and what is special about it. Only Budget is required.
type Budget struct {
	// Budget is a fresh budget, which has granted nothing yet.
	Budget core.RetryBudget

	// Most is the largest number of retries that the budget grants without a success; 10,000 if
	// it is 0.
	Most int
	// Refill is how many successes let an empty budget grant a retry again; 1,000 if it is 0.
	Refill int
	// Time is for budgets that grant by time and not by successes.
	Time bool

	// Limit is the time of one check, a minute if it is 0. Late is how long something takes that
	// takes no time, on a slow machine: 5 s if it is 0. In virtual time it is a millisecond.
	Limit, Late time.Duration
	// Skip gives the reason why a rule ("B3") or a check ("B3/withdraw") is left out.
	Skip map[string]string
}

const (
	defaultMost   = 10_000
	defaultRefill = 1_000
)

func (b Budget) settings() settings {
	set := settings{limit: b.Limit, late: b.Late, skip: b.Skip}
	if v := reflect.ValueOf(b.Budget); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		set.missing = "there is no Budget"
	}
	return set
}

func (b Budget) most() int {
	if b.Most > 0 {
		return b.Most
	}
	return defaultMost
}

func (b Budget) refill() int {
	if b.Refill > 0 {
		return b.Refill
	}
	return defaultRefill
}

const (
	withdraw = "RetryBudget.Withdraw"
	deposit  = "RetryBudget.Deposit"
)

// failure is what a budget is asked about.
func failure(outage bool) *core.Failure {
	return &core.Failure{
		Attempt: 1, Err: failed(core.ErrConnectionLost), Class: core.ClassNetwork, Certainty: core.MaybeStored, Mode: core.Sync,
		Message: &core.Message{Topic: "T", Body: []byte("steptest"), Keys: []string{"key"}, Properties: map[string]string{"color": "red"}},
		Elapsed: time.Second, Remaining: 2 * time.Second, Untried: 1, Outage: outage,
	}
}

// budgetCheck makes a check for failures with and without an outage, in which no other broker
// is left. A budget that does not come back is another rule's business.
func budgetCheck(run func(k *kit, b Budget, outage bool)) []check[Budget] {
	var out []check[Budget]
	for _, outage := range []bool{false, true} {
		name := map[bool]string{false: "usual", true: "outage"}[outage]
		out = append(out, check[Budget]{name, func(k *kit, b Budget) {
			if k.asks(b, outage) != "" {
				k.Skipf("the budget does not come back")
			}
			run(k, b, outage)
		}})
	}
	return out
}

// asks deposits once and asks for one retry. It says what is wrong with that. The budget is as
// before, or has one retry less.
func (k *kit) asks(b Budget, outage bool) string {
	if wrong := k.tries(deposit, b.Budget.Deposit); wrong != "" {
		return wrong
	}
	return k.tries(withdraw, func() { b.Budget.Withdraw(failure(outage)) })
}

// tries calls a method that should return at once, and says what is wrong.
func (k *kit) tries(what string, f func()) string {
	var panicked any
	returned := false
	done := k.begin(what, func() {
		defer func() { panicked = recover() }()
		f()
		returned = true
	})
	switch {
	case !k.Until(done, k.Late):
		return fmt.Sprintf("%s has not returned after %v", what, k.Late)
	case panicked != nil:
		return fmt.Sprintf("panic in %s: %v", what, panicked)
	case !returned:
		return fmt.Sprintf("%s ended its goroutine", what)
	}
	return ""
}

// budgetReturns is about budgets that do not come back.
func budgetReturns() Rule[Budget] {
	run := func(k *kit, b Budget) {
		for _, f := range []*core.Failure{failure(false), failure(true), {}} {
			for range 3 {
				if wrong := k.tries(withdraw, func() { b.Budget.Withdraw(f) }); wrong != "" {
					k.Fatalf("%s", wrong)
				}
				if wrong := k.tries(deposit, b.Budget.Deposit); wrong != "" {
					k.Fatalf("%s", wrong)
				}
			}
		}
	}
	return Rule[Budget]{
		"B1", "returns", "it returns at once: it does not block, panic or end its goroutine",
		[]check[Budget]{{"full", run}, {"empty", func(k *kit, b Budget) {
			if k.asks(b, false) != "" {
				k.Skipf("the budget does not come back when it is full")
			}
			if wrong := k.tries(withdraw, func() {
				for i := 0; i <= b.most() && b.Budget.Withdraw(failure(false)); i++ {
				}
			}); wrong != "" {
				k.Fatalf("%s", wrong)
			}
			run(k, b)
		}}},
	}
}

// drain takes what the budget grants, and reports how much that was.
func (k *kit) drain(b Budget, outage bool) int {
	granted := 0
	if k.tries(withdraw, func() {
		for granted <= b.most() && b.Budget.Withdraw(failure(outage)) {
			granted++
		}
	}) != "" {
		k.Skipf("the budget does not come back")
	}
	return granted
}

// deposits tells the budget of n successes.
func (k *kit) deposits(b Budget, n int) {
	k.call(deposit, func() {
		for range n {
			b.Budget.Deposit()
		}
	})
}

// budgetBound is about budgets without an end.
func budgetBound() Rule[Budget] {
	return Rule[Budget]{
		"B2", "bound", "without a success it grants a bounded number of retries, also after many successes",
		budgetCheck(func(k *kit, b Budget, outage bool) {
			if n := k.drain(b, outage); n > b.most() {
				k.Fatalf("%d retries are granted without a success; set Most if they may", n)
			}
			k.deposits(b, 10*b.most())
			if n := k.drain(b, outage); n > b.most() {
				k.Errorf("%d retries are granted in a row after %d successes; set Most if they may", n, 10*b.most())
			}
		}),
	}
}

// refilled makes successes until an empty budget grants a retry, and says how many it took;
// -1 if they were more than Refill.
func (k *kit) refilled(b Budget, outage bool) (n int) {
	n = -1
	k.call(deposit, func() {
		for i := 1; i <= b.refill(); i++ {
			b.Budget.Deposit()
			if b.Budget.Withdraw(failure(outage)) {
				n = i
				return
			}
		}
	})
	return n
}

// budgetRefill is about budgets that stay empty.
func budgetRefill() Rule[Budget] {
	return Rule[Budget]{
		"B3", "refill", "successes let an empty budget grant retries again",
		[]check[Budget]{{"usual", func(k *kit, b Budget) {
			if b.Time {
				k.Skipf("the budget grants by time")
			}
			if k.asks(b, false) != "" {
				k.Skipf("the budget does not come back")
			}
			k.drain(b, false)
			if k.refilled(b, false) < 0 {
				k.Errorf("after %d successes an empty budget grants no retry; set Refill if it needs more", b.refill())
			}
		}}},
	}
}

// budgetDebt is about what refusals cost.
func budgetDebt() Rule[Budget] {
	return Rule[Budget]{
		"B4", "debt", "a retry that it does not grant costs nothing",
		[]check[Budget]{{"usual", func(k *kit, b Budget) {
			if b.Time {
				k.Skipf("the budget grants by time")
			}
			if k.asks(b, false) != "" {
				k.Skipf("the budget does not come back")
			}
			if k.drain(b, false) > b.most() {
				k.Skipf("the budget has no end")
			}
			before := k.refilled(b, false)
			if before < 0 {
				k.Skipf("the budget is not refilled")
			}
			k.call(withdraw, func() {
				for range b.most() {
					b.Budget.Withdraw(failure(false))
				}
			})
			if after := k.refilled(b, false); after < 0 || after > before+1 {
				k.Errorf("an empty budget granted a retry after %d successes, and after %d refusals not after as many", before, b.most())
			}
		}}},
	}
}

// budgetFailure is about the failure, which is the call's.
func budgetFailure() Rule[Budget] {
	return Rule[Budget]{
		"B5", "failure", "it reads the failure and its message, changes nothing, and keeps nothing",
		budgetCheck(func(k *kit, b Budget, outage bool) {
			var gone []func() bool
			k.call(withdraw, func() {
				for range 3 {
					f := failure(outage)
					f.Message = copied(f.Message)
					was, msgs := *f, []*core.Message{f.Message}
					before := contents(msgs)
					b.Budget.Withdraw(f)
					if !reflect.DeepEqual(was, *f) {
						k.Errorf("%s wrote to the failure", withdraw)
					} else if what := changedBy(before, msgs); what != "" {
						k.Errorf("%s: %s", withdraw, what)
					}
					gone = append(gone, isGone(f))
				}
			})
			if !k.forgotten(func() bool { return allGone(gone) }) {
				k.Errorf("a failure is still kept %v after %s", k.Late, withdraw)
			}
			b.Budget.Deposit() // which keeps the budget alive until now
		}),
	}
}

// budgetConcurrency is about many calls at a time.
func budgetConcurrency() Rule[Budget] {
	const goroutines = 8
	return Rule[Budget]{
		"B6", "concurrency", "many goroutines may ask at a time, and together they get no more than one alone",
		budgetCheck(func(k *kit, b Budget, outage bool) {
			if b.Time {
				k.Skipf("the budget grants by time")
			}
			full := func() {
				k.deposits(b, 10*b.most())
			}
			full()
			alone := k.drain(b, outage)
			if alone > b.most() {
				k.Skipf("the budget has no end")
			}
			full()
			var granted atomic.Int64
			var wg sync.WaitGroup
			wrong := make(chan string, goroutines)
			for range goroutines {
				wg.Go(func() {
					for {
						more := false
						if w := k.tries(withdraw, func() { more = b.Budget.Withdraw(failure(outage)) }); w != "" {
							wrong <- w
							return
						}
						if !more || granted.Add(1) > int64(2*b.most()) {
							return
						}
					}
				})
			}
			wg.Wait()
			select {
			case w := <-wrong:
				k.Errorf("among others: %s", w)
			default:
				if n := granted.Load(); n > int64(alone) {
					k.Errorf("%d goroutines together get %d retries of a budget that grants %d", goroutines, n, alone)
				}
			}
		}),
	}
}

// budgetGoroutines is about what a budget starts.
func budgetGoroutines() Rule[Budget] {
	return Rule[Budget]{
		"B7", "goroutines", "it leaves no goroutine behind",
		budgetCheck(func(k *kit, b Budget, outage bool) {
			k.drain(b, outage)
			k.deposits(b, b.refill())
			k.NoneLeft("plugin", "the last "+deposit)
		}),
	}
}
