package core

import (
	"context"
	"log/slog"
	"slices"
)

// listeners are the subscribed listeners, sorted by event once, so that an
// event nobody listens to costs a length check.
type listeners struct {
	call    []named[CallListener]
	attempt []named[AttemptListener]
	retry   []named[RetryListener]
	route   []named[RouteListener]
	state   []named[StateListener]
	log     *slog.Logger
}

// with gives a copy that logs to log.
func (ls *listeners) with(log *slog.Logger) listeners {
	return listeners{
		call: slices.Clone(ls.call), attempt: slices.Clone(ls.attempt), retry: slices.Clone(ls.retry),
		route: slices.Clone(ls.route), state: slices.Clone(ls.state), log: log,
	}
}

type named[T any] struct {
	name string
	l    T
}

// add subscribes v to the events it implements and returns their names.
func (ls *listeners) add(name string, v any) (events []string) {
	if l, ok := v.(CallListener); ok {
		ls.call = append(ls.call, named[CallListener]{name, l})
		events = append(events, "call")
	}
	if l, ok := v.(AttemptListener); ok {
		ls.attempt = append(ls.attempt, named[AttemptListener]{name, l})
		events = append(events, "attempt")
	}
	if l, ok := v.(RetryListener); ok {
		ls.retry = append(ls.retry, named[RetryListener]{name, l})
		events = append(events, "retry")
	}
	if l, ok := v.(RouteListener); ok {
		ls.route = append(ls.route, named[RouteListener]{name, l})
		events = append(events, "route")
	}
	if l, ok := v.(StateListener); ok {
		ls.state = append(ls.state, named[StateListener]{name, l})
		events = append(events, "state")
	}
	return events
}

// has reports whether l is subscribed to attempts already.
func (ls *listeners) has(l AttemptListener) bool {
	for i := range ls.attempt {
		if same(ls.attempt[i].l, l) {
			return true
		}
	}
	return false
}

// without are the listeners of routes that others are not.
func (ls *listeners) without(others *listeners) *listeners {
	out := &listeners{log: ls.log}
	for _, n := range ls.route {
		if !slices.ContainsFunc(others.route, func(o named[RouteListener]) bool { return same(o.l, n.l) }) {
			out.route = append(out.route, n)
		}
	}
	return out
}

func (ls *listeners) callDone(ctx context.Context, r *CallReport) {
	for _, n := range ls.call {
		ls.guard(n.name, "CallDone", func() { n.l.CallDone(ctx, r) })
	}
}

func (ls *listeners) attemptDone(ctx context.Context, r *AttemptReport) {
	for _, n := range ls.attempt {
		ls.guard(n.name, "AttemptDone", func() { n.l.AttemptDone(ctx, r) })
	}
}

func (ls *listeners) retryScheduled(ctx context.Context, r *RetryReport) {
	for _, n := range ls.retry {
		ls.guard(n.name, "RetryScheduled", func() { n.l.RetryScheduled(ctx, r) })
	}
}

func (ls *listeners) routeChanged(r *RouteReport) {
	for _, n := range ls.route {
		ls.guard(n.name, "RouteChanged", func() { n.l.RouteChanged(r) })
	}
}

func (ls *listeners) stateChanged(r *StateReport) {
	for _, n := range ls.state {
		ls.guard(n.name, "StateChanged", func() { n.l.StateChanged(r) })
	}
}

// guard keeps a listener's panic away from the send. The closures do not
// escape, so a call costs no allocation.
func (ls *listeners) guard(name, event string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			ls.log.Error("listener panicked", "listener", name, "event", event, "panic", v)
		}
	}()
	f()
}
