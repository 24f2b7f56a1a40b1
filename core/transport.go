package core

import (
	"context"
)

// Transport carries attempts to brokers. It is the innermost handler of the
// attempt chain.
//
// RoundTrip sends the attempt's call to at.Addr() and waits for the broker's
// answer, if at.WantsAnswer(), else only until the request is written, which
// carries the one-way flag then. A one-way call may want an answer for some of
// its attempts, so what counts is the attempt and not the mode. It returns as soon
// as ctx is done, at.Deadline() has passed or at.Aborted() is closed.
//
//   - It calls at.MarkWritten before the first byte may leave the process. An
//     error before that means "not sent", one after it "maybe stored". This is
//     how the caller learns what became of the message, so it must be right.
//   - The codes 0, 10, 11 and 12 make a result: at.Result(), with what the broker
//     said put in, above all the status and the offset. For a batch that is the
//     first message's offset, and OffsetMessageID has all ids, joined by commas.
//     Any other answer is a *[BrokerError].
//   - It returns [ErrTimeout] at the deadline, context.Cause(ctx) or
//     [ContextError] when ctx ends first, [ErrAborted] on abort, and otherwise
//     wraps the network's error.
//   - It reads the outgoing messages only until it returns.
//
// It is safe for concurrent use.
type Transport interface {
	RoundTrip(ctx context.Context, at *Attempt) (*Result, error)
}

// RouteSource knows where topics live. Core caches what it answers, asks for one
// topic at most once at a time, for several topics at once, and keeps the last good
// route while it asks.
type RouteSource interface {
	// Route looks a topic up. An unknown topic is an error that wraps [ErrNoRoute]
	// and says which. One whose queues are read-only is [ErrNotWritable]: the topic's
	// old route is then given up, which any other error leaves in use.
	Route(ctx context.Context, topic string) (*Route, error)
}

// GroupRegistrar is implemented by transports that announce producer groups to
// brokers (heartbeats). Start registers the producer's group and Shutdown takes
// it back. A client that is transport and route source is found as either: a
// transport may be wrapped in one that knows nothing of groups.
type GroupRegistrar interface {
	// RegisterGroup fails with ErrGroupTaken if the group is in use here.
	RegisterGroup(ctx context.Context, group string) error
	UnregisterGroup(ctx context.Context, group string) error
}

// Service is something with a life of its own, such as a client with
// connections. A producer starts and stops the services that it owns
// ([Config].Own); shared ones are their maker's business.
type Service interface {
	Start(ctx context.Context) error
	Shutdown(ctx context.Context) error
}
