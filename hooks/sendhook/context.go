package sendhook

import (
	"iter"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Context is one attempt as a hook sees it. Before and After of one attempt get
// the same one; it is valid until After has returned, or Before if that vetoed.
// Everything in it is for reading only.
type Context struct {
	at      *core.Attempt
	result  core.Result
	done    bool
	err     error
	latency time.Duration
	value   any
}

// Group is the producer's group, as brokers see it.
func (c *Context) Group() string { return c.at.Call().Group() }

// Mode is how the call is sent.
func (c *Context) Mode() core.Mode { return c.at.Call().Mode() }

// Message is the user's message. In a batch it is the first; Call gives all.
func (c *Context) Message() *core.Message { return c.at.Call().Message() }

// Type tells how the broker treats the message.
func (c *Context) Type() core.MessageType { return c.Call().Type() }

// Topic is the topic on the wire, with its namespace if it has one.
func (c *Context) Topic() string { return c.at.Call().Outgoing().Topic() }

// Namespace is the namespace that the message is sent in, "" if it has none.
func (c *Context) Namespace() string {
	ns, _ := c.Property(rocketmq.PropertyInstanceID)
	return ns
}

// Queue is the chosen queue.
func (c *Context) Queue() core.Queue { return c.at.Queue() }

// BrokerAddr is the address of the queue's broker, host:port.
func (c *Context) BrokerAddr() string { return c.at.Addr() }

// Number counts the call's attempts, from 1.
func (c *Context) Number() int { return c.at.Number() }

// Property finds a property of Message as it goes on the wire, under RocketMQ's
// name: "TAGS", "KEYS", "UNIQ_KEY", a user's own.
func (c *Context) Property(name string) (string, bool) {
	return c.at.Call().Outgoing().Property(name)
}

// Properties goes over the properties of Message as they go on the wire, in that
// order. The strings may be kept; the sequence is valid as long as the Context.
func (c *Context) Properties() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for name, value := range c.at.Call().Outgoing().Properties() {
			if !yield(name, value.String()) {
				return
			}
		}
	}
}

// Call is the call, with all messages of a batch and their bodies as sent.
func (c *Context) Call() *core.Call { return c.at.Call() }

// Attempt is the attempt, with everything else that is known of it.
func (c *Context) Attempt() *core.Attempt { return c.at }

// Value is what SetValue stored in this attempt, nil at first.
func (c *Context) Value() any { return c.value }

// SetValue stores what Before learned and After needs.
func (c *Context) SetValue(v any) { c.value = v }

// Result is a copy of the attempt's result. It is false in Before, and in After
// if the attempt failed. The fields that a call adds at its end are not set yet:
// MessageID (it is Call().MessageID()), Attempts and MaybeDuplicate.
func (c *Context) Result() (core.Result, bool) { return c.result, c.done && c.err == nil }

// Err is why the attempt failed; nil in Before and on success.
func (c *Context) Err() error { return c.err }

// Latency is the time from Before's return to the outcome, everything further in
// included; zero in Before.
func (c *Context) Latency() time.Duration { return c.latency }
