package transporttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/rulekit"
)

// kit is one check under way. It is the TB of the check's world.
type kit struct {
	*rulekit.Kit

	check   string // its name in Skip
	world   World
	watch   watch
	far     far
	started []core.Service
	sweep   bool // the world must leave no goroutine either

	mu        sync.Mutex
	sendings  []*sending
	producers []*core.Producer
}

// run makes a world and checks the rule in it.
func (r Rule) run(c check, open func(tb TB) World) rulekit.Outcome {
	k := &kit{Kit: rulekit.New("transport"), check: r.ID + "/" + c.name}
	k.watch.k, k.far.changed = k, make(chan struct{})
	return k.Run(func() {
		k.open(r, open)
		defer k.Restart(k.Limit)()
		k.start()
		c.run(k)
	}, k.finish)
}

// open makes the world.
func (k *kit) open(r Rule, open func(tb TB) World) {
	var w World
	k.Call("world", "the world's open", func() { w = open(k) })
	k.world = w
	switch {
	case missing(w.Transport):
		k.Fatalf("the world has no Transport")
	case missing(w.Routes):
		k.Fatalf("the world has no Routes")
	case w.Topic == "":
		k.Fatalf("the world has no Topic")
	}
	if err := rulekit.Misnamed("world", names(), w.Skip); err != nil {
		k.Fatalf("%v", err)
	}
	for _, name := range []string{r.ID, k.check} {
		if reason := w.Skip[name]; reason != "" {
			k.Skipf("%s", reason)
		}
	}
	if w.Limit > 0 {
		k.Limit = w.Limit
	}
	if w.Late > 0 {
		k.Late = w.Late
	}
	if w.Serve != nil {
		k.Call("world", "the world's Serve", func() { w.Serve(k.far.serve) })
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
		ctx := k.Expired()
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
	k.Clean("world", "the world's cleanup")
	if k.sweep {
		k.NoneLeft("world", "its cleanup")
	}
}

// patiently calls a method at the end of the check. If it does not return that is noted, as
// the rule that it breaks is another one.
func (k *kit) patiently(what string, f func(context.Context) error) {
	k.Within(max(k.Late, rulekit.DefaultLate), func() {
		ctx := k.Expired()
		done := k.Begin("transport", what, func() { _ = f(ctx) })
		select {
		case <-done:
		case <-k.Expired().Done():
			k.Logf("%s does not return when the check ends", what)
		}
	})
}

// call calls a method of the transport or the route source, or a core method that calls
// one, and waits for it.
func (k *kit) call(what string, f func()) { k.Call("transport", what, f) }

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

var errEnded = errors.New("transporttest: the check is over")
