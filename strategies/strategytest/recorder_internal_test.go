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
)

// recorder is a test that may fail: it notes what it is told.
type recorder struct {
	t       *testing.T
	bubbles *sync.WaitGroup // those that a strategy blocks end when it does

	mu              sync.Mutex
	failures, skips []string
	ran             []string
}

func (r *recorder) Helper()             {}
func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Skipf(format string, args ...any) {
	r.mu.Lock()
	r.skips = append(r.skips, fmt.Sprintf(format, args...))
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *recorder) Run(name string, f func(r *recorder)) bool {
	r.ran = append(r.ran, name)
	before := len(r.failures)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	return len(r.failures) == before
}

func (r *recorder) bubble(f func()) {
	r.bubbles.Add(1)
	defer r.bubbles.Done()
	synctest.Test(r.t, func(*testing.T) { f() })
}

// broken gives the numbers of the rules that a test finds broken.
func (r *recorder) broken() []string {
	var ids []string
	for _, text := range r.failures {
		id, _, _ := strings.Cut(text, ":")
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// quick is the limit for strategies that never return. The others do not come near to theirs.
const quick = 1 * time.Second

// expect runs a kit and compares the rules that it finds broken. One of the failures has to
// say says. Free lets a strategy go on that blocks.
func expect(t *testing.T, want, says string, free func(), kit func(r *recorder)) {
	t.Helper()
	r := &recorder{t: t, bubbles: new(sync.WaitGroup)}
	kit(r)
	if free != nil {
		free()
	}
	r.bubbles.Wait()
	all := strings.Join(r.failures, "\n")
	if got := strings.Join(r.broken(), " "); got != want {
		t.Errorf("it breaks %q, want %q:\n%s", got, want, all)
	}
	if !strings.Contains(all, says) {
		t.Errorf("no failure says %q:\n%s", says, all)
	}
}

// leftBehind is a goroutine that never ends: its time stands still when its bubble is over.
func leftBehind() {
	for {
		time.Sleep(time.Hour)
	}
}
