// Package pace keeps one-way sends from flooding a broker. A broker drops one-way
// messages silently when more come than it can store: its queue of sends holds
// 10,000 requests, and what waits in it for longer than 200 ms is thrown away
// (Java: sendThreadPoolQueueCapacity, waitTimeMillsInSendQueue, BrokerFastFailure).
//
// Give [Pacer.Step] to the producer and send as before, with SendOneway. For each
// broker the pacer knows how many one-way messages may still wait in the broker's
// queue, and holds a send back while that is a window full. It learns it from
// samples: every so often a one-way message asks for an answer
// ([core.Attempt.Confirm]). A broker takes the requests of one connection out of its
// queue in the order in which they came, so the answer to one message says that
// those before it are out of the queue.
//
// The window adapts itself. It is small at first, grows by a quarter when it is in
// use and a sample was answered soon enough, shrinks by a quarter when a sample
// waited for more than [Config].Target, and halves when the broker was busy or
// silent; it shrinks once for all samples that were under way. What counts is the
// time beyond the quickest answer, so that a far broker is no slow one; but as it is
// seen later there that the window is too large, the window grows in smaller steps
// where answers take longer than twice the target: a flood over 100 ms of network
// is at its full rate after some two seconds.
//
// A send that is a sample waits for its answer and fails with what the broker says,
// with core's class and certainty; it is not retried once it may have left. Others
// end when they are written, as without the step. A send that waits for its place
// until its time is over fails with an [*Error] and is certainly not sent. Other
// modes pass untouched.
//
// What pacing cannot do: answer for every message. When a broker becomes busy for
// another reason (its disk, other producers, a restart), it can still drop up to a
// window of messages. A program that must not lose any needs Send or SendAsync.
package pace
