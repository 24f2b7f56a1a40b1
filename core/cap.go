package core

import "time"

// The cap per attempt leaves time for another broker. It is of use only where the retry
// policy would go to another broker after the time-out: elsewhere it could only turn a slow
// answer into an unknown one. So the policy is asked beforehand. That is possible because a
// policy's decision depends on the failure alone.

// capped says after which time-outs a policy tries another broker.
type capped struct {
	unsent     bool // nothing of the request had left by then
	unanswered bool // it was sent, and there was no answer
}

// capUse asks a policy about attempt n.
func capUse(retry RetryPolicy, m Mode, n int) capped {
	elsewhere := func(c Certainty) bool {
		f := &Failure{
			Attempt: n, Err: ErrTimeout, Class: ClassTimeout, Certainty: c, Mode: m,
			Message: probeMessage, Remaining: time.Hour, Untried: 1,
		}
		d, err := decide(retry, f)
		return err == nil && d.Retry && d.Reroute != SameQueue
	}
	use := capped{unsent: elsewhere(NotSent)}
	// A one-way message that has left is not sent again, whatever the policy says, also where
	// a step asks for an answer to it.
	use.unanswered = m != Oneway && use.unsent && elsewhere(MaybeStored)
	return use
}

// probeMessage is the message of failures that only ask what a policy would do.
var probeMessage = &Message{Topic: "probe", Body: []byte("probe")}

// capTable has a policy's answers for the first attempts of each mode, so that a send need
// not ask.
type capTable [Oneway + 1][16]capped

func newCapTable(retry RetryPolicy) capTable {
	var t capTable
	for m := range t {
		for n := range t[m] {
			t[m][n] = capUse(retry, Mode(m), n+1)
		}
	}
	return t
}

// of is the answer for attempt n, from 1. What is beyond the table is as its last entry.
func (t *capTable) of(m Mode, n int) capped { return t[m][min(n, len(t[m]))-1] }
