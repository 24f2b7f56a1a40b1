// Package conn is one connection of the remoting protocol. It knows frames, requests
// and sockets. It does not know what the requests are for: clients, routes, heartbeats
// and dials are the business of the layer above.
//
// # What it does
//
// [Conn.Do] queues a request's frame, has it written, and waits for the answer. Any
// number of goroutines call it at once. Four parts share the work, each a type with a
// file of its own:
//
//   - admission (admission.go) bounds the bytes that are queued. A caller that finds no
//     room waits in a queue, first come, first served.
//   - writeSide (writeside.go) says which goroutine may write. Mostly that is a caller,
//     which then writes for all; what blocks is left to the writer goroutine.
//   - readSide (readside.go) says which goroutine reads: the reader goroutine or, on a
//     connection with one caller at a time, that caller (leader/follower).
//   - table (table.go) finds the request that an answer belongs to.
//
// Between them stands coalesce.go: when many answers are due and come quickly, a frame
// waits up to a millisecond for others, and one system call carries them all.
//
// # What it tells the layer above
//
// The layer above gives an [Owner] at construction, which hears of the first frame, of
// the peer's own requests and of the end of the connection. The limits and the counters
// are in [Shared], which all connections of one client have in common. A request's fate
// is what Do returns, with [Request.Written] for whether its bytes may have left.
//
// # Locks
//
// A Conn has one lock, Conn.mu. It guards the four parts, it is held for some hundred
// nanoseconds, and it is the last in every order: no other lock is taken, no channel
// blocks and no code of a user runs while it is held. The methods of [Owner], the log
// handler and the net.Conn are called without it. A method that says "with the lock
// held" means this one.
package conn
