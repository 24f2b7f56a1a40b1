package strategytest

import (
	"runtime/debug"
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/core/coretest"
)

// rule is one numbered sentence of a contract, and how to check it for a
// subject. A check reports by t and may leave it by Fatalf.
type rule[S any] struct {
	id, text string
	check    func(t coretest.TB, subject S)
}

// on checks the rule for a subject. A panic breaks it.
func (r rule[S]) on(t coretest.TB, subject S) {
	t.Helper()
	defer noPanic(t)
	r.check(t, subject)
}

// run checks every rule in a sub-test of its own.
func run[S any](t *testing.T, rules []rule[S], subject S, skip map[string]string) {
	t.Helper()
	for id, reason := range skip {
		switch {
		case !slices.ContainsFunc(rules, func(r rule[S]) bool { return r.id == id }):
			t.Errorf("Skip names %q, which is no rule here", id)
		case reason == "":
			t.Errorf("Skip gives no reason for %s", id)
		}
	}
	for _, r := range rules {
		t.Run(r.id, func(t *testing.T) {
			t.Helper()
			if reason := skip[r.id]; reason != "" {
				t.Skipf("%s: %s: skipped: %s", r.id, r.text, reason)
			}
			r.on(ruleTB{t, r.id + ": " + r.text}, subject)
		})
	}
}

// noPanic makes a strategy's panic the failure of the rule in whose check it came.
func noPanic(t coretest.TB) {
	if v := recover(); v != nil {
		t.Errorf("panic: %v\n%s", v, debug.Stack())
	}
}

// ruleTB puts the rule in front of each message.
type ruleTB struct {
	coretest.TB
	rule string
}

func (t ruleTB) Errorf(format string, args ...any) {
	t.Helper()
	t.TB.Errorf("%s: "+format, append([]any{t.rule}, args...)...)
}

func (t ruleTB) Fatalf(format string, args ...any) {
	t.Helper()
	t.TB.Fatalf("%s: "+format, append([]any{t.rule}, args...)...)
}
