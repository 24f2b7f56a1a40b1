package rulekit

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"
)

// The defaults of a kit's times.
const (
	DefaultLimit = time.Minute
	DefaultLate  = 5 * time.Second
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

// Outcome is what a check has found.
type Outcome struct {
	Failures, Notes []string
	Skipped         string // why, if it is
}

// Kit is one check under way. It is the [TB] of what the check opens. Its methods may be
// called on any goroutine; the fields are set before the goroutines that read them begin.
type Kit struct {
	// Limit is the time of the check, Late what counts as late in it.
	Limit, Late time.Duration

	subject string // what is checked, such as "transport"

	mu       sync.Mutex
	expired  context.Context // ends with the check's time
	over     bool            // what is reported from now on is dropped
	out      Outcome
	cleanups []func()
	inside   map[string]int // methods of the subject under way
}

// New makes the kit of one check. The subject is what messages call the code that is checked,
// such as "transport".
func New(subject string) *Kit {
	return &Kit{Limit: DefaultLimit, Late: DefaultLate, subject: subject, inside: map[string]int{}}
}

// Run runs a check, and finish after it, whatever became of it. The check has the time of Limit.
func (k *Kit) Run(check, finish func()) Outcome {
	done := make(chan struct{})
	go func() { // which Fatalf and Skipf end
		defer close(done)
		defer finish()
		defer k.recovered("the check")
		defer k.Restart(k.Limit)()
		check()
	}()
	<-done
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	return k.out
}

// Restart gives the check so much time from now on. Stop has to be called at its end.
func (k *Kit) Restart(d time.Duration) (stop func()) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expired = ctx
	return cancel
}

// Expired ends with the check's time.
func (k *Kit) Expired() context.Context {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.expired
}

// Within runs f with a time of its own, on a goroutine that f may end.
func (k *Kit) Within(d time.Duration, f func()) {
	defer k.Restart(d)()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// Clean calls the functions that Cleanup was given, the last one first. Who they belong to
// and what they are called are as in [Kit.Call].
func (k *Kit) Clean(who, what string) {
	for {
		k.mu.Lock()
		n := len(k.cleanups)
		if n == 0 {
			k.mu.Unlock()
			return
		}
		f := k.cleanups[n-1]
		k.cleanups = k.cleanups[:n-1]
		k.mu.Unlock()
		k.Within(k.Limit, func() { k.Call(who, what, f) })
	}
}

// Call calls a method and waits for it. One that does not return, panics or ends its
// goroutine ends the check. Who is whose method it is, for [Kit.NoneLeft].
func (k *Kit) Call(who, what string, f func()) {
	returned := false
	k.Await(k.Begin(who, what, func() {
		f()
		returned = true
	}))
	if returned {
		return
	}
	k.mu.Lock()
	told := len(k.out.Failures) > 0 || k.out.Skipped != ""
	k.mu.Unlock()
	if !told {
		k.Errorf("%s ended its goroutine", what)
	}
	runtime.Goexit()
}

// Begin runs f on a goroutine of its own and contains its panic. The goroutine has labels of the
// check, which those that f starts inherit.
func (k *Kit) Begin(who, what string, f func()) (done <-chan struct{}) {
	leave := k.Enter(what)
	ended := make(chan struct{})
	go pprof.Do(context.Background(), k.Labels(who), func(context.Context) {
		defer close(ended)
		defer leave()
		defer k.recovered(what)
		f()
	})
	return ended
}

// recovered makes a panic a failure.
func (k *Kit) recovered(what string) {
	if v := recover(); v != nil {
		k.Errorf("panic in %s: %v\n%s", what, v, debug.Stack())
	}
}

// Enter notes that a method is under way.
func (k *Kit) Enter(what string) (leave func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.inside[what]++
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.inside[what]--; k.inside[what] == 0 {
			delete(k.inside, what)
		}
	}
}

// Leave notes that a method has gone on to something else, until back is called.
func (k *Kit) Leave(what string) (back func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inside[what]--; k.inside[what] == 0 {
		delete(k.inside, what)
	}
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.inside[what]++
	}
}

// Blocking names the methods that are under way.
func (k *Kit) Blocking() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var who []string
	for _, what := range slices.Sorted(maps.Keys(k.inside)) {
		who = append(who, fmt.Sprintf("%s has not returned", what))
	}
	if len(who) == 0 {
		return "nothing of the " + k.subject + " is under way"
	}
	return strings.Join(who, ", ")
}

// Await waits for done as long as the check has time.
func (k *Kit) Await(done <-chan struct{}) {
	select {
	case <-done:
	case <-k.Expired().Done():
		k.Fatalf("it is not over in its time: %s", k.Blocking())
	}
}

// Until waits for done at most d. It reports whether done came.
func (k *Kit) Until(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// Failed reports whether the check has found something.
func (k *Kit) Failed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.out.Failures) > 0
}

// Helper implements [TB]. Messages carry the rule's name instead of a line.
func (k *Kit) Helper() {}

// Cleanup calls f at the end of the check, the last one first.
func (k *Kit) Cleanup(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cleanups = append(k.cleanups, f)
}

// Logf notes something. It, Errorf, Fatalf and Skipf keep the text until the check is over.
func (k *Kit) Logf(format string, args ...any) { k.report(&k.out.Notes, format, args) }

// Errorf notes a failure.
func (k *Kit) Errorf(format string, args ...any) { k.report(&k.out.Failures, format, args) }

// Fatalf notes a failure and ends the goroutine.
func (k *Kit) Fatalf(format string, args ...any) {
	k.Errorf(format, args...)
	runtime.Goexit()
}

// Skipf notes why the check is left out and ends the goroutine.
func (k *Kit) Skipf(format string, args ...any) {
	k.mu.Lock()
	k.out.Skipped = fmt.Sprintf(format, args...)
	k.mu.Unlock()
	runtime.Goexit()
}

func (k *Kit) report(list *[]string, format string, args []any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if !k.over && !slices.Contains(*list, text) {
		*list = append(*list, text)
	}
}
