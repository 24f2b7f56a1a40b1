// Package wire holds the bytes of RocketMQ's remoting protocol: frames, the two header
// serializations, the send request and its answer, message properties, batch bodies, stored
// messages, message ids, topic routes, heartbeats and recalls. It does no I/O of its own, starts no
// goroutine and keeps no state besides a [Reader]'s buffer.
//
// Both sides of a connection use it: a client encodes with [AppendSend] and reads answers with
// [Reader] and [Answer]; a server uses [ParseFrame], [ParseSend] and [AppendSendResponse]. Everything else goes through [Command].
//
// # Frame
//
//	4 bytes  length of all that follows
//	4 bytes  high byte: header serialization (0 JSON, 1 ROCKETMQ); low three: header length
//	n bytes  header
//	m bytes  body
//
// All integers are big endian. A "frame" in this package's functions is what follows the first
// four bytes, as [Reader.Next] returns it.
//
// # Trust
//
// Every decoder assumes a hostile peer: lengths are checked against what is there before
// anything is allocated, counts are limited (see the Max constants), and no input makes one
// panic. Encoders append to a caller's buffer and return it, grown if needed, so that a pooled
// buffer makes them free of allocations; on an error they return the buffer at its old length.
//
// Functions are safe for concurrent use on different data. A Reader belongs to one goroutine.
package wire
