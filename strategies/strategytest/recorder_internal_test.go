package strategytest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/internal/race"
)

// notes are what a test is told that may fail.
type notes struct {
	mu                   sync.Mutex
	failures, skips, ran []string
}

func (n *notes) Helper()             {}
func (n *notes) Logf(string, ...any) {}

func (n *notes) Errorf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failures = append(n.failures, fmt.Sprintf(format, args...))
}

func (n *notes) Skipf(format string, args ...any) {
	n.mu.Lock()
	n.skips = append(n.skips, fmt.Sprintf(format, args...))
	n.mu.Unlock()
	runtime.Goexit()
}

// run runs a sub-test, which may end its goroutine.
func (n *notes) run(name string, f func()) bool {
	n.ran = append(n.ran, name)
	before := len(n.failures)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
	return len(n.failures) == before
}

// broken gives the numbers of the rules that are broken.
func (n *notes) broken() []string {
	var ids []string
	for _, text := range n.failures {
		id, _, _ := strings.Cut(text, ":")
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// recorder is a test that gives virtual time.
type recorder struct {
	notes
	t       *testing.T
	bubbles sync.WaitGroup // those that a strategy blocks end when it does
}

func (r *recorder) Run(name string, f func(r *recorder)) bool {
	return r.run(name, func() { f(r) })
}

func (r *recorder) bubble(f func()) {
	r.bubbles.Add(1)
	defer r.bubbles.Done()
	synctest.Test(r.t, func(*testing.T) { f() })
}

// plain is a test without virtual time.
type plain struct{ notes }

func (p *plain) Run(name string, f func(p *plain)) bool { return p.run(name, func() { f(p) }) }

// quick is the limit for strategies that never return. The others do not come near to theirs.
const quick = time.Second

// expect runs a kit and compares the rules that it finds broken. One of the failures has to
// say says. Free lets a strategy go on that blocks.
func expect(t *testing.T, want, says string, free func(), kit func(r *recorder)) {
	t.Helper()
	r := &recorder{t: t}
	kit(r)
	free()
	r.bubbles.Wait()
	all := strings.Join(r.failures, "\n")
	if got := strings.Join(r.broken(), " "); got != want {
		t.Errorf("it breaks %q, want %q:\n%s", got, want, all)
	}
	if !strings.Contains(all, says) {
		t.Errorf("no failure says %q:\n%s", says, all)
	}
}

// sample leaves most of a table to the run without the race detector, which makes the kit ten
// times as slow: a few strategies show whether the kit itself has races.
func sample(t *testing.T, row int) {
	if race.Enabled && row%6 != 0 {
		t.Skip("five of six rows are for the run without the race detector")
	}
}

// allBroken reports rules that no strategy breaks.
func allBroken[S any](t *testing.T, c contract[S], covered string) {
	t.Helper()
	for _, r := range c.rules {
		if !slices.Contains(strings.Fields(covered), r.id) {
			t.Errorf("no strategy here breaks %s", r.id)
		}
	}
}

// leftBehind is a goroutine that never ends: its time stands still when its bubble is over.
func leftBehind() {
	for {
		time.Sleep(time.Hour)
	}
}
