package rulekit_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/internal/rulekit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a check finds, whatever the code that it looks at does.
func TestOutcome(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for _, c := range []struct {
		name  string
		check func(k *rulekit.Kit)
		want  []string // the beginnings of failures
		skip  string
	}{
		{name: "nothing", check: func(k *rulekit.Kit) { k.Call("plugin", "m", func() {}) }},
		{
			name: "the same failure twice", want: []string{"bad 1", "bad 2"},
			check: func(k *rulekit.Kit) { k.Errorf("bad %d", 1); k.Errorf("bad 1"); k.Errorf("bad 2") },
		},
		{
			name: "a method panics", want: []string{"panic in m: oh"},
			check: func(k *rulekit.Kit) {
				k.Call("plugin", "m", func() { panic("oh") })
				k.Errorf("the check goes on")
			},
		},
		{name: "the check panics", want: []string{"panic in the check: oh"}, check: func(*rulekit.Kit) { panic("oh") }},
		{
			name: "a method ends its goroutine", want: []string{"m ended its goroutine"},
			check: func(k *rulekit.Kit) {
				k.Call("plugin", "m", runtime.Goexit)
				k.Errorf("the check goes on")
			},
		},
		{
			name: "a method fails the check", want: []string{"so"},
			check: func(k *rulekit.Kit) { k.Call("plugin", "m", func() { k.Fatalf("so") }) },
		},
		{
			name: "a method skips the check", skip: "so",
			check: func(k *rulekit.Kit) { k.Call("plugin", "m", func() { k.Skipf("so") }) },
		},
		{
			name: "a method does not return", want: []string{"it is not over in its time: m has not returned"},
			check: func(k *rulekit.Kit) { k.Call("plugin", "m", func() { <-release }) },
		},
		{
			name: "nothing is under way", want: []string{"it is not over in its time: nothing of the plugin is under way"},
			check: func(k *rulekit.Kit) {
				<-k.Begin("plugin", "m", func() {})
				k.Await(make(chan struct{}))
			},
		},
		{
			name: "a method that has gone on to something else", want: []string{"it is not over in its time: n has not returned"},
			check: func(k *rulekit.Kit) {
				k.Call("plugin", "m", func() {
					defer k.Leave("m")()
					k.Call("plugin", "n", func() { <-release })
				})
			},
		},
		{
			name: "a goroutine is left", want: []string{"20ms after m the plugin has 1 goroutines left:"},
			check: func(k *rulekit.Kit) {
				k.Late = 20 * time.Millisecond
				k.Call("world", "w", func() { go func() { <-release }() })
				k.NoneLeft("plugin", "w")
				k.Call("plugin", "m", func() { go func() { <-release }() })
				k.NoneLeft("plugin", "m")
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := rulekit.New("plugin")
			k.Limit = 200 * time.Millisecond
			finished := 0
			out := k.Run(func() { c.check(k) }, func() { finished++ })
			if len(out.Failures) > len(c.want) {
				// What waits behind a call that ended the check may be told after it.
				t.Logf("all failures: %q", out.Failures)
			}
			for i, want := range c.want {
				if i >= len(out.Failures) || !strings.HasPrefix(out.Failures[i], want) {
					t.Fatalf("failures %q, want %q", out.Failures, c.want)
				}
			}
			if len(c.want) == 0 && len(out.Failures) > 0 || out.Skipped != c.skip || finished != 1 {
				t.Errorf("failures %q, skipped %q, finished %d times", out.Failures, out.Skipped, finished)
			}
			k.Errorf("later")
			if slices.Contains(k.Run(func() {}, func() {}).Failures, "later") {
				t.Error("what is reported after the check counts")
			}
		})
	}
}

// Cleanups run in the reverse order, and one that breaks does not stop the others.
func TestClean(t *testing.T) {
	k := rulekit.New("plugin")
	var order []int
	out := k.Run(func() {
		for i := range 3 {
			k.Cleanup(func() {
				order = append(order, i)
				if i == 1 {
					panic("oh")
				}
			})
		}
	}, func() { k.Clean("plugin", "a cleanup") })
	if !slices.Equal(order, []int{2, 1, 0}) || len(out.Failures) != 1 || !strings.HasPrefix(out.Failures[0], "panic in a cleanup: oh") {
		t.Errorf("order %v, failures %q", order, out.Failures)
	}
}

// report is a TB that writes down what it is told.
type report struct{ lines []string }

func (r *report) Helper()                   {}
func (r *report) Cleanup(func())            {}
func (r *report) Logf(f string, a ...any)   { r.add("note", f, a) }
func (r *report) Errorf(f string, a ...any) { r.add("error", f, a) }
func (r *report) Fatalf(f string, a ...any) { r.add("fatal", f, a) }
func (r *report) Skipf(f string, a ...any)  { r.add("skip", f, a) }

func (r *report) add(kind, format string, args []any) {
	r.lines = append(r.lines, kind+" "+fmt.Sprintf(format, args...))
}

func TestReport(t *testing.T) {
	failed, fine := rulekit.Outcome{Failures: []string{"bad"}}, rulekit.Outcome{Notes: []string{"seen"}}
	skipped, otherwise := rulekit.Outcome{Skipped: "no world"}, rulekit.Outcome{Skipped: "no time"}
	for _, c := range []struct {
		name     string
		outcomes []rulekit.Outcome
		want     []string
	}{
		{"all pass", []rulekit.Outcome{{}, fine}, []string{"note R1 rule: b: seen"}},
		{"one fails", []rulekit.Outcome{failed, {}}, []string{"error R1 rule: a: bad"}},
		{"one is skipped", []rulekit.Outcome{{}, skipped}, []string{"note R1 rule: skipped: b: no world"}},
		{"one fails, one is skipped", []rulekit.Outcome{skipped, failed}, []string{"error R1 rule: b: bad", "note R1 rule: skipped: a: no world"}},
		{"all are skipped for one reason", []rulekit.Outcome{skipped, skipped}, []string{"skip R1 rule: skipped: no world"}},
		{"all are skipped", []rulekit.Outcome{skipped, otherwise}, []string{"skip R1 rule: skipped: a: no world; b: no time"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r report
			rulekit.Report(&r, "R1 rule", []string{"a", "b"}, func(i int) rulekit.Outcome { return c.outcomes[i] })
			if !slices.Equal(r.lines, c.want) {
				t.Errorf("told %q, want %q", r.lines, c.want)
			}
		})
	}
}

func TestMisnamed(t *testing.T) {
	known := []string{"R1", "R1/a"}
	for _, c := range []struct {
		skip map[string]string
		want string
	}{
		{nil, ""},
		{map[string]string{"R1": "so", "R1/a": "so"}, ""},
		{map[string]string{"R2": "so"}, `the world's Skip names "R2", which is no rule and no check`},
		{map[string]string{"R1/a": ""}, "the world's Skip gives no reason for R1/a"},
	} {
		got := ""
		if err := rulekit.Misnamed("world", known, c.skip); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.skip, got, c.want)
		}
	}
}

// The check's time ends its context.
func TestExpired(t *testing.T) {
	k := rulekit.New("plugin")
	k.Limit = 10 * time.Millisecond
	var ended error
	k.Run(func() {
		<-k.Expired().Done()
		ended = k.Expired().Err()
		if k.Until(make(chan struct{}), time.Millisecond) {
			ended = nil
		}
	}, func() {})
	if ended != context.DeadlineExceeded {
		t.Errorf("the context ended with %v", ended)
	}
}
