// Package simulate shows what a send policy does in an incident. It runs the real engine, with the
// real client, against the embedded cluster, in virtual time: a minute of traffic takes seconds.
//
//	report, err := simulate.Run(ctx, simulate.Scenario{Incident: simulate.Hung, Seed: 1}, policy)
//	report.Draw(os.Stdout, 80)
//
// # What is simulated and what is real
//
// Real are the producer with everything in it (pipeline, retries, breakers, routes), the client
// with its connections, dials and heartbeats, the bytes on the wire, and the brokers' code for
// sends and routes. Simulated are the network, which has no latency of its own, the clock, and
// how long a broker works on a send ([Scenario].Service). A broker here has no queue that fills
// up: two sends do not slow each other down.
//
// # Why a seed repeats a run
//
// A seed decides when callers send, how long a broker works on each send, and what strategies
// draw ([random.Seed]). Each of these times is a random number of nanoseconds, so hardly ever
// do two things happen at one instant. The rest is the order in which Go's scheduler takes
// goroutines that one event made ready. With one processor that order is the same each time,
// which is why a run sets GOMAXPROCS to 1 for the whole process while it lasts. The race
// detector shuffles that order on purpose, so with it a few sends may fall otherwise.
package simulate
