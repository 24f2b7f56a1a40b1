// Package sendhook runs a hook before and after each attempt to send (Java:
// SendMessageHook), in every mode: for audit trails, message traces, tests.
//
// [New] makes a step named "sendhook.<name>" for the observe stage of attempt
// scope, inside the attempt's span if tracing is there. For each attempt Before
// runs exactly once and, unless it vetoed, After exactly once: also when the
// attempt failed, was vetoed further in, panicked, or lost its goroutine to
// runtime.Goexit. Retries are attempts of their own; use core.CallListener to be
// told once a call. Operations, such as a recall, are no attempts to send: a hook does
// not see them.
//
// What a [Context] shows:
//
//	accessor                                       Before    After     later
//	---------------------------------------------  --------  --------  -------
//	Group Mode Message Topic Type Namespace        valid     valid     invalid
//	Queue BrokerAddr Number                        valid     valid     invalid
//	Property Properties (as sent, id included)     valid     valid     invalid
//	Call Attempt (body as sent: Call().Outgoing()) valid     valid     invalid
//	Value SetValue                                 set it    same      invalid
//	Result                                         false     valid     invalid
//	Err                                            nil       valid     invalid
//	Latency                                        0         valid     invalid
//
// Differences from Java, on purpose:
//
//   - An error from Before vetoes the attempt and is reported as an [*Error].
//     Java logs and forgets it. A panic in either method fails the send with the
//     step's name.
//   - After runs once per attempt in asynchronous mode too, with the outcome.
//     Java runs it at dispatch without a result and again at the end.
//   - The type knows delivery times. Java's hooks look at DELAY and the obsolete
//     __STARTDELIVERTIME only.
//   - There is no born host: the broker takes it from the connection.
package sendhook
