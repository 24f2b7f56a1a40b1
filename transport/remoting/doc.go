// Package remoting is the client for real clusters: it speaks RocketMQ's
// remoting protocol with name servers and brokers of 4.x and 5.x.
//
// A [Client] is a core.Transport, core.RouteSource, core.GroupRegistrar and
// core.Service. It is an explicit value that producers share; there is no
// process-wide state, and no goroutine and no I/O before Start.
//
// # Connections
//
// There is one connection per address, dialed when it is first needed, outside
// every lock and at most once at a time. Callers wait for the dial with their
// own context and deadline. After a failure the next dial waits 100, 400, then 800 ms, each
// time up to a half less, by chance; attempts that come earlier fail at once with
// [core.ErrConnect], which means "not sent". A connection that ends within a second counts as
// a failure, if the peer had said nothing or requests were under way; of a peer that had
// spoken the first one in a row is free. Names are resolved at each dial.
//
// With [Config].TLS each connection is encrypted, and a dial ends with the handshake, in the same
// time. Callers cannot write to such a connection or read from it themselves: its writer and
// reader goroutines do.
//
// Brokers are dialed when something is sent to them, and only those get heartbeats, which
// tell the client's id and its groups.
//
// # A request
//
// The caller encodes its frame and queues it. If no other goroutine writes, the
// caller hands everything queued to the kernel in one system call, without
// blocking; what the kernel does not take is left to the connection's writer
// goroutine. Where many answers are due and come quickly, a frame waits for a few
// others, up to about 500 µs and never longer than a millisecond, since the broker
// has work enough: this flush coalescing saves both sides system calls and
// wake-ups. With few requests under way nothing waits. Until its frame is taken for
// a write a request can be withdrawn, so that a send whose time ends in the queue
// is certainly not sent.
//
// One goroutine per connection reads answers and finds the waiting request by its
// number, on that connection only. While answers are flowing it waits for the next
// ones in the kernel (busy poll), up to 2 ms at a time, and not in Go's poller: a
// busy connection keeps a thread, an idle one does not. It does so only where there
// is more than one processor, and not while the processors are wanted. By the rule
// that holds for frames the kernel wakes it only when a few answers are there. A
// caller that has been the only one for some time reads its own answer
// (leader/follower), for a few times 2 ms at most; a cancelled context is noticed
// after that.
//
// A connection that goes away fails its requests at once, each with the truth about
// whether its bytes may have left. A request whose time ends while its connection
// is silent retires the connection: the next attempt dials anew, and requests that
// still wait on the old one may have their answers. Silent is a connection that brought no
// whole frame in that time. A frame that stays incomplete is no sign of life, since its
// length may be wrong.
//
// # Peers that lie
//
// Nothing that a peer says can make the client use much memory, or end the process:
//
//   - A connection has 64 KiB for what it reads. Larger frames share memory: those of all
//     brokers 16 MiB, those of all name servers 8 MiB. A frame that finds no room waits, and
//     what follows it on its connection too. So 40 brokers that send frames without end hold
//     18.5 MiB together.
//   - A frame must be complete within [Config].FrameTimeout, and for as long a large one waits
//     for room at most. Then its connection ends.
//   - Errors and results hold copies of what a peer said, of at most 1 KiB a text.
//   - A connection ends when the frames that nobody asked for exceed the answers by 16.
//   - [Config].AllowedBrokers and AllowBroker bound what a name server can make the client
//     dial, MaxBrokers how much of it.
//   - Of a source of name servers at most 64 addresses are taken, and 64 KiB of what an HTTP
//     endpoint answers. What is not understood changes nothing.
//
// # Functions of the program
//
// Dial, AllowBroker, MapAddr, those of Discovery and the functions in TLS.Config run on goroutines of the client's, without a lock; callers wait
// for them no longer than they want to. Each may block, send with the same client, panic or
// end its goroutine: the last two are errors with its name. The log handler is behind a queue.
// The methods of a connection that Dial gave are treated likewise, unless it is a plain
// socket. Only the Signer runs on the goroutine of each send and must not block.
//
// The package internal/conn holds all of this. Its files have the state pictures of
// the two sides of a connection and tell the races step by step.
//
// # Locks
//
// The order is: table of peers, peer, client, connection; finder, name servers. A connection calls the
// client without its lock.
//
// # Cost
//
// A synchronous round trip makes 1 allocation: the strings of the answer.
package remoting
