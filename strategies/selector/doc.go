// Package selector has queue selectors. docs/strategies.md says when to take which, and has
// what was measured.
//
//   - [Hash], the default producer's, keeps the messages of one sharding key on one queue as the
//     Java client does; [NewHash] has the ways of other clients, and consistent ones.
//   - [RoundRobin], [Random] and [NewWeighted] look at no load.
//   - [LeastInFlight] and [NewPowerOfTwo] learn what brokers can carry.
//   - [NewSticky] stays on a queue, [NewZone] prefers near brokers.
//   - [Healthy], [AvoidTried], [Fallback] and [Filter] change what other selectors choose, one's
//     own above all.
//
// Where any queue will do, all of them choose by one ranking. The best is a queue whose
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
// A choice takes one lap over the queues at most, usually one look, and no allocation; only
// [NewSticky] takes a lock. All selectors are safe for concurrent use. What a selector has worked
// out of a topic's route it keeps until it is asked with another one, so a selector serves
// one topic, as a producer uses it.
//
// Selectors around others pass on what those are besides: listeners for attempts and routes
// are told, once each, and a choice that must be consistent is kept. Other roles, such as a
// [core.Service], they do not pass on.
package selector
