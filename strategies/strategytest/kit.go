package strategytest

import (
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// kit is one rule under check.
//
// A check runs on a goroutine of the kit's, and so does everything that may call the
// strategy. So a strategy can block, panic or end its goroutine, and the check still ends in
// time and says which method it was.
//
// Where it can, a check runs in virtual time (testing/synctest): hours cost nothing there,
// and a method in which time passes is one that waits, however short that is. A method that
// waits for a lock stops the virtual time. So the whole check has a limit in real time, too.
type kit struct {
	numbers
	rule    string // under check
	skip    map[string]string
	limit   time.Duration
	virtual bool // the check runs in virtual time
	seen    *seen
	worlds  []*world // made in the check

	mu      sync.Mutex
	over    bool   // what is found from now on is dropped
	broken  bool   // the check makes no sense any more
	hurt    string // the rule about its methods that it broke in this check
	ended   bool   // the check is over, and all that it made has ended
	stuck   bool   // something blocks: what comes after that is its consequence
	found   []finding
	skipped string         // why something was not checked
	inside  map[string]int // methods of the strategy under way
}

// finding is a rule that is broken, and how.
type finding struct {
	rule, key, text string
}

// most is how many findings of one rule are told.
const most = 3

// patience is how long, in virtual time, anything under test may take.
const patience = time.Hour

// run runs a check within its limit.
func (k *kit) run(t TB, real bool, check func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer k.recovered("the check")
		if real {
			k.whole(check)
		} else {
			k.bubble(t, check)
		}
	}()
	timer := time.NewTimer(k.limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		k.blocked(k.limit)
	}
}

// virtualTB is a TB that gives virtual time without being a *testing.T.
type virtualTB interface{ bubble(f func()) }

// bubble runs f in virtual time if the test can have it.
func (k *kit) bubble(t TB, f func()) {
	inner := func() {
		k.virtual = true
		k.whole(f)
	}
	switch t := t.(type) {
	case *testing.T:
		synctest.Test(t, func(*testing.T) { inner() })
	case virtualTB:
		t.bubble(inner)
	default:
		k.whole(f)
	}
}

// whole runs a check and ends what it left.
func (k *kit) whole(check func()) {
	k.goAndWait(check)
	for _, w := range k.worlds {
		k.goAndWait(w.stop)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
}

// goAndWait runs f on a goroutine that may end early.
func (k *kit) goAndWait(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer k.recovered("the check")
		f()
	}()
	<-done
}

// recovered makes a panic a finding. What the panic of a strategy's method is, call knows.
// The end of a bubble with goroutines left in it is a panic as well.
func (k *kit) recovered(what string) {
	v := recover()
	switch {
	case v == nil:
	case strings.HasPrefix(fmt.Sprint(v), "deadlock: "):
		if !k.isBroken() { // else it is what blocks
			k.find(k.leaves, "left", leftText)
		}
	default:
		k.find(k.rule, what, "panic in %s: %v\n%s", what, v, debug.Stack())
	}
}

// find notes that a rule is broken. The key tells findings of a rule apart.
func (k *kit) find(rule, key, format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over || k.stuck || k.skip[rule] != "" {
		return
	}
	if rule == k.panics || rule == k.waits {
		k.hurt = rule
	} else if k.hurt != "" { // a consequence
		k.skipped = "it breaks " + k.hurt
		return
	}
	n := 0
	for _, f := range k.found {
		if f.rule == rule {
			n++
			if f.key == key {
				return
			}
		}
	}
	if n < most {
		k.found = append(k.found, finding{rule, key, fmt.Sprintf(format, args...)})
	}
}

// knows reports whether there is such a finding.
func (k *kit) knows(rule, key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.found, func(f finding) bool { return f.rule == rule && f.key == key })
}

// failf notes that the rule under check is broken.
func (k *kit) failf(format string, args ...any) {
	k.find(k.rule, fmt.Sprintf(format, args...), format, args...)
}

// fatalf does, and ends the check.
func (k *kit) fatalf(format string, args ...any) {
	k.failf(format, args...)
	runtime.Goexit()
}

// spoil notes a finding after which the check makes no sense. It ends at the next await.
func (k *kit) spoil(rule, key, format string, args ...any) {
	k.find(rule, key, format, args...)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = true
	if k.skipped == "" {
		k.skipped = "it breaks " + rule
	}
}

// skipf says why the check, or the rest of it, is left out, and ends it.
func (k *kit) skipf(format string, args ...any) {
	k.mu.Lock()
	k.skipped = fmt.Sprintf(format, args...)
	k.mu.Unlock()
	runtime.Goexit()
}

// needsTime skips the check where there is no virtual time.
func (k *kit) needsTime() {
	if !k.virtual {
		k.skipf("it takes virtual time, and the test has none")
	}
}

// sleep lets time pass, which is only sensible where it is virtual.
func (k *kit) sleep(d time.Duration) {
	if k.virtual {
		time.Sleep(d)
	}
}

// settle waits until nothing goes on.
func (k *kit) settle() {
	if k.virtual {
		synctest.Wait()
	} else {
		time.Sleep(20 * time.Millisecond)
	}
}

// do runs f, which may call the strategy, on a goroutine of its own.
func (k *kit) do(f func()) { k.parallel(1, func(int) { f() }) }

// parallel runs f on n goroutines at once, and waits for all of them. The check ends if it is
// broken then.
func (k *kit) parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			defer k.recovered("the check")
			f(i)
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	k.await(done)
}

// await waits until what is under test is done, and ends the check if it is not, or broken.
func (k *kit) await(done <-chan struct{}) {
	wait := patience
	if !k.virtual {
		wait = 2 * k.limit // the limit of the whole check comes first
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		k.blocked(wait)
		runtime.Goexit()
	}
	if k.isBroken() {
		runtime.Goexit()
	}
}

func (k *kit) isBroken() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.broken
}

// leftText is what is found of goroutines that do not end with the strategy.
const leftText = "when all was over, it had goroutines left"

// blocked notes what has not come to its end.
func (k *kit) blocked(limit time.Duration) {
	k.mu.Lock()
	who, ended := strings.Join(slices.Sorted(maps.Keys(k.inside)), ", "), k.ended
	k.mu.Unlock()
	switch {
	case who != "":
		k.find(k.waits, "blocked", "%s has not returned after %v", who, limit)
		who += " blocks"
	case ended:
		k.find(k.leaves, "left", leftText)
		who = "a goroutine is left behind"
	default:
		k.find(k.rule, "stuck", "it is not over after %v, and no method of the strategy is under way; does one of its steps block?", limit)
		who = "something blocks"
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.over && !k.stuck {
		k.broken, k.stuck = true, true
		k.seen.blocked, k.skipped = who, who
	}
}

// call calls a method of the strategy. It keeps a panic, and notes what a method must not do.
// It reports whether the method returned.
func (k *kit) call(method string, f func()) (returned bool) { return k.enclose(method, false, f) }

// enclose is call for methods some of which may wait.
func (k *kit) enclose(method string, mayWait bool, f func()) (returned bool) {
	k.enter(method, 1)
	start := time.Now()
	defer func() {
		v := recover()
		k.enter(method, -1)
		switch took := time.Since(start); {
		case v != nil:
			if !k.knows(k.panics, method) { // a stack takes its time
				k.find(k.panics, method, "panic in %s: %v\n%s", method, v, debug.Stack())
			}
		case !returned:
			k.spoil(k.panics, method, "%s ended its goroutine", method)
		case k.virtual && took > 0 && !mayWait:
			k.find(k.waits, method, "%s waited for %v", method, took)
		}
	}()
	f()
	return true
}

func (k *kit) enter(method string, by int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inside[method] += by; k.inside[method] == 0 {
		delete(k.inside, method)
	}
}
