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
// own context and deadline. After a failure the next dial waits 50 ms, doubling
// to 800 ms, each time ±20 %; attempts that come earlier fail at once with
// [core.ErrConnect], which means "not sent". Names are resolved at each dial.
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
// still wait on the old one may have their answers.
//
// The package internal/conn holds all of this. Its files have the state pictures of
// the two sides of a connection and tell the races step by step.
//
// # Locks
//
// The order is: table of peers, peer, client, connection. A connection calls the
// client without its lock.
//
// # Cost
//
// A synchronous round trip makes 1 allocation: the strings of the answer.
package remoting
