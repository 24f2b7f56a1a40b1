package steptest

import (
	"time"

	"github.com/liftoff-mq/liftoff/internal/rulekit"
)

// TB is what a rule needs of a test. A *testing.T is one.
type TB interface {
	Helper()
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Runner is a TB with sub-tests, as [TestStep] needs it. A *testing.T is a Runner[*testing.T].
type Runner[T any] interface {
	TB
	Run(name string, f func(t T)) bool
}

// Subject is what a rule is about: a [Step], a [Budget] or a [Compressor].
type Subject interface {
	Step | Budget | Compressor
	settings() settings
}

// settings are what all subjects have.
type settings struct {
	limit, late time.Duration
	skip        map[string]string
	missing     string // why the subject cannot be tested; "" if it can
}

// TestStep checks a step against every rule of interceptors, attempt interceptors and
// listeners, each in a sub-test that has the rule's name. Open makes a fresh step for each
// check; see [Step].
func TestStep[T Runner[T]](t T, open func(tb TB) Step) {
	t.Helper()
	test(t, StepRules(), open)
}

// TestBudget checks a retry budget in the same way; see [Budget].
func TestBudget[T Runner[T]](t T, open func(tb TB) Budget) {
	t.Helper()
	test(t, BudgetRules(), open)
}

// TestCompressor checks a compressor in the same way; see [Compressor].
func TestCompressor[T Runner[T]](t T, open func(tb TB) Compressor) {
	t.Helper()
	test(t, CompressorRules(), open)
}

func test[T Runner[T], S Subject](t T, rules []Rule[S], open func(tb TB) S) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.String(), func(t T) {
			t.Helper()
			r.Test(t, open)
		})
	}
}

// Rule is a rule of a contract in core, with the checks that tell whether it is kept.
type Rule[S Subject] struct {
	// ID is the rule's number, such as "I4", and Word the word that stands for it.
	ID, Word string
	// Text is the rule in one sentence.
	Text string

	checks []check[S]
}

// check is one way to find out whether a rule is kept.
type check[S Subject] struct {
	name string
	run  func(k *kit, s S)
}

// StepRules are all rules of steps, in the order of their numbers. [TestStep] runs them as
// sub-tests. A test that wants something around each rule, such as the virtual time of
// testing/synctest, goes over them itself.
func StepRules() []Rule[Step] {
	return []Rule[Step]{
		returnsRule(), nextRule(), waitingRule(), contextRule(), messageRule(), changesRule(), propertiesRule(), packedRule(),
		againRule(), resultRule(), errorRule(), permitsRule(), keptRule(), concurrencyRule(), goroutinesRule(),
		onceRule(), frozenRule(),
		toldRule(), readingRule(), reportsKeptRule(), toldAtOnceRule(), listenersGoroutinesRule(),
	}
}

// BudgetRules are all rules of retry budgets.
func BudgetRules() []Rule[Budget] {
	return []Rule[Budget]{
		budgetReturns(), budgetBound(), budgetRefill(), budgetDebt(), budgetFailure(), budgetConcurrency(), budgetGoroutines(),
	}
}

// CompressorRules are all rules of compressors.
func CompressorRules() []Rule[Compressor] {
	return []Rule[Compressor]{
		codecReturns(), codecName(), codecAppend(), codecSource(), codecUnpack(), codecSame(), codecKept(),
		codecConcurrency(), codecGoroutines(),
	}
}

// String gives number and word, such as "I4 context".
func (r Rule[S]) String() string { return r.ID + " " + r.Word }

// Checks are the names of the rule's checks as the subject's Skip takes them, such as
// "I4/attempt".
func (r Rule[S]) Checks() []string {
	names := make([]string, len(r.checks))
	for i, c := range r.checks {
		names[i] = r.ID + "/" + c.name
	}
	return names
}

// Test checks the rule. Every check has a plugin of its own, which open makes. What it
// finds is reported to tb, with the rule's name in front. Checks that have nothing to look at
// are skipped, and tb is told why.
func (r Rule[S]) Test(tb TB, open func(tb TB) S) {
	tb.Helper()
	names := make([]string, len(r.checks))
	for i, c := range r.checks {
		names[i] = c.name
	}
	rulekit.Report(tb, r.String(), names, func(i int) rulekit.Outcome { return r.run(r.checks[i], open) })
}

// namesOf are the names of the rules and checks of a kind of subject.
func namesOf[S Subject]() []string {
	var names []string
	for _, r := range rulesOf[S]() {
		names = append(append(names, r.ID), r.Checks()...)
	}
	return names
}

// rulesOf are the rules of a kind of subject.
func rulesOf[S Subject]() []Rule[S] {
	for _, rules := range []any{StepRules(), BudgetRules(), CompressorRules()} {
		if r, ok := rules.([]Rule[S]); ok {
			return r
		}
	}
	return nil
}
