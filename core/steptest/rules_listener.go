package steptest

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// telling is what is noted of the reports that the step's listeners are told.
type telling struct {
	mu      sync.Mutex
	look    bool // note what listeners do; otherwise they are only told
	reports int
	wrong   []string // methods that panicked or ended their goroutine
	changed []string // what they changed
	gone    []func() bool
}

// listening is the kit's place among the listeners. It tells the step's.
type listening rig

// CallDone implements [core.CallListener].
func (l *listening) CallDone(ctx context.Context, r *core.CallReport) {
	for _, part := range l.parts {
		if p, ok := part.(core.CallListener); ok {
			tell(l, "CallListener.CallDone", r, r.Call, r.Result, func() { p.CallDone(ctx, r) })
		}
	}
}

// AttemptDone implements [core.AttemptListener].
func (l *listening) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	for _, part := range l.parts {
		if p, ok := part.(core.AttemptListener); ok {
			tell(l, "AttemptListener.AttemptDone", r, r.Attempt.Call(), r.Result, func() { p.AttemptDone(ctx, r) })
		}
	}
}

// RetryScheduled implements [core.RetryListener].
func (l *listening) RetryScheduled(ctx context.Context, r *core.RetryReport) {
	for _, part := range l.parts {
		if p, ok := part.(core.RetryListener); ok {
			tell(l, "RetryListener.RetryScheduled", r, r.Call, nil, func() { p.RetryScheduled(ctx, r) })
		}
	}
}

// RouteChanged implements [core.RouteListener].
func (l *listening) RouteChanged(r *core.RouteReport) {
	for _, part := range l.parts {
		if p, ok := part.(core.RouteListener); ok {
			l.contained(func() { tell(l, "RouteListener.RouteChanged", r, nil, nil, func() { p.RouteChanged(r) }) })
		}
	}
}

// StateChanged implements [core.StateListener].
func (l *listening) StateChanged(r *core.StateReport) {
	for _, part := range l.parts {
		if p, ok := part.(core.StateListener); ok {
			l.contained(func() { tell(l, "StateListener.StateChanged", r, nil, nil, func() { p.StateChanged(r) }) })
		}
	}
}

// contained tells of something that is no send's, on a goroutine of its own while nobody
// looks: it is the producer's life that is told of then, and a listener must not end it.
func (l *listening) contained(f func()) {
	l.told.mu.Lock()
	look := l.told.look
	l.told.mu.Unlock()
	if look {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }() // another rule looks for panics
		f()
	}()
	l.k.Until(done, l.k.Late)
}

// tell tells a listener and notes what it does with the report.
func tell[R any](l *listening, method string, report *R, c *core.Call, res *core.Result, f func()) {
	what := fmt.Sprintf("%s of step %q", method, l.step.Step.Name())
	leave := l.k.Enter(what)
	defer leave()
	t := &l.told
	t.mu.Lock()
	look := t.look
	t.reports++
	t.mu.Unlock()
	if !look {
		f()
		return
	}
	was := *report
	result := copiedResult(res)
	var msgs []*core.Message
	var now []sent
	if c != nil {
		for o := range c.All() {
			msgs = append(msgs, o.Message())
		}
		now = sentBy(c)
	}
	before := contents(msgs)
	returned := false
	defer func() {
		panicked := recover()
		t.mu.Lock()
		defer t.mu.Unlock()
		switch {
		case panicked != nil:
			t.wrong = append(t.wrong, fmt.Sprintf("panic in %s: %v\n%s", what, panicked, debug.Stack()))
		case !returned:
			t.wrong = append(t.wrong, fmt.Sprintf("%s ended its goroutine", what))
		}
		switch {
		case !reflect.DeepEqual(was, *report):
			t.changed = append(t.changed, what+" wrote to the report")
		case res != nil && *res != *result:
			t.changed = append(t.changed, what+" wrote to the report's result")
		case changedBy(before, msgs) != "":
			t.changed = append(t.changed, fmt.Sprintf("%s: %s", what, changedBy(before, msgs)))
		case c != nil && !reflect.DeepEqual(now, sentBy(c)):
			t.changed = append(t.changed, what+" changed what is sent")
		}
		t.gone = append(t.gone, isGone(report))
		if c != nil {
			t.gone = append(t.gone, isGone(c))
		}
	}()
	f()
	returned = true
}

// event is a kind of report, and how it comes about.
type event struct {
	name    string
	listens func(part any) bool
	// sends are the sends that lead to reports.
	sends []how
	// tell makes reports without a send.
	tell func(l *listening)
}

func is[T any](part any) bool {
	_, ok := part.(T)
	return ok
}

// events are all kinds of reports, with all shapes that each comes in.
func events() []event {
	lost := func(context.Context, *visit) fate { return fate{err: failed(core.ErrConnectionLost)} }
	weak := func(context.Context, *visit) fate { return fate{status: core.FlushDiskTimeout} }
	cancelled := func(_ context.Context, v *visit) fate {
		v.cancel()
		return fate{err: failed(context.Canceled)}
	}
	sends := []how{
		{},
		{mode: core.Async},
		{mode: core.Oneway},
		{batch: true},
		{below: lost},
		{below: lost, mode: core.Oneway},
		{below: lost, batch: true},
		{below: weak},
		{below: cancelled},
		{vetoed: true},
	}
	return []event{
		{"call", is[core.CallListener], append([]how{{nothing: true}}, sends...), nil},
		{"attempt", is[core.AttemptListener], sends, nil},
		{"retry", is[core.RetryListener], []how{{below: lost}, {below: lost, batch: true}}, nil},
		{"route", is[core.RouteListener], nil, func(l *listening) {
			one, other := route(1, "a", "b"), route(4, "b", "c")
			for _, topic := range []string{"T", "U"} {
				l.RouteChanged(&core.RouteReport{Topic: topic, New: one})
				l.RouteChanged(&core.RouteReport{Topic: topic, Old: one, New: other})
				l.RouteChanged(&core.RouteReport{Topic: topic, Old: other})
			}
		}},
		{"state", is[core.StateListener], nil, func(l *listening) {
			states := []core.State{core.StateCreated, core.StateRunning, core.StateShutdown}
			for i, s := range states[1:] {
				l.StateChanged(&core.StateReport{Group: "steptest", Old: states[i], New: s})
			}
			l.StateChanged(&core.StateReport{Group: "steptest", Old: core.StateCreated, New: core.StateStartFailed})
		}},
	}
}

func route(queues int, brokers ...string) *core.Route {
	r, _ := coretest.Routes(queues, brokers...).Route(context.Background(), "T")
	return r
}

// listener makes a producer that makes a second attempt, with a step that listens.
func (k *kit) listener(s Step) *rig {
	r := k.rig(s, func(cfg *core.Config) { cfg.Retry = coretest.Retry(2) })
	r.told.look = true
	return r
}

// inEvents makes a check of each kind of reports.
func inEvents(run func(r *rig, e event)) []check[Step] {
	var out []check[Step]
	for _, e := range events() {
		out = append(out, check[Step]{e.name, func(k *kit, s Step) {
			listens := false
			for _, part := range s.Step.Parts() {
				listens = listens || e.listens(part)
			}
			if !listens {
				k.Skipf("the step is not told of it")
			}
			run(k.listener(s), e)
		}})
	}
	return out
}

// happens makes everything happen of which there are such reports. It says what is wrong
// with the listeners themselves.
func (r *rig) happens(e event) string {
	for _, h := range e.sends {
		if v := r.begin(inAttempt, h); !v.over() {
			return r.k.Blocking()
		}
	}
	if e.tell != nil {
		ended := make(chan struct{})
		done := r.k.begin("the reports", func() {
			defer close(ended)
			e.tell((*listening)(r))
		})
		if !r.k.Until(done, r.k.Late) {
			return r.k.Blocking()
		}
	}
	r.told.mu.Lock()
	defer r.told.mu.Unlock()
	if len(r.told.wrong) > 0 {
		return r.told.wrong[0]
	}
	if r.told.reports == 0 {
		return "it was told nothing"
	}
	return ""
}

// toldRule is about listeners that do not come back.
func toldRule() Rule[Step] {
	return Rule[Step]{
		"L1", "returns", "it returns at once: it does not block, panic or end its goroutine, whatever the report says",
		inEvents(func(r *rig, e event) {
			if wrong := r.happens(e); wrong != "" {
				r.k.Errorf("%s", wrong)
			}
		}),
	}
}

// readingRule is about what listeners write to.
func readingRule() Rule[Step] {
	return Rule[Step]{
		"L2", "reading", "it reads the report, and what is in it, and changes nothing",
		inEvents(func(r *rig, e event) {
			r.comes(e)
			r.told.mu.Lock()
			defer r.told.mu.Unlock()
			if len(r.told.changed) > 0 {
				r.k.Errorf("%s", r.told.changed[0])
			}
		}),
	}
}

// comes is happens for checks of something else.
func (r *rig) comes(e event) {
	if r.happens(e) != "" {
		r.k.Skipf("a listener does not return")
	}
}

// reportsKeptRule is about what listeners keep.
func reportsKeptRule() Rule[Step] {
	return Rule[Step]{
		"L3", "kept", "it keeps neither the report nor a call, attempt or result in it",
		inEvents(func(r *rig, e event) {
			r.comes(e)
			r.close(r.k.Logf)
			r.p = nil
			r.told.mu.Lock()
			gone := r.told.gone
			r.told.mu.Unlock()
			if !r.k.forgotten(func() bool { return allGone(gone) }) {
				r.k.Errorf("a report, or a part of it, is still kept %v after its end", r.k.Late)
			}
		}),
	}
}

// toldAtOnceRule is about many reports at a time.
func toldAtOnceRule() Rule[Step] {
	const goroutines, each = 8, 4
	return Rule[Step]{
		"L4", "concurrency", "many goroutines may report at a time",
		inEvents(func(r *rig, e event) {
			r.comes(e)
			var wg sync.WaitGroup
			for range goroutines {
				wg.Go(func() {
					for range each {
						if wrong := r.happens(e); wrong != "" {
							r.k.Errorf("among others: %s", wrong)
							return
						}
					}
				})
			}
			wg.Wait()
		}),
	}
}

// listenersGoroutinesRule is about what listeners start.
func listenersGoroutinesRule() Rule[Step] {
	return Rule[Step]{
		"L5", "goroutines", "it leaves no goroutine behind",
		inEvents(func(r *rig, e event) {
			r.comes(e)
			r.close(r.k.Logf)
			r.k.NoneLeft("plugin", "the last report")
		}),
	}
}
