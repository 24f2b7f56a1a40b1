// Package metrics measures sends and operations, such as recalls, with OpenTelemetry.
//
// [New] makes the step "otel.metrics" with the two instruments that the
// conventions for messaging have for producers:
//
//	messaging.client.operation.duration  histogram, s           one value per call or operation
//	messaging.client.sent.messages       counter, {message}     one count per attempt
//
// A call's duration runs from the user's call to its outcome, in every mode, and
// local failures count, but for what is refused before it is a call: a producer that
// does not run, a nil message or context. Sent messages are attempts whose request
// may have reached the broker, with the number of their messages: a retry counts
// again, and what never left the process, such as an invalid message, does not. A recall
// is no message and is not counted there.
//
// Both have the attributes messaging.system, messaging.operation.name ("send" or
// "recall"), messaging.destination.name (the topic without its namespace, left out where the
// message was invalid: its topic may be anything), server.address and server.port of
// the last broker contacted, and error.type on failure; durations of sends have
// messaging.operation.type too. For the values of error.type see the package tracing.
//
// In the steady state a send allocates nothing here: the sets of attributes are
// made once for each topic, broker and outcome, and kept. Their number is bounded, since each
// is a time series: the first 4,096 name topic and broker, all others operation and outcome
// alone. An outcome is one of a closed set: a class of failure, or a code that RocketMQ itself
// lists; what else a broker answers is UNKNOWN_CODE.
package metrics
