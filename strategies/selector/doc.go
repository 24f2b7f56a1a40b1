// Package selector has queue selectors: [RoundRobin], [Random], and
// [Hash], the default producer's, which keeps the messages of one sharding key on one queue as the
// Java client does. [Healthy] adds the avoidance of tried and ailing brokers to
// a selector of one's own.
//
// All of them choose among the queues by one ranking. The best is a queue whose
// broker this call has not tried and whose health is good; then come
//
//   - not tried and not down,
//   - not tried,
//   - tried and not down,
//   - any.
//
// So there is always a choice: a selector never fails because every broker is
// ailing. This is the order of Java's MQFaultStrategy (available and not the
// last broker, reachable and not the last broker, any), with all tried brokers
// in the place of the last one.
//
// A choice takes one lap over the queues at most, usually one look, no lock and
// no allocation. All selectors are safe for concurrent use.
package selector
