// Package msgtrace writes RocketMQ's own message trace: for each attempt to send, for each end
// of a transaction and for each recall a record in a trace topic, which mqadmin
// queryMsgTraceById and the dashboard read (Java: AsyncTraceDispatcher).
//
// [New] makes the step "msgtrace". Records are encoded byte for byte as Java's
// TraceDataEncoder does, put together by topic, and sent by a producer of the step's own over
// the traced producer's connections. That one has no steps, so nothing of the trace is traced.
// No send waits for the trace: a record that finds no room is dropped and counted, and so are
// records whose message cannot be sent. [Trace.Snapshot] has the numbers.
//
// As in Java there is one Pub record for each attempt, so a retried message has several. There
// is none for a one-way send, which has no answer, none where the broker's answer says TRACE_ON
// false, and none for messages to the trace topic.
//
// Differences from Java, on purpose:
//
//   - An attempt that failed after the transport was asked has a record, with success false.
//     Java records only what brokers acknowledged. The region is DefaultRegion then, because no
//     answer named one.
//   - Each message of a batch has a record of its own, under its own id, without the broker's
//     id. Java writes one record whose id is the list of all ids, which no query finds.
//   - A message with a delivery time is of the type Delay_Msg. Java looks at the delay level only.
//   - Recalls are recorded always, in the region DefaultRegion. Java does so if a system property
//     is set.
//   - An end of a transaction that is told again has a record each time.
//   - A trace message ends before it would be larger than 128,000 bytes. Java's ends after, and
//     its own producer refuses it.
package msgtrace
