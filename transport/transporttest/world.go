package transporttest

import (
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/enum"
)

// World is a transport and a route source under test, with what is behind them. Transport,
// Routes and Topic are required. Everything else lets the kit check more. What is missing
// is skipped, and the test's output names it.
//
// Each check gets a world of its own. What the world needs cleaned up it gives to the TB's
// Cleanup; that runs after the transport has ended. A transport or route source that is a
// [core.Service] is started and shut down by the kit, so a world must not do that.
type World struct {
	// Transport and Routes are what is tested. They may be one value.
	Transport core.Transport
	Routes    core.RouteSource
	// Topic is a topic that can be sent to.
	Topic string

	// Serve puts the kit at the far end: the far end asks h about every request to send
	// that arrives, does what it says, and nothing more. Serve is called once, before the
	// transport is started.
	Serve func(h Handler)
	// Cannot says which replies the far end cannot give, and why. For example a protocol
	// without connections cannot [Cut].
	Cannot map[Kind]string
	// Refusals are the answers that are no success, with what each of them means: the
	// table that the transport must have right.
	Refusals []Refusal

	// The addresses of brokers with which something is wrong, in the form that
	// [core.Attempt.Addr] has.
	Refusing  string // nobody is there: a connection is refused at once
	Silent    string // a connection is neither made nor refused
	HangingUp string // a connection is made and lost before anything is read
	Deaf      string // a connection is made and nothing is ever read

	// UnknownTopic does not exist and is not made by a send. ReadOnlyTopic exists, and
	// nobody may write to any of its queues.
	UnknownTopic, ReadOnlyTopic string
	// HangRoutes makes whoever knows the routes silent: from now on nobody answers.
	HangRoutes func()

	// Skip says which rules ("T6") or checks ("T6/unanswered") are left out, and why.
	Skip map[string]string
	// Limit is the time of one check, 1 minute if it is zero. A check that is not over by
	// then fails, and names the method that blocks.
	Limit time.Duration
	// Late is how long after a deadline, the end of a context or an abort a method may
	// take to return, 5 s if it is zero. In virtual time it can be a millisecond.
	Late time.Duration
}

// Handler says what the far end does with a request. It may be called by several
// goroutines at once and does not block.
type Handler func(r Request) Reply

// Request is a request to send as it arrived at the far end. The handler copies what it
// keeps.
type Request struct {
	// Addr is the address of the broker that got the request.
	Addr string
	// Queue is the queue that the request names.
	Queue core.Queue
	// Topic is the topic that it names.
	Topic string
	// Messages are the messages: one, or those of a batch in their order.
	Messages []Message
}

// Message is one message as it arrived.
type Message struct {
	Body  []byte
	Flag  int32
	Codec string // the name of the codec that packed the body, "" for none
	// Properties are the properties under RocketMQ's names. The far end may have added
	// some of its own.
	Properties map[string]string
}

// Kind is what the far end does with a request.
type Kind uint8

// The kinds. The zero value stores the message.
const (
	Store      Kind = iota // store all messages and answer so
	StoreLate              // store all messages and answer so after Reply.After
	Refuse                 // store nothing and answer Reply.Refusal
	RefuseSome             // store the messages of a batch but those of Reply.Refused, and answer so
	Hang                   // take the request and never answer
	Cut                    // take the request, store nothing and lose the connection
)

var kindNames = []string{"Store", "StoreLate", "Refuse", "RefuseSome", "Hang", "Cut"}

// String gives the kind's name.
func (k Kind) String() string { return enum.Name(kindNames, int(k)) }

// MarshalText gives the name.
func (k Kind) MarshalText() ([]byte, error) { return enum.Marshal("kind", kindNames, int(k)) }

// UnmarshalText takes a name.
func (k *Kind) UnmarshalText(text []byte) error { return enum.Unmarshal("kind", kindNames, text, k) }

// Reply is what the far end has to do with a request.
type Reply struct {
	Kind Kind
	// After is how long a StoreLate waits before its answer.
	After time.Duration
	// Refusal is one of [World].Refusals, for Refuse and RefuseSome.
	Refusal Refusal
	// Refused are the numbers of the refused messages, from 0, for RefuseSome.
	Refused []int
}

// Refusal is an answer that is no success, and what it means to core.
type Refusal struct {
	// Code is the answer in the protocol's words. Nil where the protocol has none.
	Code core.Code
	// Remark is what the far end says beside it.
	Remark string
	// Class and Certainty are what the error has to say.
	Class     core.Class
	Certainty core.Certainty
}
