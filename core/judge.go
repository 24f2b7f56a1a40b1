package core

import (
	"slices"
	"time"
)

// Here is decided whether a call goes on after an attempt. Nothing here waits, sends or
// tells anybody: engine.go does what is decided.

// ruling is what comes after an attempt.
type ruling uint8

const (
	succeed    ruling = iota // the result is the call's outcome
	giveUp                   // the attempt's failure, or an earlier weaker result, is the outcome
	nextBroker               // a breaker refused: no attempt was made, another broker is next
	tryAgain                 // another attempt, after the decision's pause
)

// maxAttempts ends a call whose policy never does: without a pause between them
// millions of attempts would fit into its time, and each is kept for its error.
const maxAttempts = 1000

// observe notes what the attempt that just ended says, and sorts it: it fills c.failure,
// and c.failures where an attempt failed. It reports what is plain without a policy.
func (c *Call) observe(res *Result, err error, before Certainty) ruling {
	at, f := &c.at, &c.failure
	*f = Failure{}
	if at.entered {
		c.rejected = 0 // a new round: breakers may refuse each broker once more
	}
	if err == nil {
		if res != &c.result {
			c.result = *res
		}
		c.result.MessageID = c.outs[0].id
		c.result.Attempts = c.attempts
		c.result.MaybeDuplicate = before >= MaybeStored
		// A one-way message is sent once, however weakly it is stored. Of a batch that is
		// stored in part nothing is sent again.
		if c.result.Status == SendOK || c.result.Status == Written || c.mode == Oneway || c.answer.refused > 0 {
			return succeed
		}
		c.weak, c.weakAnswer, c.hasWeak = c.result, c.answer, true
		f.Status, f.Certainty = c.result.Status, Stored
		return tryAgain
	}
	f.Err, f.Class, f.Certainty = err, ClassOf(err), at.outcome()
	c.certainty = max(c.certainty, f.Certainty)
	if f.Class == ClassCircuitOpen && !at.entered {
		return c.refusedByBreaker()
	}
	c.failures = append(c.failures, AttemptError{
		Number: at.number, Queue: at.queue, Addr: at.broker.Addr, Duration: at.latency,
		Class: f.Class, Certainty: f.Certainty, Err: err,
	})
	at.prev = err
	if at.refusal != nil {
		f.Code = at.refusal.Code
		f.Answered = true
	}
	return tryAgain
}

// refusedByBreaker takes an attempt back that a breaker refused: nothing was asked of the
// broker. It ends a call that no other queue may take, and so do more refusals in a row than
// the route has brokers.
func (c *Call) refusedByBreaker() ruling {
	c.attempts--
	c.rejected++
	if c.consistent || c.same || c.rejected > len(c.route.brokers) {
		return giveUp
	}
	return nextBroker
}

// final reports whether another attempt could not be right, whatever the policy says.
func (c *Call) final() bool {
	f := &c.failure
	return f.final() || f.Err != nil && (f.Certainty == Stored || c.mode == Oneway && f.Certainty != NotSent)
}

// final reports whether the failure is none of a broker or the network.
func (f *Failure) final() bool {
	switch f.Class {
	case ClassInvalid, ClassCanceled, ClassClosed, ClassPlugin, ClassUnsupported:
		return true
	}
	return false
}

// mayGoOn asks whether there is another attempt: the policy, the time, the limit, and the
// budget last, because asking it takes something out. Where there is none it says why in
// c.stop.
func (e *engine) mayGoOn(c *Call) (Decision, ruling, error) {
	f := &c.failure
	f.Attempt, f.Mode, f.Type, f.Message, f.Consistent = c.attempts, c.mode, c.Type(), c.Message(), c.consistent
	f.Paused, f.Elapsed = c.paused, time.Since(c.start)
	f.Remaining = time.Until(c.deadline)
	f.Untried = c.untried(c.route)
	var err error
	if f.Outage, err = c.outage(); err != nil {
		return Decision{}, giveUp, err
	}
	d, err := decide(c.retry, f)
	if err != nil {
		return d, giveUp, err
	}
	d.After = max(0, d.After)
	stored := f.Err == nil
	switch {
	case !d.Retry, stored && !d.Restore:
		c.stop = StopPolicy
	case d.After >= f.Remaining: // also where none remains
		c.stop = StopTime
	case c.attempts >= maxAttempts:
		c.stop = StopLimit
	default:
		granted, err := withdraw(c.served.policy.Budget, f)
		if err != nil {
			return d, giveUp, err
		}
		if granted {
			return d, tryAgain, nil
		}
		c.stop = StopBudget
	}
	return d, giveUp, nil
}

// decide asks a policy, and keeps its panic.
func decide(p RetryPolicy, f *Failure) (d Decision, err error) {
	defer containPanic("retry policy", &err)
	return p.Next(f), nil
}

// withdraw asks the budget for a retry.
func withdraw(b RetryBudget, f *Failure) (granted bool, err error) {
	if b == nil {
		return true, nil
	}
	defer containPanic("retry budget", &err)
	return b.Withdraw(f), nil
}

// outage reports whether every broker is absent or down by the health view that may take the
// message: its own one where no other may, else all of the route.
func (c *Call) outage() (all bool, err error) {
	defer containPanic("health view", &err)
	if c.consistent {
		return c.isDown(&c.at.broker), nil
	}
	for i := range c.route.brokers {
		if !c.isDown(&c.route.brokers[i]) {
			return false, nil
		}
	}
	return true, nil
}

// isDown reports whether a broker is absent or down.
func (c *Call) isDown(b *Broker) bool {
	h := c.served.policy.Health
	return b.Absent() || h != nil && h.Health(*b) == HealthDown
}

// staleness is what a failure says about the route that the attempt followed.
type staleness uint8

const (
	fresh    staleness = iota
	doubtful           // it may be outdated: look it up beside the next attempt
	outdated           // an attempt by the old route makes no sense: look it up first
)

// staleness sorts the failure.
func (f *Failure) staleness() staleness {
	switch f.Class {
	case ClassNoTopic, ClassStale:
		return outdated
	case ClassForbidden:
		if f.Answered {
			return outdated // the broker's word: writing may be allowed elsewhere now
		}
	case ClassUnavailable, ClassNetwork, ClassTimeout:
		return doubtful // the broker may have moved, and something else swallows what comes
	}
	return fresh
}

func (c *Call) addTried(broker string) {
	if !slices.Contains(c.tried, broker) {
		c.tried = append(c.tried, broker)
	}
}

func (c *Call) untried(r *Route) int {
	n := 0
	for i := range r.brokers {
		if !r.brokers[i].Absent() && !slices.Contains(c.tried, r.brokers[i].Name) {
			n++
		}
	}
	return n
}
