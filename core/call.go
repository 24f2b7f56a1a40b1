package core

import (
	"context"
	"iter"
	"time"
)

// Mode is how a call is sent.
type Mode uint8

// The modes.
const (
	Sync Mode = iota
	Async
	Oneway
)

// String gives "sync", "async" or "oneway".
func (m Mode) String() string {
	switch m {
	case Sync:
		return "sync"
	case Async:
		return "async"
	case Oneway:
		return "oneway"
	default:
		return "unknown"
	}
}

// Call is one logical send, from the user's call to its one outcome, with all
// its attempts. It is valid until the outcome is known and then used again for
// another call: nobody may keep it. One goroutine at a time works on it.
type Call struct {
	producer *Producer
	mode     Mode
	batch    bool
	one      [1]Outgoing
	many     []Outgoing // of a SendBatch
	outs     []Outgoing
	// What the messages' properties need: their wire form, one after the other, and
	// scratch for sorting names.
	properties []byte
	names      []string
	start      time.Time
	deadline   time.Time
	retry      RetryPolicy
	ownRetry   bool
	slots      []slotValue
	async      asyncSend
	standing
	result Result

	// What the engine knows of the attempts.
	at        Attempt
	attempts  int
	tried     []string // names of the brokers where an attempt failed
	failures  []AttemptError
	certainty Certainty
	misuse    error // a change in attempt scope
	denied    bool  // the budget had no retry left
	place     int   // in the Batch that holds the message
	timer     *time.Timer
	selection Selection
	failure   Failure

	callReport    CallReport
	attemptReport AttemptReport
}

// standing is a call's place in line for a worker; see workers.
type standing struct {
	list          *callList
	before, after *Call
	overdue       *time.Timer // kept from use to use
	forsake       func() bool // stops watching the caller's context
}

// Mode is how the call is sent.
func (c *Call) Mode() Mode { return c.mode }

// Group is the producer's group.
func (c *Call) Group() string { return c.producer.cfg.Group }

// Producer is the producer that makes the call.
func (c *Call) Producer() *Producer { return c.producer }

// Message is the user's message, for reading only. In a batch it is the first.
func (c *Call) Message() *Message { return c.outs[0].msg }

// MessageID is the unique id of Message.
func (c *Call) MessageID() MessageID { return c.outs[0].id }

// Outgoing is what is sent for Message. In a batch it is the first; use All
// where every message counts.
func (c *Call) Outgoing() *Outgoing { return &c.outs[0] }

// Batch reports whether the call carries several messages in one request: those
// of a SendBatch, or of separate calls that a step put together ([Batch]).
func (c *Call) Batch() bool { return c.batch }

// Len is the number of messages: 1 unless the call is a batch.
func (c *Call) Len() int { return len(c.outs) }

// All goes over the outgoing messages: one, or those of the batch.
func (c *Call) All() iter.Seq[*Outgoing] {
	return func(yield func(*Outgoing) bool) {
		for i := range c.outs {
			if !yield(&c.outs[i]) {
				return
			}
		}
	}
}

// Start is when the user called.
func (c *Call) Start() time.Time { return c.start }

// Deadline is when the call ends, whatever it is doing: the earlier of the send
// timeout and the caller's context deadline.
func (c *Call) Deadline() time.Time { return c.deadline }

// OwnRetry reports whether the call has a retry policy of its own, by [WithRetry].
func (c *Call) OwnRetry() bool { return c.ownRetry }

// Consistent reports whether the producer's selector gives the message a queue
// that carries meaning ([ConsistentSelector]), so that it cannot share another's.
// A selector that cannot be asked, because it panics, counts as one.
func (c *Call) Consistent() (consistent bool) {
	defer func() {
		if recover() != nil {
			consistent = true // the send itself tells of the panic
		}
	}()
	s, err := c.producer.routes.topic(c.outs[0].topic).selector()
	if err != nil {
		return true
	}
	cs, ok := s.(ConsistentSelector)
	return ok && cs.RequiresConsistency(c.Message())
}

// Attempts is the number of attempts made so far.
func (c *Call) Attempts() int { return c.attempts }

// Last gives the queue of the last attempt, which may be under way, and the address
// of its broker; no address before the first. For a call whose message went with
// others' ([Batch]) they are the batch's, once its outcome is known.
func (c *Call) Last() (q Queue, addr string) { return c.at.queue, c.at.broker.Addr }

// Aborted is closed when the producer gives up on calls still under way at the
// end of Shutdown. Whoever waits in a call for something else than its ctx
// should wait for this too.
func (c *Call) Aborted() <-chan struct{} { return c.producer.aborted }

// Bound gives a context for a step that waits: it ends with ctx, at the call's
// deadline and when the producer aborts the call, and [ContextError] says which. The
// ctx that steps are given knows only the caller's end. The step has to call cancel.
// Since it allocates, whoever need not wait should find that out first.
func (c *Call) Bound(ctx context.Context) (bound context.Context, cancel context.CancelFunc) {
	return c.producer.within(ctx, c.deadline)
}

// Attempt is one try of a call at one queue of one broker. Like its call it is
// valid only until its outcome.
type Attempt struct {
	call     *Call
	number   int
	queue    Queue
	broker   Broker
	deadline time.Time
	prev     error
	last     bool // no other broker is left that could take the message

	confirm bool // a one-way attempt that wants an answer
	entered bool // the transport was reached
	written bool
	done    bool         // the transport succeeded
	acked   bool         // and had a broker's answer
	answer  *BrokerError // the broker's refusal
	latency time.Duration
}

// Call is the call that the attempt belongs to.
func (a *Attempt) Call() *Call { return a.call }

// Number counts the call's attempts, from 1.
func (a *Attempt) Number() int { return a.number }

// Queue is the chosen queue.
func (a *Attempt) Queue() Queue { return a.queue }

// Broker is the master broker of the queue.
func (a *Attempt) Broker() Broker { return a.broker }

// Addr is the broker's address, host:port.
func (a *Attempt) Addr() string { return a.broker.Addr }

// Deadline is when the attempt ends: the call's deadline or, where another
// broker could still take the message, the cap per attempt if that is earlier.
func (a *Attempt) Deadline() time.Time { return a.deadline }

// Prev is why the attempt before failed; nil for the first.
func (a *Attempt) Prev() error { return a.prev }

// LastResort reports that no better broker is left: every other one of the
// route was tried or is down. A breaker lets such an attempt through, because
// refusing it could only turn a doubtful send into a failed one.
func (a *Attempt) LastResort() bool { return a.last }

// Aborted is the call's Aborted.
func (a *Attempt) Aborted() <-chan struct{} { return a.call.producer.aborted }

// Bound is [Call.Bound] until the attempt's deadline.
func (a *Attempt) Bound(ctx context.Context) (bound context.Context, cancel context.CancelFunc) {
	return a.call.producer.within(ctx, a.deadline)
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

// MarkWritten is for transports: it must be called before the first byte of the
// request may leave the process, by the goroutine that called RoundTrip or one
// it waits for.
func (a *Attempt) MarkWritten() { a.written = true }

// Result is what the transport fills and returns. It holds the attempt's queue
// already, and the status SendOK or, one-way, Written, which stand until an answer
// says otherwise; all else is zero. It belongs to the call; using it saves an
// allocation.
func (a *Attempt) Result() *Result { return &a.call.result }
