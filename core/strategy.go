package core

import (
	"context"
	"time"

	"github.com/liftoff-mq/liftoff/internal/enum"
)

// SelectorFactory makes the queue selectors of a policy, one per topic. Its rules are those of
// [QueueSelector].
type SelectorFactory interface {
	// ForTopic is called at the topic's first send, once for each topic and policy, for
	// several topics at a time, and again for a topic that was not used for long. The
	// topic is the user's name of it, before a namespace. What ForTopic panics with is the
	// error of every send to the topic.
	ForTopic(topic string) QueueSelector
}

// SelectorFactoryFunc is a function that is a [SelectorFactory].
type SelectorFactoryFunc func(topic string) QueueSelector

// ForTopic calls f.
func (f SelectorFactoryFunc) ForTopic(topic string) QueueSelector { return f(topic) }

// QueueSelector chooses the queue of one attempt. It is called once per
// attempt, concurrently for different calls, and must not block.
//
// The index refers to sel and must be in [0, sel.Len()); anything else, and a
// panic, fails the send with an error that names the selector. An error ends
// the call: nothing could be chosen.
//
// It is not asked where the message names its queue or a retry policy wants the
// same queue again. A selector that is an [AttemptListener] hears of those
// attempts as well.
//
// The rules of selectors and their factories, by the numbers under which
// strategies/strategytest checks them. S3 to S5 and S12 are what is usual; a selector may be
// meant for something else.
//
//   - S1: every topic gets a selector
//   - S2: an index is in range, also when the route grows, shrinks or is replaced
//   - S3: every queue is used when all brokers are good
//   - S4: a call goes to a broker that it has not tried as long as there is one
//   - S5: a broker that is down is avoided as long as there is another
//   - S6: there is a choice and no error, also when all brokers were tried, are down or absent
//   - S7: a message that requires consistency goes to one queue as long as the route stays
//   - S8: many goroutines may select at once
//   - S9: the message stays as it is
//   - S10: no method panics or ends its goroutine
//   - S11: no method waits
//   - S12: of a route that replaces another one every queue is used
//   - S13: a broker is used again after attempts that failed, were vetoed or cancelled, or came without a Select
//   - S14: nothing of a call is kept after its outcome
//   - S15: no call starts a goroutine, and none is left
type QueueSelector interface {
	Select(ctx context.Context, sel *Selection) (index int, err error)
}

// QueueSelectorFunc is a function that is a [QueueSelector].
type QueueSelectorFunc func(ctx context.Context, sel *Selection) (int, error)

// Select calls f.
func (f QueueSelectorFunc) Select(ctx context.Context, sel *Selection) (int, error) {
	return f(ctx, sel)
}

// ConsistentSelector is a selector whose choice carries meaning for some
// messages, such as a sharding key's queue. For a message that requires
// consistency the engine makes each attempt at the queue that the selector chooses: neither a
// failure nor a breaker moves it. A selector that looks at the message and at the route alone
// chooses one queue for as long as the route stays (rule S7).
// Each of its attempts is a last resort ([Attempt.LastResort]), so a breaker lets it through.
type ConsistentSelector interface {
	QueueSelector
	RequiresConsistency(m *Message) bool
}

// Health is what a [HealthView] knows of a broker.
type Health uint8

// The grades of health, best first.
const (
	HealthGood    Health = iota // nothing bad is known
	HealthSuspect               // recent trouble; use it when no good one is left
	HealthDown                  // do not use it while another is left
)

var healthNames = []string{"good", "suspect", "down"}

// String gives the grade's name.
func (h Health) String() string { return enum.Name(healthNames, int(h)) }

// MarshalText gives the name.
func (h Health) MarshalText() ([]byte, error) { return enum.Marshal("health", healthNames, int(h)) }

// UnmarshalText takes a name.
func (h *Health) UnmarshalText(text []byte) error {
	return enum.Unmarshal("health", healthNames, text, h)
}

// HealthView judges brokers, which their addresses tell apart ([Broker]). It is called often
// and must be quick, must not block, and is safe for concurrent use. A view that learns from
// attempts is an [AttemptListener] too; the producer subscribes it by itself.
//
// The rules of health views, by the numbers under which strategies/strategytest checks them:
//
//   - H1: an unknown broker is good, and every answer is one of the three grades
//   - H2: a broker that fails again and again is not good, and the others still are
//   - H3: success does not make a broker worse
//   - H4: attempts that were vetoed or cancelled prove nothing
//   - H5: a broker to which no route leads is forgotten
//   - H6: many goroutines may ask and report at once
//   - H7: a broker of the same name at another address, or in another network, is another broker
//   - H8: some time after its last failure a broker is good again, also without attempts
//   - H9: one-way attempts that were written prove nothing
//   - H10: an answer that blames the message, the topic or the credentials is no failure
//   - H11: a broker is not forgotten while a route leads to it
//   - H12: a time-out counts only if the broker had longer than it needs for others
//   - H13: no method panics or ends its goroutine
//   - H14: no method waits
//   - H15: there is a view
//   - H16: nothing of a call is kept after its outcome
//   - H17: no call starts a goroutine, and none is left
type HealthView interface {
	Health(b Broker) Health
}

// RetryPolicy decides whether a failed attempt is followed by another. It only
// decides: the engine waits, checks budget, context and deadline, and selects
// again. One policy serves all calls at once, so it keeps no state of a call:
// the decision depends on f alone. It must not keep f, which is the call's.
//
// It is asked about a message, too, that a broker stored with a weaker status
// than wanted, such as FLUSH_DISK_TIMEOUT: then Failure.Err is nil and Certainty is
// Stored. Only a decision that says Restore sends such a message again, and so
// stores it twice; any other makes it the result.
//
// The engine never asks where a retry cannot be right: the call is cancelled
// or aborted, the message was refused locally, a plugin broke, or it is
// one-way and was perhaps written. Where no time is left it asks, to say whether that is what
// ends the call, and makes no attempt whatever the answer. It is also asked ahead of any failure, when a producer
// is made or described: whether it would go to another broker after a time-out decides
// whether attempts are capped. A breaker's rejection is not an attempt; the
// engine goes on to the next broker without asking. Nor is a topic without a route:
// where no name server can be asked, a send fails at once. However a policy decides,
// a call ends after 1,000 attempts.
//
// The rules of retry policies, by the numbers under which strategies/strategytest checks
// them. R7 is for policies that promise it, and R8 for all that do not promise the opposite.
//
//   - R1: every call comes to an end
//   - R2: what cannot succeed is not retried
//   - R3: a decision to give up has no wait, and no wait is negative
//   - R4: the decision depends on the failure alone
//   - R5: the failure and the message stay as they are
//   - R6: many goroutines may ask at once
//   - R7: with SafeOnly, what may be stored is not retried
//   - R8: what is stored with a weaker status is not sent again
//   - R9: there is a policy
//   - R10: the choice of queues is one of the three
//   - R11: no method panics or ends its goroutine
//   - R12: no method waits
//   - R13: attempts at one broker have pauses between them
//   - R14: nothing of a call is kept after its outcome
//   - R15: no decision starts a goroutine, and none is left
type RetryPolicy interface {
	Next(f *Failure) Decision
}

// RetryPolicyFunc is a function that is a [RetryPolicy].
type RetryPolicyFunc func(f *Failure) Decision

// Next calls fn.
func (fn RetryPolicyFunc) Next(f *Failure) Decision { return fn(f) }

// Failure is what a retry policy sees of a failed attempt.
type Failure struct {
	Attempt    int           // attempts made so far, from 1
	Err        error         // the last attempt's error; nil with a Status
	Class      Class         // what kind of error it is
	Answered   bool          // a server said so; else the client found out by itself
	Code       Code          // the server's answer; nil if it did not answer, or in no code
	Certainty  Certainty     // of the last attempt alone
	Status     SendStatus    // with Err nil: stored, but with this weaker status
	Mode       Mode          // how the message is sent
	Type       MessageType   // TransactionMessage for a half message, and for its end
	Message    *Message      // read-only
	Paused     time.Duration // the pause before that attempt, as its decision had it; 0 for the first
	Elapsed    time.Duration // since the call began
	Remaining  time.Duration // until its deadline
	Untried    int           // brokers of the route that this call has not tried
	Consistent bool          // the queue is fixed: a retry goes to it again
	Outage     bool          // every broker that may take the message is absent, or down by the health view
}

// Decision is a retry policy's answer. The zero value gives up.
type Decision struct {
	// Retry asks for another attempt.
	Retry bool
	// After is how long the engine waits first. If the call has less time left
	// the engine gives up at once instead.
	After time.Duration
	// Reroute says which queues the next attempt may use.
	Reroute Reroute
	// Restore allows Retry also for a message that is stored already, with a
	// weaker status than wanted: a policy that thinks of failures alone must not
	// store messages twice.
	Restore bool
}

// Reroute says which queues the next attempt may use.
type Reroute uint8

// The choices for the next attempt.
const (
	AvoidBroker Reroute = iota // prefer brokers that this call has not tried
	AnyQueue                   // forget what was tried
	SameQueue                  // the same queue again, as long as the route has it
)

var rerouteNames = []string{"avoid-broker", "any-queue", "same-queue"}

// String gives the choice's name.
func (r Reroute) String() string { return enum.Name(rerouteNames, int(r)) }

// MarshalText gives the name.
func (r Reroute) MarshalText() ([]byte, error) { return enum.Marshal("reroute", rerouteNames, int(r)) }

// UnmarshalText takes a name.
func (r *Reroute) UnmarshalText(text []byte) error {
	return enum.Unmarshal("reroute", rerouteNames, text, r)
}

// RetryBudget bounds the retries of all calls together, so that a sick cluster
// is not flooded.
//
// The rules, as core/steptest checks them:
//
//   - B1 returns: both methods return at once. They do not block, panic or end their goroutine.
//   - B2 bound: without a success a bounded number of retries is granted, also after many
//     successes.
//   - B3 refill: successes let an empty budget grant retries again, unless it grants by time.
//   - B4 debt: a retry that is not granted costs nothing.
//   - B5 failure: the failure and its message are the call's: they are read, not changed, and not
//     kept.
//   - B6 concurrency: it is safe for concurrent use, and many goroutines together get no more than
//     one alone.
//   - B7 goroutines: it leaves no goroutine behind.
type RetryBudget interface {
	// Withdraw takes the price of the retry after f, which the policy has asked for; false
	// means: no retry now.
	Withdraw(f *Failure) bool
	// Deposit is called once for each call that succeeded.
	Deposit()
}

// Compressor packs message bodies.
//
// The rules, as core/steptest checks them:
//
//   - C1 returns: it packs every body, or returns an error. It does not block, panic or end its
//     goroutine.
//   - C2 name: Name is one dotted lower-case word, and always the same.
//   - C3 append: what is in dst stays in front, and what comes behind it does not depend on it.
//   - C4 source: src is not written to, and the result is nobody else's memory: not src's, and
//     not what the next body is packed into.
//   - C5 unpack: what it packed can be unpacked into the same body.
//   - C6 same: a codec that says so packs the same body into the same bytes each time.
//   - C7 kept: neither dst nor src is kept, but for those that a writer worked on last.
//   - C8 concurrency: it is safe for concurrent use.
//   - C9 goroutines: it leaves no goroutine behind.
type Compressor interface {
	// Name is the codec's name: "zlib", "lz4" and "zstd" are those that RocketMQ's
	// consumers know. The transport tells consumers which one it was.
	Name() string
	// Append appends the packed form of src to dst and returns the result.
	Append(dst, src []byte) ([]byte, error)
}
