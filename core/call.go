package core

import (
	"context"
	"iter"
	"time"

	"github.com/liftoff-mq/liftoff/internal/enum"
	"github.com/liftoff-mq/liftoff/internal/fifo"
)

// Mode is how a call is sent.
type Mode uint8

// The modes.
const (
	Sync Mode = iota
	Async
	Oneway
)

var modeNames = []string{"sync", "async", "oneway"}

// String gives "sync", "async" or "oneway".
func (m Mode) String() string { return enum.Name(modeNames, int(m)) }

// MarshalText gives the name.
func (m Mode) MarshalText() ([]byte, error) { return enum.Marshal("mode", modeNames, int(m)) }

// UnmarshalText takes a name.
func (m *Mode) UnmarshalText(text []byte) error { return enum.Unmarshal("mode", modeNames, text, m) }

// Call is one logical send, from the user's call to its one outcome, with all
// its attempts. It is valid until the outcome is known and then used again for
// another call, so steps must not keep it. One goroutine at a time works on it.
type Call struct {
	engine *engine
	kept
	current
	// waiting is the place in line for a worker. The lock of workers guards it, because a
	// timer of an earlier call may still look at it.
	waiting fifo.Node[Call]
}

// current is what belongs to one call alone. It is cleared as a whole.
type current struct {
	mode     Mode
	batch    bool
	half     bool       // the message is a half message of a transaction
	outs     []Outgoing // one, or those of a batch
	start    time.Time
	deadline time.Time

	// How the call is sent. The policy is taken once, at the start, and does not change
	// while the call lasts.
	served         *served
	retry          RetryPolicy
	ownRetry       bool
	selector       QueueSelector // the call's own; nil means the policy's
	attemptTimeout time.Duration

	// What the engine knows of the attempts.
	delivery
	at        Attempt
	attempts  int
	certainty Certainty  // of all attempts so far
	misuse    error      // a change that a step must not make
	stop      StopReason // why there is no further attempt
	place     int        // in the Batch that holds the message
	selection Selection
	failure   Failure
	result    Result
	answer    batchAnswer
	partly    bool // a broker refused some messages of the batch; result has the rest
	begun     bool // its chain runs, or did
	told      bool // the outcome is counted, and listeners hear of it

	async         asyncSend
	ticket        uint64      // of its wait for a worker
	leftWaiting   func() bool // stops watching the caller's context; nil if it cannot end
	reported      Result      // the copy in a report
	callReport    CallReport
	attemptReport AttemptReport
}

// kept is what a call hands on to the next call that uses its memory: room, and timers.
type kept struct {
	one      [1]Outgoing
	many     []Outgoing
	forms    []byte   // the transport's form of the messages, one after the other
	names    []string // scratch for sorting the names of properties
	slots    []slotValue
	failures []AttemptError
	tried    []string // names of the brokers where an attempt failed
	timer    *time.Timer
	overdue  *time.Timer // rings when the time of a call in line for a worker ends
}

// The most that a call keeps for the next one: the places of so many messages of a batch,
// and so many bytes of their forms.
const (
	keepMany  = 256
	keepForms = 64 << 10
)

// clear lets go of everything that belongs to the call that ended.
func (k *kept) clear() {
	k.one[0].forget()
	for i := range k.many {
		k.many[i].forget()
	}
	k.many = k.many[:0]
	if cap(k.forms) > keepForms {
		k.forms = nil
	}
	clear(k.slots)
	clear(k.failures)
	clear(k.tried)
	k.slots, k.failures, k.tried = k.slots[:0], k.failures[:0], k.tried[:0]
}

// Mode is how the call is sent.
func (c *Call) Mode() Mode { return c.mode }

// Group is the producer's group.
func (c *Call) Group() string { return c.engine.cfg.Group }

// ClientID is the id under which servers know the transport's client ([Identified]); "" if
// they know none.
func (c *Call) ClientID() string { return c.engine.clientID }

// Producer is the producer that makes the call.
func (c *Call) Producer() *Producer { return c.engine.producer }

// Policy is the policy that the call is sent by. It does not change while the call lasts.
func (c *Call) Policy() *Policy { return &c.served.policy.Policy }

// Message is the user's message, for reading only. In a batch it is the first.
func (c *Call) Message() *Message { return c.outs[0].msg }

// Type reports how the broker will treat Message. That it is a half message of a transaction,
// which is [TransactionMessage], wins over all that [Message.Type] knows.
func (c *Call) Type() MessageType {
	if c.half {
		return TransactionMessage
	}
	return c.Message().Type()
}

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

// Own reports whether the call has a retry policy, a selector or an attempt timeout of its
// own, by [SendRetry], [SendSelector] or [SendAttemptTimeout]. Such a call cannot share a
// request with others.
func (c *Call) Own() bool { return c.ownRetry || c.selector != nil || c.attemptTimeout != 0 }

// Consistent reports whether the call's selector gives the message a queue that carries
// meaning ([ConsistentSelector]), so that it cannot share another's. A selector that cannot
// be asked, because it panics, counts as one.
func (c *Call) Consistent() (consistent bool) {
	defer func() {
		if recover() != nil {
			consistent = true // the send itself tells of the panic
		}
	}()
	s, err := c.queueSelector(context.Background())
	if err != nil {
		return true
	}
	cs, ok := s.(ConsistentSelector)
	return ok && cs.RequiresConsistency(c.Message())
}

func (c *Call) queueSelector(ctx context.Context) (QueueSelector, error) {
	if c.selector != nil {
		return c.selector, nil
	}
	return c.served.selector.get(ctx, c)
}

// Attempts is the number of attempts made so far.
func (c *Call) Attempts() int { return c.attempts }

// Last gives the queue of the last attempt, which may be under way, and the address
// of its broker; no address before the first. For a call whose message went with
// others' ([Batch]) they are the batch's, once its outcome is known.
func (c *Call) Last() (q Queue, addr string) { return c.at.queue, c.at.broker.Addr }

// Aborted is closed when the producer gives up on calls still under way at the
// end of Shutdown.
func (c *Call) Aborted() <-chan struct{} { return c.engine.aborted }

// Wait waits until ready is closed or sent to. It ends early, with the error that says so,
// at the call's deadline ([ErrTimeout]), with ctx ([ContextError]) and when the producer
// aborts the call ([ErrAborted]). A nil channel is never ready. It is for the goroutine
// that works on the call, and allocates nothing.
func (c *Call) Wait(ctx context.Context, ready <-chan struct{}) error {
	return c.await(ctx, wait{ready: ready, until: c.deadline})
}

// Bound gives a context for a step that waits in code that takes only a context: it ends
// with ctx, at the call's deadline and when the producer aborts the call, and
// [ContextError] says which. The ctx that steps are given knows only the caller's end. The
// step has to call cancel. It allocates; see [Call.Wait].
func (c *Call) Bound(ctx context.Context) (bound context.Context, cancel context.CancelFunc) {
	return c.engine.bound(ctx, c.deadline)
}
