package steptest_test

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
)

// The kinds of listeners, as functions.
type (
	onCall    func(r *core.CallReport)
	onAttempt func(r *core.AttemptReport)
	onRetry   func(r *core.RetryReport)
	onRoute   func(r *core.RouteReport)
	onState   func(r *core.StateReport)
)

func (f onCall) CallDone(_ context.Context, r *core.CallReport)          { f(r) }
func (f onAttempt) AttemptDone(_ context.Context, r *core.AttemptReport) { f(r) }
func (f onRetry) RetryScheduled(_ context.Context, r *core.RetryReport)  { f(r) }
func (f onRoute) RouteChanged(r *core.RouteReport)                       { f(r) }
func (f onState) StateChanged(r *core.StateReport)                       { f(r) }

// onAll listens to everything.
type onAll func(report any)

func (f onAll) CallDone(_ context.Context, r *core.CallReport)        { f(r) }
func (f onAll) AttemptDone(_ context.Context, r *core.AttemptReport)  { f(r) }
func (f onAll) RetryScheduled(_ context.Context, r *core.RetryReport) { f(r) }
func (f onAll) RouteChanged(r *core.RouteReport)                      { f(r) }
func (f onAll) StateChanged(r *core.StateReport)                      { f(r) }

func listens(l any) func(steptest.TB) steptest.Step {
	return always(virtual(steptest.Step{Step: core.ListenerStep("mine", l)}))
}

// oneAtATime makes a listener that panics when it is told two things at a time.
func oneAtATime(listener func(f func()) any) func(steptest.TB) steptest.Step {
	return func(tb steptest.TB) steptest.Step {
		var busy sync.Mutex
		return listens(listener(func() {
			if !busy.TryLock() {
				panic("one at a time")
			}
			defer busy.Unlock()
			time.Sleep(time.Microsecond)
		}))(tb)
	}
}

// keeps makes a listener that keeps something of a report.
func keeps(listener func(k *keeper) any) func(steptest.TB) steptest.Step {
	return func(tb steptest.TB) steptest.Step { return listens(listener(&keeper{}))(tb) }
}

func brokenListeners() []broken[steptest.Step] {
	return []broken[steptest.Step]{
		{"", "", "", listens(onCall(func(*core.CallReport) {}))},
		{"", "", "", listens(onAll(func(any) {}))},

		// L1
		{"blocks at calls", "L1", `CallListener.CallDone of step "mine" has not returned`, func(tb steptest.TB) steptest.Step {
			over := freed(tb)
			return listens(onCall(func(*core.CallReport) { <-over }))(tb)
		}},
		{"blocks at routes", "L1", `RouteListener.RouteChanged of step "mine" has not returned`, func(tb steptest.TB) steptest.Step {
			over := freed(tb)
			return listens(onRoute(func(r *core.RouteReport) {
				if r.New == nil {
					<-over
				}
			}))(tb)
		}},
		{"sleeps", "L1", `RetryListener.RetryScheduled of step "mine" has not returned`, listens(onRetry(func(*core.RetryReport) {
			time.Sleep(time.Second)
		}))},
		{"panics at failures", "L1", `panic in CallListener.CallDone of step "mine"`, listens(onCall(func(r *core.CallReport) {
			_ = r.Result.Status
		}))},
		{"panics at a first route", "L1", `panic in RouteListener.RouteChanged of step "mine"`, listens(onRoute(func(r *core.RouteReport) {
			_ = r.Old.Len()
		}))},
		{"panics at abandoned attempts", "L1", "boo", listens(onAttempt(func(r *core.AttemptReport) {
			if r.Abandoned {
				panic("boo")
			}
		}))},
		{"ends the goroutine", "L1", `StateListener.StateChanged of step "mine" ended its goroutine`, listens(
			onState(func(*core.StateReport) { runtime.Goexit() }))},

		// L2
		{"writes to the report", "L2", `CallListener.CallDone of step "mine" wrote to the report`, listens(
			onCall(func(r *core.CallReport) { r.Err = nil }))},
		{"writes to the result", "L2", `AttemptListener.AttemptDone of step "mine" wrote to the report's result`, listens(
			onAttempt(func(r *core.AttemptReport) {
				if r.Result != nil {
					r.Result.Status = core.SendOK
					r.Result.RegionID = "mine"
				}
			}))},
		{"writes to a message", "L2", "the Body of message 0 is not what it was", listens(
			onRetry(func(r *core.RetryReport) { r.Call.Message().Body[0]++ }))},
		{"sets a property at the end", "L2", "CallListener.CallDone", listens(
			onCall(func(r *core.CallReport) { r.Call.Outgoing().SetProperty("mine", "x") }))},
		{"writes to the states", "L2", `StateListener.StateChanged of step "mine" wrote to the report`, listens(
			onState(func(r *core.StateReport) { r.Old = r.New }))},

		{"writes to the routes", "L2", `RouteListener.RouteChanged of step "mine" wrote to the report`, listens(
			onRoute(func(r *core.RouteReport) { r.Topic = "mine" }))},

		// L3
		{"keeps calls", "L3", "call: a report, or a part of it, is still kept", keeps(
			func(k *keeper) any { return onCall(func(r *core.CallReport) { k.keep(r.Call) }) })},
		{"keeps attempts", "L3", "attempt: a report", keeps(
			func(k *keeper) any { return onAttempt(func(r *core.AttemptReport) { k.keep(r.Attempt) }) })},
		{"keeps results", "L3", "call: a report", keeps(func(k *keeper) any {
			return onCall(func(r *core.CallReport) {
				if r.Result != nil {
					k.keep(r.Result)
				}
			})
		})},
		{"keeps route reports", "L3", "route: a report", keeps(
			func(k *keeper) any { return onRoute(func(r *core.RouteReport) { k.keep(r) }) })},

		{"keeps everything", "L3", "state: a report", keeps(func(k *keeper) any { return onAll(k.keep) })},

		// L4
		{"cannot be told of two calls at a time", "L4", "among others: panic in CallListener.CallDone", oneAtATime(
			func(f func()) any { return onCall(func(*core.CallReport) { f() }) })},
		{"cannot be told of two attempts at a time", "L4", "among others: panic in AttemptListener.AttemptDone", oneAtATime(
			func(f func()) any { return onAttempt(func(*core.AttemptReport) { f() }) })},
		{"cannot be told of two retries at a time", "L4", "among others: panic in RetryListener.RetryScheduled", oneAtATime(
			func(f func()) any { return onRetry(func(*core.RetryReport) { f() }) })},
		{"cannot be told of two routes at a time", "L4", "among others: panic in RouteListener.RouteChanged", oneAtATime(
			func(f func()) any { return onRoute(func(*core.RouteReport) { f() }) })},
		{"cannot be told of two states at a time", "L4", "among others: panic in StateListener.StateChanged", oneAtATime(
			func(f func()) any { return onState(func(*core.StateReport) { f() }) })},

		// L5
		{"starts a goroutine for everything", "L5", "goroutines left", listens(onAll(func(any) { go time.Sleep(time.Hour) }))},
		{"starts a goroutine for each report", "L5", "goroutines left", listens(
			onCall(func(*core.CallReport) { go time.Sleep(time.Hour) }))},
	}
}
