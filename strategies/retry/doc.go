// Package retry has retry policies and a retry budget.
//
//   - [AtLeastOnce], the default, retries whatever another attempt can help,
//     also where the message was perhaps stored. Consumers that drop duplicates
//     by message id see each message once.
//   - [Safe] retries only what is surely not stored.
//   - [Java5] and [Java49] retry what the Java producers of 5.x and 4.9 do.
//   - [None] makes one attempt.
//   - [WithBackoff] adds pauses to any policy, and [Limit] limits by class of failure.
//   - [Exponential] and [Decorrelated] are pauses, for WithBackoff and for [Pause].
//   - [NewBudget] bounds the retries of all calls together.
//
// A policy decides by one [core.Failure] alone and keeps nothing of a call, so
// one value serves all calls at once. The producer has the last word: it does
// not retry a call that was cancelled, is out of time or out of budget, nor a
// one-way send that was perhaps written.
//
// Each describes itself with its numbers ([core.Describer]). Nil, as an option, a back-off or an
// inner policy, makes a nil policy, which a producer refuses by the field's name.
package retry
