package steptest

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

const (
	defaultLimit = time.Minute
	defaultLate  = 5 * time.Second
)

// kit is one check under way. It is the TB with which open makes the plugin.
//
// Whatever belongs to somebody else runs on a goroutine of its own ([kit.begin]). So it can
// block, panic or end its goroutine, and the check still ends in time and says which method
// it was.
type kit struct {
	limit, late time.Duration

	expired context.Context // ends with the check's time

	mu       sync.Mutex
	over     bool // what is reported from now on is dropped
	out      outcome
	cleanups []func()
	inside   map[string]int // methods of the plugin under way
	rigs     []*rig
}

// outcome is what a check has found.
type outcome struct {
	failures, notes []string
	skipped         string // why, if it is
}

// run makes a plugin and checks the rule with it.
func (r Rule[S]) run(c check[S], open func(tb TB) S) outcome {
	k := &kit{limit: defaultLimit, late: defaultLate, inside: map[string]int{}}
	done := make(chan struct{})
	go func() { // which Fatalf and Skipf end
		defer close(done)
		defer k.finish()
		defer k.recovered("the check")
		defer k.restart(k.limit)()
		var s S
		k.call("open", func() { s = open(k) })
		set := s.settings()
		if set.missing != "" {
			k.Fatalf("%s", set.missing)
		}
		if err := misnamed(rulesOf[S](), set.skip); err != nil {
			k.Fatalf("%v", err)
		}
		for _, name := range []string{r.ID, r.ID + "/" + c.name} {
			if reason := set.skip[name]; reason != "" {
				k.Skipf("%s", reason)
			}
		}
		if set.limit > 0 {
			k.limit = set.limit
		}
		if set.late > 0 {
			k.late = set.late
		}
		defer k.restart(k.limit)()
		c.run(k, s)
	}()
	<-done
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	return k.out
}

// restart gives the check so much time from now on.
func (k *kit) restart(d time.Duration) (stop func()) {
	var cancel context.CancelFunc
	k.expired, cancel = context.WithTimeout(context.Background(), d)
	return cancel
}

// finish ends everything that the check began.
func (k *kit) finish() {
	k.mu.Lock()
	rigs := k.rigs
	k.mu.Unlock()
	for _, r := range rigs {
		k.within(max(k.late, defaultLate), func() { r.close(k.Logf) })
	}
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
		k.within(k.limit, func() { k.call("a cleanup", f) })
	}
}

// within runs f with a time of its own, on a goroutine that f may end.
func (k *kit) within(d time.Duration, f func()) {
	defer k.restart(d)()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// call calls a method and waits for it. One that does not return, panics or ends its
// goroutine ends the check.
func (k *kit) call(what string, f func()) {
	returned := false
	k.await(k.begin(what, func() {
		f()
		returned = true
	}))
	if returned {
		return
	}
	k.mu.Lock()
	told := len(k.out.failures) > 0 || k.out.skipped != ""
	k.mu.Unlock()
	if !told {
		k.Errorf("%s ended its goroutine", what)
	}
	runtime.Goexit()
}

// begin runs f on a goroutine of its own and contains its panic. The goroutine has the
// check's label, which those that the plugin starts inherit.
func (k *kit) begin(what string, f func()) (done <-chan struct{}) {
	leave := k.enter(what)
	ended := make(chan struct{})
	go pprof.Do(context.Background(), k.labels(), func(context.Context) {
		defer close(ended)
		defer leave()
		defer k.recovered(what)
		f()
	})
	return ended
}

// recovered makes a panic a failure.
func (k *kit) recovered(what string) {
	if v := recover(); v != nil {
		k.Errorf("panic in %s: %v\n%s", what, v, debug.Stack())
	}
}

// enter notes that a method is under way.
func (k *kit) enter(what string) (leave func()) {
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

// blocking names the methods that are under way.
func (k *kit) blocking() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var who []string
	for _, what := range slices.Sorted(maps.Keys(k.inside)) {
		who = append(who, fmt.Sprintf("%s has not returned", what))
	}
	if len(who) == 0 {
		return "nothing of the plugin is under way"
	}
	return strings.Join(who, ", ")
}

// await waits for done as long as the check has time.
func (k *kit) await(done <-chan struct{}) {
	select {
	case <-done:
	case <-k.expired.Done():
		k.Fatalf("it is not over in its time: %s", k.blocking())
	}
}

// until waits for done at most d. It reports whether done came.
func (k *kit) until(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// moment is how long something that does not wait has to come to where it is looked for. It
// is shorter than Late, so that nothing that takes two of them is late.
func (k *kit) moment() time.Duration { return min(20*time.Millisecond, k.late/4) }

// failed reports whether the check has found something.
func (k *kit) failed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.out.failures) > 0
}

// Helper implements [TB]. Messages carry the rule's name instead of a line.
func (k *kit) Helper() {}

// Cleanup calls f at the end of the check, the last one first.
func (k *kit) Cleanup(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cleanups = append(k.cleanups, f)
}

// Logf, Errorf, Fatalf and Skipf keep the text until the check is over: they may be called
// on any goroutine and at any time.
func (k *kit) Logf(format string, args ...any) { k.report(&k.out.notes, format, args) }

// Errorf notes a failure.
func (k *kit) Errorf(format string, args ...any) { k.report(&k.out.failures, format, args) }

// Fatalf notes a failure and ends the goroutine.
func (k *kit) Fatalf(format string, args ...any) {
	k.Errorf(format, args...)
	runtime.Goexit()
}

// Skipf notes why the check is left out and ends the goroutine.
func (k *kit) Skipf(format string, args ...any) {
	k.mu.Lock()
	k.out.skipped = fmt.Sprintf(format, args...)
	k.mu.Unlock()
	runtime.Goexit()
}

func (k *kit) report(list *[]string, format string, args []any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if !k.over && !slices.Contains(*list, text) {
		*list = append(*list, text)
	}
}
