// Package health judges brokers by what attempts at them showed.
//
// [Latency] is Java's latency fault tolerance (MQFaultStrategy and
// LatencyFaultToleranceImpl): a broker that answered slowly or failed is left
// alone for a time that a [Table] gives. Java has it switched off by default.
// It is an alternative to a circuit breaker; [Worst] combines both.
package health
