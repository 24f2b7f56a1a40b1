package steptest_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
)

// recorder takes what a rule reports instead of failing the test.
type recorder struct {
	mu                      sync.Mutex
	failures, logs, skipped []string
}

func (r *recorder) Helper()        {}
func (r *recorder) Cleanup(func()) {}

func (r *recorder) Logf(format string, args ...any)   { r.add(&r.logs, format, args) }
func (r *recorder) Errorf(format string, args ...any) { r.add(&r.failures, format, args) }
func (r *recorder) Skipf(format string, args ...any)  { r.add(&r.skipped, format, args) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) add(list *[]string, format string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}

// verdict runs rules in virtual time, and gives the numbers of those that fail.
func verdict[S steptest.Subject](t *testing.T, rules []steptest.Rule[S], open func(tb steptest.TB) S) (failed string, rec *recorder) {
	t.Helper()
	rec = &recorder{}
	var ids []string
	for _, r := range rules {
		synctest.Test(t, func(*testing.T) {
			before := len(rec.failures)
			r.Test(rec, open)
			time.Sleep(2 * time.Hour) // goroutines that a bug leaves behind end
			if len(rec.failures) > before {
				ids = append(ids, r.ID)
			}
			for _, text := range rec.failures[before:] {
				if !strings.HasPrefix(text, r.String()+": ") {
					t.Errorf("the failure does not begin with its rule %q: %s", r, text)
				}
			}
		})
	}
	return strings.Join(ids, " "), rec
}

// broken is a plugin that breaks exactly these rules.
type broken[S steptest.Subject] struct {
	bug, rules, says string
	open             func(tb steptest.TB) S
}

// expect runs all rules against a plugin, and gives what they say.
func (b broken[S]) expect(t *testing.T, rules []steptest.Rule[S]) []string {
	t.Helper()
	failed, rec := verdict(t, rules, b.open)
	for i, text := range rec.failures {
		lines := strings.SplitAfterN(text, "\n", 3)
		rec.failures[i] = strings.Join(lines[:min(2, len(lines))], "")
		if at := strings.LastIndex(text, ", for "); at > 0 && len(lines) > 2 {
			rec.failures[i] += text[at:]
		}
	}
	all := strings.Join(rec.failures, "\n")
	if failed != b.rules {
		t.Errorf("it breaks %q, want %q:\n%s", failed, b.rules, all)
	}
	if !strings.Contains(all, b.says) {
		t.Errorf("no failure says %q:\n%s", b.says, all)
	}
	return rec.failures
}

// expectAll makes a sub-test of each broken plugin.
func expectAll[S steptest.Subject](t *testing.T, rules []steptest.Rule[S], all []broken[S]) {
	var failures []string
	for _, b := range all {
		t.Run(b.bug, func(t *testing.T) { failures = append(failures, b.expect(t, rules)...) })
	}
	if !t.Failed() {
		everyCheck(t, rules, failures)
	}
}

// everyCheck makes sure that each check is failed by some broken plugin, of those whose failures
// these are.
func everyCheck[S steptest.Subject](t *testing.T, rules []steptest.Rule[S], failures []string) {
	t.Helper()
	for _, r := range rules {
		for _, name := range r.Checks() {
			_, check, _ := strings.Cut(name, "/")
			prefix := fmt.Sprintf("%v: %s: ", r, check)
			if !slices.ContainsFunc(failures, func(f string) bool { return strings.HasPrefix(f, prefix) }) {
				t.Errorf("no broken plugin fails the check %s", name)
			}
		}
	}
}

type (
	intercept        = core.InterceptorFunc
	interceptAttempt = core.AttemptInterceptorFunc
)

// virtual is the time of a step in virtual time.
func virtual(s steptest.Step) steptest.Step {
	s.Late = time.Millisecond
	return s
}

// calling is a step in message scope.
func calling(i core.Interceptor) steptest.Step {
	return virtual(steptest.Step{Step: core.CallStep("mine", core.StageShape, i)})
}

// trying is a step in attempt scope.
func trying(i core.AttemptInterceptor) steptest.Step {
	return virtual(steptest.Step{Step: core.AttemptStep("mine", core.AttemptProtect, i)})
}

// operating is an attempt interceptor that runs around operations too.
type operating func(ctx context.Context, op *core.Operation, next core.OperationHandler) error

func (o *operating) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	return next(ctx, at)
}

func (o *operating) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) error {
	return (*o)(ctx, op, next)
}

func aroundOperations(f operating) steptest.Step { return trying(&f) }

// always gives the same step; its plugin has no state.
func always(s steptest.Step) func(steptest.TB) steptest.Step {
	return func(steptest.TB) steptest.Step { return s }
}

func callFunc(f intercept) func(steptest.TB) steptest.Step           { return always(calling(f)) }
func attemptFunc(f interceptAttempt) func(steptest.TB) steptest.Step { return always(trying(f)) }
func operationFunc(f operating) func(steptest.TB) steptest.Step      { return always(aroundOperations(f)) }

// freed is a channel that is closed when the check is over.
func freed(tb steptest.TB) <-chan struct{} {
	c := make(chan struct{})
	tb.Cleanup(func() { close(c) })
	return c
}
