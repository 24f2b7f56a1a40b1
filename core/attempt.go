package core

import (
	"context"
	"time"
)

// Attempt is one try of a call at one queue of one broker. Like its call it is
// valid only until its outcome.
type Attempt struct {
	call     *Call
	number   int
	queue    Queue
	broker   Broker
	deadline time.Time
	sendBy   time.Time
	prev     error
	last     bool // no better broker is left, or no other queue may be used
	confirm  bool // a one-way attempt that asks for an answer
	depth    int  // how many steps it has come to
	entered  bool // the transport was asked
	written  bool // bytes may have left the process
	done     bool // the transport gave a result
	acked    bool // and a broker confirmed it
	latency  time.Duration
	refusal  *BrokerError // the transport's word, whatever steps made of it
}

// Call is the call that the attempt belongs to.
func (a *Attempt) Call() *Call { return a.call }

// Number counts the attempts of the call from 1.
func (a *Attempt) Number() int { return a.number }

// Queue is the chosen queue.
func (a *Attempt) Queue() Queue { return a.queue }

// Broker is the master broker of the queue.
func (a *Attempt) Broker() Broker { return a.broker }

// Addr is the broker's address.
func (a *Attempt) Addr() string { return a.broker.Addr }

// Deadline is when the attempt ends: the call's deadline or, where another
// broker could still take the message, the cap per attempt if that is earlier.
func (a *Attempt) Deadline() time.Time { return a.deadline }

// SendBy is when the attempt ends if nothing of the request has left the process by then:
// the deadline, or the cap per attempt where the policy would use it for another broker. A
// transport that still has to connect gives up with [ErrTimeout] at SendBy, and so does a
// step that waits before it calls next.
func (a *Attempt) SendBy() time.Time { return a.sendBy }

// Cap is how long an attempt may take while another broker could still take the message: the
// policy's AttemptTimeout, or the call's own ([SendAttemptTimeout]). This attempt has more time
// where no other broker could; see [Attempt.Deadline].
func (a *Attempt) Cap() time.Duration {
	if a.call.attemptTimeout != 0 {
		return a.call.attemptTimeout
	}
	return a.call.served.policy.AttemptTimeout
}

// Prev is why the attempt before failed; nil for the first.
func (a *Attempt) Prev() error { return a.prev }

// LastResort reports that no better broker is left: every other one of the route was tried
// or is down, or none but this one may take the message, because of a sharding key
// ([ConsistentSelector]), because [Message.Queue] names it, or because the retry policy wants
// [SameQueue]. A breaker lets such an attempt through, because refusing it could only turn a
// doubtful send into a failed one.
func (a *Attempt) LastResort() bool { return a.last }

// Aborted is the call's Aborted.
func (a *Attempt) Aborted() <-chan struct{} { return a.call.engine.aborted }

// Wait is [Call.Wait] until the attempt's deadline or, as long as nothing of the request has
// left, until SendBy.
func (a *Attempt) Wait(ctx context.Context, ready <-chan struct{}) error {
	until := a.deadline
	if !a.written {
		until = a.sendBy
	}
	return a.call.await(ctx, wait{ready: ready, until: until})
}

// Bound is [Call.Bound] until the attempt's deadline.
func (a *Attempt) Bound(ctx context.Context) (bound context.Context, cancel context.CancelFunc) {
	return a.call.engine.bound(ctx, a.deadline)
}

// Confirm makes a one-way attempt one that the broker answers. It is for attempt
// interceptors, before they call next; later it changes nothing. The next attempt
// of the call is one-way again. The attempt then ends with the answer, as in the other modes:
// with its status, or with the broker's refusal. Whatever it is, a one-way message
// that may have left is not sent again. In other modes Confirm changes nothing.
func (a *Attempt) Confirm() { a.confirm = a.confirm || !a.entered }

// WantsAnswer tells the transport whether to wait for the broker's answer: in
// every mode but one-way, and after Confirm.
func (a *Attempt) WantsAnswer() bool { return a.confirm || a.call.mode != Oneway }

// Written reports whether bytes of the request may have left the process.
func (a *Attempt) Written() bool { return a.written }

// Entered reports whether the transport was asked. An attempt that failed without
// says nothing about its broker, whatever its error is.
func (a *Attempt) Entered() bool { return a.entered }

// MarkWritten is for transports: it says that bytes of the request may leave the process
// from now on, or may have left. It must have been called when RoundTrip returns, panics
// included, by the goroutine that called RoundTrip or one that it waits for.
func (a *Attempt) MarkWritten() { a.written = true }

// Result is what the transport fills and returns. It holds the attempt's queue
// already, and the status SendOK or, one-way, Written, which stand until an answer
// says otherwise; all else is zero. It belongs to the call; using it saves an
// allocation.
func (a *Attempt) Result() *Result { return &a.call.result }

// SetMessage is for transports: it says what became of message i of a batch, from 0. A
// transport whose broker stores a batch whole, at consecutive offsets, need not call it:
// message i then has the result's offset plus i. Refused messages, with an Err, make
// SendBatch return an error with a *[BatchError] as its cause, beside the results.
func (a *Attempt) SetMessage(i int, r MessageResult) {
	checkError(r.Err)
	a.call.answer.set(i, len(a.call.outs), r)
}

// SetOffsetIDs is for transports: it gives the broker's ids of a batch's messages, as one
// text and a function that finds message i's in it. Core calls the function when the
// caller asks for an id, at any time and on any goroutine. A plain function costs no allocation.
func (a *Attempt) SetOffsetIDs(text string, find func(text string, i int) string) {
	a.call.answer.text, a.call.answer.find = text, find
}

// success is what a result says about the message: a one-way send was only written.
func (a *Attempt) success(res *Result) Certainty {
	if res.Acked() {
		return Stored
	}
	return MaybeStored
}

// outcome is what the attempt's failure says about the message.
func (a *Attempt) outcome() Certainty {
	switch {
	case !a.entered:
		return NotSent // a veto, whatever error it brought along
	case a.acked:
		return Stored // a step failed the attempt after the broker had confirmed it
	case a.refusal != nil: // the transport's word: a step's error may tell of other attempts
		return a.refusal.Certainty.orMaybe()
	case a.written:
		return MaybeStored
	default:
		return NotSent
	}
}
