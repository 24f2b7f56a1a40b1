package retry

import (
	"errors"
	"net"

	"github.com/liftoff-mq/liftoff/core"
)

// AtLeastOnce retries every failure that another attempt can help: lost and
// refused connections, time-outs, busy and unavailable brokers, unexplained
// broker errors, outdated routes (the producer looks the route up again first),
// and open breakers. It goes on to another broker at once, and waits as [Pause]
// says before it asks the same broker again or after a broker was busy.
//
// A busy broker refused the message and asks for time, so by default such failures
// are retried more often than others; see [Busy].
//
// Where the broker did not answer, the message may have been stored: then a
// retry can store it twice, under one message id.
//
// It never retries what cannot change: messages that were refused for good,
// credentials, vetoes of hooks, cancellation, a producer that is shut down and
// broken plugins. A broker without write permission (code 16) and a full limit
// per broker are reason enough to try another broker, but not the same again.
func AtLeastOnce(opts ...Option) core.RetryPolicy { return newPolicy(opts, false) }

// Safe is [AtLeastOnce] for messages that must not be stored twice: it retries
// only if the broker refused the message or nothing was sent.
func Safe(opts ...Option) core.RetryPolicy { return newPolicy(opts, true) }

// policy is what AtLeastOnce and Safe make.
type policy struct {
	options
	safe bool
}

func newPolicy(opts []Option, safe bool) *policy {
	o, ok := newOptions(opts)
	if !ok {
		return nil
	}
	return &policy{o, safe}
}

// Next implements [core.RetryPolicy].
func (p *policy) Next(f *core.Failure) core.Decision {
	if p.safe && !f.Certainty.Safe() {
		return core.Decision{}
	}
	limit := p.retries
	if f.Class == core.ClassBusy && f.Certainty.Safe() {
		limit = p.busy
	}
	if f.Attempt > limit {
		return core.Decision{}
	}
	if f.Err == nil {
		return p.weak(f)
	}
	switch p.help(f) {
	case anyBroker:
		if p.elsewhere(f) && f.Class != core.ClassBusy {
			return core.Decision{Retry: true}
		}
		// Busy brokers share the load of one cluster: going on to the next at
		// once would only spread the flood.
		d := core.Decision{Retry: true, After: max(0, p.pause.Pause(f)), Reroute: core.AvoidBroker}
		if p.same {
			d.Reroute = core.SameQueue
		}
		return d
	case anotherBroker:
		return core.Decision{Retry: p.elsewhere(f)}
	default:
		return core.Decision{}
	}
}

// elsewhere reports whether the next attempt can go to an untried broker.
func (o *options) elsewhere(f *core.Failure) bool { return f.Untried > 0 && !f.Consistent && !o.same }

// help says where another attempt could help.
type help uint8

const (
	nowhere help = iota
	anotherBroker
	anyBroker
)

func (o *options) help(f *core.Failure) help {
	if listed(o.codes, f.Code) {
		return anyBroker
	}
	switch f.Class {
	case core.ClassNetwork, core.ClassTimeout, core.ClassBusy, core.ClassUnavailable, core.ClassBroker,
		core.ClassNoTopic, core.ClassStale, core.ClassCircuitOpen:
		return anyBroker
	case core.ClassForbidden:
		if f.Answered {
			return anotherBroker // the broker's word, not a hook's
		}
	case core.ClassInFlight:
		return anotherBroker // a limit per broker
	case core.ClassUnknown:
		// A transport may pass on a network error as it is. Anything else that
		// sent nothing is a hook's veto.
		ne := net.Error(nil)
		if f.Certainty != core.NotSent || errors.As(f.Err, &ne) {
			return anyBroker
		}
	}
	return nowhere
}
