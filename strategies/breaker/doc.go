// Package breaker keeps sends away from brokers that do not work: one circuit
// breaker per broker, made with gobreaker.
//
// A [Breakers] is two things. As a step it stands around each attempt: it counts
// how the attempt ends, and refuses attempts at a broker whose breaker is open,
// upon which the producer goes on to another broker. As a health view it tells
// the selector beforehand which brokers are open, so that a refusal is rare.
// Give it to the producer as both:
//
//	cfg.Steps = append(cfg.Steps, breakers.Step())
//	cfg.Health = breakers
//
// It stands around operations too, such as a recall. They count, and none is refused: an
// operation has one broker, and no other can take its place.
//
// Brokers are told apart by address and network ([core.Broker]). Producers of several clusters
// may share one Breakers even if the clusters' brokers have the same names.
//
// A breaker opens after failures in a row, or when they are a large part of the attempts of a
// while, or when its broker looks hung; the numbers are in [Config], and a rule of one's own can
// replace them. It stays open for a while, and then lets single attempts through: the first
// success closes it, the first failure opens it again. A breaker never makes a send fail that
// could have succeeded: where no other broker is left, or no other may take the message because
// of its sharding key, its fixed queue or a retry at the same queue (see core's
// Attempt.LastResort), it lets attempts through, and closes as soon as one of them succeeds in
// the time that an attempt may take where other brokers are left (core's Attempt.Cap).
//
// What counts as a failure: no connection, a connection that broke, no answer
// in the time that others' answers take, and answers by which a broker says that it cannot serve, such as
// SYSTEM_BUSY, SERVICE_NOT_AVAILABLE and an unexplained SYSTEM_ERROR. What counts
// as nothing: whatever the caller cancelled or a hook vetoed, time-outs of callers who gave
// the broker less time than it needs for others, answers that blame
// the message, the topic or the credentials, panics, one-way sends, which
// prove nothing, and answers that came later than Attempt.Cap: only an attempt that could go
// nowhere else waited for them. Messages that are stored with a weaker status are successes.
package breaker
