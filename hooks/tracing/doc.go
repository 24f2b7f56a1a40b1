// Package tracing makes OpenTelemetry spans of sends and puts their context into
// the messages, so that a consumer's spans join the producer's trace.
//
// [New] makes the step "otel.trace". It stands outermost in both scopes, so its
// spans see local failures such as a refused validation, as well as every
// attempt. It is the same in all modes: an asynchronous span ends when the
// outcome is known, a one-way span when the request is written.
//
// # Spans
//
//	send {topic}     PRODUCER  one per call; its context goes into the message
//	create {topic}   PRODUCER  one per message of a batch (WithCreateSpans)
//	send {topic}     CLIENT    the batch itself then, with links to them
//	attempt {topic}  CLIENT    one per attempt (WithAttemptSpans), children of send
//	recall {topic}   CLIENT    one per recall; it has one attempt and no message
//
// A send span whose context goes into no message, because the user gave all of
// them one, is a CLIENT span as well.
//
// Without attempt spans each attempt is an event "attempt" of the send span.
//
// A send whose message hooks/accumulate puts into a request with others' has its
// own span, with the queue, the broker and the number of attempts of that request,
// but without events or spans of these attempts: they are no single send's. A send
// that is refused before it is one - the producer does not run, the message or the
// context is nil - has no span.
//
// The attributes are those of the OpenTelemetry conventions for messaging and
// RocketMQ, in the version that [SchemaURL] names; keys and body sizes are there where
// [WithMessageKeys] and [WithBodySize] ask for them. They are still in development;
// docs/telemetry.md says what happens when a later version renames some. Of its own the
// package adds, under liftoff: mode, attempts, send_status (of a message that is stored),
// certainty (of a failed send or recall: not-sent, not-stored, maybe-stored or stored, or
// unknown where a step put an error of its own in the place of the send's) and, of an
// attempt, attempt, attempt.duration and response_code, which a recall has too. A
// response_code is there where the protocol numbers its answers.
//
// The description of a failed span says what ended the call, in one line of at most 256
// bytes. What the attempts met is in their events or spans.
//
// error.type is the name of the broker's answer (TOPIC_NOT_EXIST, SYSTEM_BUSY,
// ...) or of the kind of failure: invalid_message, forbidden, auth, no_route,
// network, timeout, canceled, circuit_open, in_flight, closed, plugin. Other
// errors go by their ErrorType method or, without one, their Go type.
//
// # Propagation
//
// The properties are named as the propagators name them: with the W3C ones
// traceparent, tracestate and baggage, which the Java agent reads as well. The
// user's message is never written to. A context that the user put into the
// message's properties stays as it is; the send span gets a link to it.
//
// Properties have at most 32,255 bytes encoded. What would not fit is left out,
// baggage first: tracing never makes a message too large to send.
//
// OpenTelemetry's global propagator does nothing until the program sets one with
// otel.SetTextMapPropagator; [WithPropagators] needs no global.
//
// # Cost
//
// Under a parent span that is not sampled there is no span and no attribute: the
// parent's context is injected, at one allocation. A sampler that would sample
// children of such parents is not asked, unless [WithUnsampledParents] says so. With
// OpenTelemetry's SDK 1.47 a sampled send of one attempt costs about 23 allocations,
// half of them for the attributes that samplers must see, and a root that the sampler
// drops about 12.
package tracing
