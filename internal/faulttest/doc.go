// Package faulttest holds the tests of the whole default producer against a
// cluster that misbehaves: the fault table, one test a row, a random fault
// simulation, and the budgets for memory, goroutines and allocations. It has no
// code that anybody imports.
//
// Every test looks from outside: a producer made by the root package, the client
// of package remoting, and a cluster of package embedded or peers that break the
// protocol on purpose. Most of them run in virtual time over a network in memory,
// so that they assert times exactly and cost none.
//
// The rows of the fault table that have no test here, and why:
//
//   - 1 (broker killed), 2 (broker hung), 3 (all brokers down), 5 (name server
//     down later), 9 (write permission taken) and 23 (oversized message) are about
//     real servers and are tested in integration; their counterparts in virtual
//     time are here as well, because they are cheap.
//   - 22 (reset, half-open, link down) needs network namespaces and real brokers.
//     A reset over loopback and a silent link in memory are here.
//   - 26 (TLS) is tested beside the client, in package remoting, and in integration.
//   - 27 (ACL): of access control there is only the place for a signer. What brokers answer to a client without credentials is
//     part of row 10.
//   - 30 and 31 (transactions): there are none yet. That a client without them
//     survives a storm of checks is tested here as row 30.
//   - 35 (trace topic): there is no such hook yet.
//   - 36 (DNS): open. Names are resolved by the dial function at each dial, see
//     remoting.Config.Dial; a test needs a resolver of its own.
//
// The simulation takes more seeds by a flag:
//
//	go test ./internal/faulttest -run TestRandomFaults -seeds 1000
//	go test ./internal/faulttest -run TestRandomFaults -seed 42 -v
package faulttest
