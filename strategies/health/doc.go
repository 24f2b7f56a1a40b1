// Package health judges brokers by what attempts at them showed.
//
// [Latency] is Java's latency fault tolerance (MQFaultStrategy and
// LatencyFaultToleranceImpl): a broker that answered slowly or failed is left
// alone for a time that a [Table] gives. Java has it switched off by default.
// It is an alternative to a circuit breaker.
//
// [Reachability] probes brokers that could not be reached, until they are back.
//
// [Worst] and [First] combine views, a breaker's included.
package health
