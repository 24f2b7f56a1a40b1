// Package integration holds tests that judge Liftoff by programs that Liftoff's authors did not write: a real Apache
// RocketMQ 5.3.3, 4.9.7 and 5.5.0, RocketMQ's own Java classes, and the official Java and Go clients.
//
// It is a module of its own, so that `go test ./...` at the root needs neither Java nor a network. Run it with
// ./run here, or with `go test ./...` in this folder. LIFTOFF_ROCKETMQ_VERSION picks one of the versions, or several; by default
// all are used. Without Java 17 and Maven the tests fail and say so; they never skip.
package integration
