package strategytest

import (
	"context"
	"fmt"
	"reflect"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// The strategies stand behind those of this file, so that the kit knows what they are doing,
// and keeps their panics.

// ears passes on what a strategy hears and how it lives, for those of these roles that it has.
type ears struct {
	k           *kit
	part        any    // the strategy
	attemptDone string // the name of the method that is called most
}

func hears(k *kit, part any) ears { return ears{k, part, method(part, "AttemptDone")} }

func method(of any, name string) string { return fmt.Sprintf("%T.%s", of, name) }

func (e ears) CallDone(ctx context.Context, r *core.CallReport) {
	if l, ok := e.part.(core.CallListener); ok {
		e.k.call(method(e.part, "CallDone"), func() { l.CallDone(ctx, r) })
	}
}

func (e ears) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	if l, ok := e.part.(core.AttemptListener); ok {
		e.k.call(e.attemptDone, func() { l.AttemptDone(ctx, r) })
	}
}

func (e ears) RetryScheduled(ctx context.Context, r *core.RetryReport) {
	if l, ok := e.part.(core.RetryListener); ok {
		e.k.call(method(e.part, "RetryScheduled"), func() { l.RetryScheduled(ctx, r) })
	}
}

func (e ears) RouteChanged(r *core.RouteReport) {
	if l, ok := e.part.(core.RouteListener); ok {
		e.k.call(method(e.part, "RouteChanged"), func() { l.RouteChanged(r) })
	}
}

func (e ears) StateChanged(r *core.StateReport) {
	if l, ok := e.part.(core.StateListener); ok {
		e.k.call(method(e.part, "StateChanged"), func() { l.StateChanged(r) })
	}
}

// Start and Shutdown may take their time, but not for ever.
func (e ears) Start(ctx context.Context) (err error) {
	if s, ok := e.part.(core.Service); ok {
		name := method(e.part, "Start")
		returned := e.k.enclose(name, true, func() { err = s.Start(ctx) })
		if !returned || err != nil {
			e.k.spoil(e.k.given, name, "%s gave the error: %v", name, err)
		}
	}
	return err
}

func (e ears) Shutdown(ctx context.Context) (err error) {
	if s, ok := e.part.(core.Service); ok {
		e.k.enclose(method(e.part, "Shutdown"), true, func() { err = s.Shutdown(ctx) })
	}
	return err
}

// deaf are the ears of a value that hears as something else already.
func deaf(k *kit) ears { return ears{k: k} }

// same reports whether two values are one.
func same(a, b any) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

// watchedFactory is a factory behind the kit. Its selectors are so, too.
type watchedFactory struct {
	ears
	inner core.SelectorFactory
	log   *choices

	mu   sync.Mutex
	made []core.QueueSelector // so that what they keep is not forgotten with the producer
}

// ForTopic implements [core.SelectorFactory]. What core says of a missing selector names the
// wrong type, so the kit says it.
func (f *watchedFactory) ForTopic(topic string) core.QueueSelector {
	k := f.k
	name := method(f.inner, "ForTopic")
	var s core.QueueSelector
	if !k.call(name, func() { s = f.inner.ForTopic(topic) }) {
		k.spoil(k.panics, name, "%s did not return", name)
		return nil
	}
	if absent.Is(s) {
		k.spoil(k.given, name, "%s gave no selector for the topic %q", name, topic)
		return nil
	}
	f.mu.Lock()
	f.made = append(f.made, s)
	f.mu.Unlock()
	w := &watchedSelector{hears(k, s), s, f.log, method(s, "Select"), method(s, "RequiresConsistency")}
	if same(s, f.inner) { // it hears already
		w.ears = deaf(k)
	}
	return w
}

// watchedSelector is a selector behind the kit.
type watchedSelector struct {
	ears
	inner core.QueueSelector
	log   *choices

	selects, requires string // the methods' names
}

func (s *watchedSelector) Select(ctx context.Context, sel *core.Selection) (int, error) {
	k, name := s.k, s.selects
	var (
		i   int
		err error
	)
	if !k.call(name, func() { i, err = s.inner.Select(ctx, sel) }) {
		k.spoil(k.panics, name, "%s did not return", name)
		return 0, core.ErrContract
	}
	switch {
	case err != nil:
		k.spoil(s.log.noChoice, name, "%s gave the error: %v", name, err)
	case i < 0 || i >= sel.Len():
		k.spoil(s.log.outside, name, "%s chose queue %d of %d", name, i, sel.Len())
	default:
		s.log.add(sel, i, s.RequiresConsistency(sel.Message()))
	}
	return i, err
}

func (s *watchedSelector) RequiresConsistency(m *core.Message) (requires bool) {
	if c, ok := s.inner.(core.ConsistentSelector); ok {
		if !s.k.call(s.requires, func() { requires = c.RequiresConsistency(m) }) {
			s.k.spoil(s.k.panics, s.requires, "%s did not return", s.requires)
		}
	}
	return requires
}

// watchedView is a health view behind the kit.
type watchedView struct {
	ears
	inner core.HealthView
	name  string // of Health
}

func watchView(e ears, v core.HealthView) *watchedView {
	return &watchedView{e, v, method(v, "Health")}
}

func (v *watchedView) Health(b core.Broker) (h core.Health) {
	name := v.name
	if !v.k.call(name, func() { h = v.inner.Health(b) }) {
		v.k.spoil(v.k.panics, name, "%s did not return", name)
	}
	if h > core.HealthDown {
		v.k.find("H1", "grade", "%s gave the grade %d", name, h)
	}
	return h
}

// watchedPolicy is a retry policy behind the kit.
type watchedPolicy struct {
	ears
	inner core.RetryPolicy
	name  string // of Next
}

func (p *watchedPolicy) Next(f *core.Failure) (d core.Decision) {
	name := p.name
	if !p.k.call(name, func() { d = p.inner.Next(f) }) {
		p.k.spoil(p.k.panics, name, "%s did not return", name)
	}
	return d
}

// choices are what a selector chose, in order.
type choices struct {
	noChoice, outside string // the rules that are broken by an error, and by a bad index
	off               bool

	mu  sync.Mutex
	all []choice
}

// choice is one of them.
type choice struct {
	queue core.Queue
	keyed bool // by what the message says
	up    bool // the broker is not down
	fresh bool // it was not tried in this call
}

func (c *choices) add(sel *core.Selection, i int, keyed bool) {
	if c.off {
		return
	}
	one := choice{
		queue: sel.Queue(i), keyed: keyed,
		up: sel.Health(i) != core.HealthDown, fresh: !sel.Tried(i),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
}

// take gives the choices since the last take.
func (c *choices) take() []choice {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}
