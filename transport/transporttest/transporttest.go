package transporttest

import (
	"github.com/liftoff-mq/liftoff/core"
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

// Runner is a TB with sub-tests, as [Test] needs it. A *testing.T is a Runner[*testing.T].
type Runner[T any] interface {
	TB
	Run(name string, f func(t T)) bool
}

// Test checks a transport and a route source against every rule, each in a sub-test that
// has the rule's name. Open makes the world of one check; see [World].
func Test[T Runner[T]](t T, open func(tb TB) World) {
	t.Helper()
	for _, r := range Rules() {
		t.Run(r.String(), func(t T) {
			t.Helper()
			r.Test(t, open)
		})
	}
}

// Rule is a rule of [core.Transport] or [core.RouteSource] with the checks that tell
// whether it is kept.
type Rule struct {
	// ID is the rule's number, such as "T5", and Word the word that stands for it.
	ID, Word string
	// Text is the rule in one sentence.
	Text string

	checks []check
}

// check is one way to find out whether a rule is kept.
type check struct {
	name string
	run  func(k *kit)
}

// Rules are all rules, in the order of their numbers. [Test] runs them as sub-tests. A test
// that wants something around each rule, such as the virtual time of testing/synctest, goes
// over them itself.
func Rules() []Rule {
	return []Rule{
		answerRule(), messageRule(), placeRule(), refusalRule(), writtenRule(), deadlineRule(), contextRule(),
		abortRule(), onewayRule(), batchRule(), readingRule(), concurrencyRule(), networkRule(), endRule(),
		routeRule(), unknownRule(), readOnlyRule(), routeContextRule(), sameRule(), routeConcurrencyRule(),
	}
}

// String gives number and word, such as "T5 written".
func (r Rule) String() string { return r.ID + " " + r.Word }

// Checks are the names of the rule's checks as [World].Skip takes them, such as
// "T6/unanswered".
func (r Rule) Checks() []string {
	names := make([]string, len(r.checks))
	for i, c := range r.checks {
		names[i] = r.ID + "/" + c.name
	}
	return names
}

// Test checks the rule. Every check has a world of its own. What it finds is reported to
// tb, with the rule's name in front. Checks that the world cannot serve are skipped, and
// tb is told why.
func (r Rule) Test(tb TB, open func(tb TB) World) {
	tb.Helper()
	names := make([]string, len(r.checks))
	for i, c := range r.checks {
		names[i] = c.name
	}
	rulekit.Report(tb, r.String(), names, func(i int) rulekit.Outcome { return r.run(r.checks[i], open) })
}

// names are the names of all rules and checks.
func names() []string {
	var names []string
	for _, r := range Rules() {
		names = append(append(names, r.ID), r.Checks()...)
	}
	return names
}

// find looks for an optional interface in a part and in what it wraps, as core does.
func find[T any](part any) (found T, ok bool) {
	for range 64 {
		if found, ok = part.(T); ok {
			return found, true
		}
		w, wraps := part.(core.Wrapper)
		if !wraps {
			break
		}
		part = w.Unwrap()
	}
	return found, false
}
