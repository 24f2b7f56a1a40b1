package transporttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

const (
	defaultLimit = time.Minute
	defaultLate  = 5 * time.Second
)

// kit is one check under way. It is the TB of the check's world.
//
// Whatever belongs to somebody else - the world, the transport, the route source - runs on
// a goroutine of its own ([kit.call]). So it can block, panic or end its goroutine, and the
// check still ends in time and says which method it was.
type kit struct {
	check string // its name in Skip
	world World
	limit time.Duration
	late  time.Duration

	expired context.Context // ends with the check's time
	watch   watch
	far     far
	started []core.Service

	mu        sync.Mutex
	over      bool // what is reported from now on is dropped
	out       outcome
	cleanups  []func()
	inside    map[string]int // methods of the transport and the route source under way
	sendings  []*sending
	producers []*core.Producer
	sweep     bool // the world must leave no goroutine either
}

// outcome is what a check has found.
type outcome struct {
	failures, notes []string
	skipped         string // why, if it is
}

// run makes a world and checks the rule in it.
func (r Rule) run(c check, open func(tb TB) World) outcome {
	k := &kit{check: r.ID + "/" + c.name, limit: defaultLimit, late: defaultLate, inside: map[string]int{}}
	k.watch.k, k.far.changed = k, make(chan struct{})
	done := make(chan struct{})
	go func() { // which Fatalf and Skipf end
		defer close(done)
		defer k.finish()
		defer k.recovered("the check")
		defer k.restart(k.limit)()
		k.open(r, open)
		defer k.restart(k.limit)()
		k.start()
		c.run(k)
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

// open makes the world.
func (k *kit) open(r Rule, open func(tb TB) World) {
	var w World
	k.callAs("world", "the world's open", func() { w = open(k) })
	k.world = w
	switch {
	case missing(w.Transport):
		k.Fatalf("the world has no Transport")
	case missing(w.Routes):
		k.Fatalf("the world has no Routes")
	case w.Topic == "":
		k.Fatalf("the world has no Topic")
	}
	if err := misnamed(w.Skip); err != nil {
		k.Fatalf("%v", err)
	}
	for _, name := range []string{r.ID, k.check} {
		if reason := w.Skip[name]; reason != "" {
			k.Skipf("%s", reason)
		}
	}
	if w.Limit > 0 {
		k.limit = w.Limit
	}
	if w.Late > 0 {
		k.late = w.Late
	}
	if w.Serve != nil {
		k.callAs("world", "the world's Serve", func() { w.Serve(k.far.serve) })
	}
}

func missing(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return r.IsNil()
	}
	return false
}

// start starts the transport and the route source where they are services.
func (k *kit) start() {
	for _, s := range k.services() {
		var err error
		ctx := k.expired
		k.call(method(s, "Start"), func() { err = s.Start(ctx) })
		k.started = append(k.started, s)
		if err != nil {
			k.Fatalf("%s: %v", method(s, "Start"), err)
		}
	}
}

// services are the services that the world's two parts are, each once.
func (k *kit) services() []core.Service {
	var out []core.Service
	for _, part := range []any{k.world.Transport, k.world.Routes} {
		s, ok := find[core.Service](part)
		if ok && !slices.ContainsFunc(out, func(o core.Service) bool { return same(o, s) }) {
			out = append(out, s)
		}
	}
	return out
}

func same(a, b any) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

func method(of any, name string) string { return fmt.Sprintf("%T.%s", of, name) }

// finish ends everything that the check began: sends, producers, services, the world. It
// reports nothing of the transport, which is the business of the rules.
func (k *kit) finish() {
	k.release()
	for _, p := range k.producers {
		k.patiently("Producer.Shutdown", p.Shutdown)
	}
	for _, s := range slices.Backward(k.started) {
		k.patiently(method(s, "Shutdown"), s.Shutdown)
	}
	for {
		k.mu.Lock()
		n := len(k.cleanups)
		if n == 0 {
			k.mu.Unlock()
			break
		}
		f := k.cleanups[n-1]
		k.cleanups = k.cleanups[:n-1]
		k.mu.Unlock()
		k.within(k.limit, func() { k.callAs("world", "the world's cleanup", f) })
	}
	if k.sweep {
		k.noneLeft("world", "its cleanup")
	}
}

// patiently calls a method at the end of the check. If it does not return that is noted, as
// the rule that it breaks is another one.
func (k *kit) patiently(what string, f func(context.Context) error) {
	k.within(max(k.late, defaultLate), func() {
		ctx := k.expired
		done := k.begin("transport", what, func() { _ = f(ctx) })
		select {
		case <-done:
		case <-k.expired.Done():
			k.Logf("%s does not return when the check ends", what)
		}
	})
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

// call calls a method of the transport or the route source, or a core method that calls
// one, and waits for it.
func (k *kit) call(what string, f func()) { k.callAs("transport", what, f) }

func (k *kit) callAs(who, what string, f func()) {
	returned := false
	k.await(k.begin(who, what, func() {
		f()
		returned = true
	}))
	if !returned { // it was stopped: by Fatalf, by Skipf, by a panic
		k.mu.Lock()
		told := len(k.out.failures) > 0 || k.out.skipped != ""
		k.mu.Unlock()
		if !told {
			k.Errorf("%s ended its goroutine", what)
		}
		runtime.Goexit()
	}
}

// The labels of goroutines. Whatever a method starts inherits them, so that a leaked
// goroutine is known by them, also beside other tests.
const (
	labelCheck = "transporttest"
	labelWho   = "transporttest-by"
)

func (k *kit) id() string { return fmt.Sprintf("%p", k) }

// begin runs f on a goroutine of its own and contains its panic.
func (k *kit) begin(who, what string, f func()) (done <-chan struct{}) {
	leave := k.enter(what)
	ended := make(chan struct{})
	go pprof.Do(context.Background(), pprof.Labels(labelCheck, k.id(), labelWho, who), func(context.Context) {
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

// await waits for done as long as the check has time.
func (k *kit) await(done <-chan struct{}) {
	select {
	case <-done:
	case <-k.expired.Done():
		k.mu.Lock()
		var who []string
		for _, what := range slices.Sorted(maps.Keys(k.inside)) {
			who = append(who, fmt.Sprintf("%s has not returned", what))
		}
		k.mu.Unlock()
		if len(who) == 0 {
			who = append(who, "nothing of the transport is under way")
		}
		k.Fatalf("it is not over in its time: %s", strings.Join(who, ", "))
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

// needs skips the check if one of the reasons is none.
func (k *kit) needs(reasons ...string) {
	for _, r := range reasons {
		if r != "" {
			k.Skipf("%s", r)
		}
	}
}

// able is needs for a part of a check: without it the rest is checked.
func (k *kit) able(what, reason string) bool {
	if reason != "" {
		k.Logf("checked without %s: %s", what, reason)
	}
	return reason == ""
}

// served is why the far end cannot be asked, or cannot give one of the replies.
func (k *kit) served(kinds ...Kind) string {
	if k.world.Serve == nil {
		return "the world has no Serve, so nobody knows what arrives"
	}
	for _, kind := range kinds {
		if reason := k.world.Cannot[kind]; reason != "" {
			return fmt.Sprintf("the far end cannot %v: %s", kind, reason)
		}
		if kind == Refuse && len(k.world.Refusals) == 0 {
			return "the world has no Refusals"
		}
	}
	return ""
}

// given is why something of the world is not there.
func given(name, value string) string {
	if value == "" {
		return "the world has no " + name
	}
	return ""
}

// feature is why the transport cannot carry something.
func (k *kit) feature(features ...core.Feature) string {
	c, _ := find[core.Capable](k.world.Transport)
	if c == nil {
		return ""
	}
	var lacks []core.Feature
	k.call(method(c, "Capabilities"), func() { lacks = c.Capabilities().Lacks })
	for _, f := range features {
		if slices.Contains(lacks, f) {
			return fmt.Sprintf("the transport's Capabilities lack %v", f)
		}
	}
	return ""
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

var errEnded = errors.New("transporttest: the check is over")
