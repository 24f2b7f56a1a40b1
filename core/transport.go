package core

import "context"

// Transport carries attempts to brokers. It is the innermost handler of the
// attempt chain.
//
// RoundTrip sends the attempt's call to at.Addr() and waits for the broker's
// answer, if at.WantsAnswer(), else only until the request is written.
//
// The rules, as transport/transporttest checks them:
//
//   - T1 answer: an acknowledged attempt returns at.Result(), or a result of its own, with a
//     status other than StatusNone and no error; any other attempt returns an error and no
//     result.
//   - T2 message: the broker gets topic, body, flag, codec and every property of
//     [Outgoing.Properties] unchanged, and the messages of a batch in their order.
//   - T3 place: the request goes to at.Addr() and names at.Queue().
//   - T4 refusal: an answer that is no success is a *[BrokerError] in the error's chain,
//     with the class and the certainty that the answer means. NotStored is said only where
//     the broker surely did not store the message.
//   - T5 written: at.MarkWritten has been called when RoundTrip returns or panics, if bytes
//     of the request may have left the process, and not otherwise. This is how the caller
//     learns what became of the message.
//   - T6 deadline: it returns [ErrTimeout] at at.Deadline(), and at at.SendBy() while
//     nothing was written.
//   - T7 context: it returns as soon as ctx is done, with [ContextError].
//   - T8 abort: it returns [ErrAborted] as soon as at.Aborted() is closed.
//   - T9 one-way: without at.WantsAnswer() it returns the status Written once the request
//     is written, and does not wait for an answer. A one-way call may want an answer for
//     some of its attempts, so what counts is the attempt and not the mode.
//   - T10 batch: each message of a batch has its own outcome: the result's QueueOffset is
//     the first message's and the others follow, or [Attempt.SetMessage] says otherwise.
//   - T11 reading: messages, call and attempt are read, not changed, until it returns, and
//     nothing of them is kept or read after that.
//   - T12 concurrency: it is safe for concurrent use, and one attempt does not wait for
//     another's answer.
//   - T13 network: where no connection can be had the error wraps [ErrConnect], and where
//     one was lost under the request [ErrConnectionLost].
//   - T14 end: after Shutdown it returns an error that wraps [ErrClosed], at once, also
//     where it was under way, and leaves no goroutine behind.
//
// Optional interfaces: [Capable], [GroupRegistrar], [Announcer], [Recaller], [BrokerReporter] and
// [Describer]. One whose servers know its client by an id has
// [Identified]. A transport that wraps another one has [Wrapper]. One that is a [Service] is
// not started by the producer, because producers share transports: its maker starts it, or
// lists it in [Config].Own.
type Transport interface {
	RoundTrip(ctx context.Context, at *Attempt) (*Result, error)
}

// RouteSource knows where topics live. Core caches what it answers, asks for one
// topic at most once at a time, for several topics at once, and keeps the last good
// route while it asks. The context has the look-up's deadline ([Config].RouteTimeout), which
// may be later than that of the calls that wait; [LookUpProgress] tells them what was met
// until then.
//
// The rules, as transport/transporttest checks them:
//
//   - R1 route: a known topic gives a route with at least one queue and no error.
//   - R2 unknown: an unknown topic is an error that wraps [ErrNoRoute] and names the topic.
//   - R3 read-only: a topic whose queues are all read-only is [ErrNotWritable]: its old route
//     is then given up, which any other error leaves in use.
//   - R4 context: it returns as soon as ctx is done, with [ContextError] if it has no route.
//   - R5 same: the same cluster gives an equal route again, with the queues in one order.
//   - R6 concurrency: it is safe for concurrent use.
type RouteSource interface {
	Route(ctx context.Context, topic string) (*Route, error)
}

// GroupRegistrar is implemented by transports that announce producer groups to
// brokers (heartbeats). Start registers the producer's group and Shutdown takes
// it back.
type GroupRegistrar interface {
	// RegisterGroup announces the group, and hands what servers ask of it to r.Inbox. It
	// fails with ErrGroupTaken if the group is in use here.
	RegisterGroup(ctx context.Context, r Registration) error
	// UnregisterGroup takes the group back. After it returned nothing more goes to the
	// group's inbox.
	UnregisterGroup(ctx context.Context, group string) error
}

// Registration is a producer group as a transport gets to know it.
type Registration struct {
	Group string
	// Inbox takes what servers ask of the group. It is never nil.
	Inbox *Inbox
}

// BrokerKeeper is implemented by transports over which brokers ask something of the producers
// that they know.
type BrokerKeeper interface {
	// KeepBrokers connects to brokers of a registered group, keeps these connections, and
	// announces the group there, until it is called again or the group is unregistered. It does
	// not wait for them. A group keeps none before the first call.
	KeepBrokers(group string, brokers []Broker)
}

// Service is something with a life of its own, such as a client with
// connections. A producer starts and stops the services that it owns: those of
// [Config].Own, and every step and strategy that is one.
type Service interface {
	Start(ctx context.Context) error
	Shutdown(ctx context.Context) error
}

// Drainer is implemented by steps that hold calls back, such as one that puts sends
// together. Drain is called when Shutdown begins: what is held back has to go now, and what
// still comes must not be held back for long. It does not wait for the calls.
type Drainer interface {
	Drain()
}

// Flusher is implemented by steps that hold calls back. Flush is called when [Producer.Flush]
// begins: what is held back has to go now, and what comes must not be held back for long until
// end is called. That is when Producer.Flush returns; nil means that the step need not hear of it.
// Flush does not wait for the calls, and several may be under way. A step that only policies had
// which were replaced hears of none.
type Flusher interface {
	Flush() (end func())
}

// Finisher is implemented by steps that have work of their own left when the last call of their
// producer has ended, such as records of the calls that are still to be sent. Shutdown calls
// Finish when calls, operations and the handlers of servers' requests have ended, and before any
// service is shut down, with its own context: unlike [Service].Shutdown, Finish has all the time
// that is left of it. It returns when the work is done or ctx ends. The Finish of several steps
// runs at the same time. A step that only policies had which were replaced is not finished, but
// shut down if it is a Service.
type Finisher interface {
	Finish(ctx context.Context)
}
