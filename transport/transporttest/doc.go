// Package transporttest checks transports and route sources against the rules of
// [core.Transport] and [core.RouteSource]: one's own above all. It needs nothing but core
// and the standard library. Each rule is a sub-test that is named by its number and its
// word, such as "T5 written". To begin, copy this:
//
//	func TestTransport(t *testing.T) {
//		transporttest.Test(t, func(tb transporttest.TB) transporttest.World {
//			server := startServer(tb) // whatever is at the other end
//			tr := mytransport.New(server.Addr())
//			return transporttest.World{
//				Transport: tr, Routes: tr, Topic: "T", // all that is required
//				Serve: func(h transporttest.Handler) { server.Handle(h) },
//			}
//		})
//	}
//
// With the first three fields alone the kit sends and looks at the results. Serve puts the
// kit at the far end: it then sees what arrives and has requests refused, left without an
// answer or cut off. Each further field of [World] lets it check more. What a world cannot
// serve is skipped, and go test -v shows why. A feature that [core.Capabilities] lacks is
// skipped too. Skip leaves out a rule or a check, for a reason.
//
// The attempts are those of a real producer, so a transport is used as it will be. A check
// has a time limit. What blocks, panics or ends its goroutine fails its rule, and the
// failure names the method: a RoundTrip that never returns does not end the test. Only a
// panic on a goroutine that the transport itself starts nobody can contain.
//
// Run it with -race: what a transport reads after RoundTrip has returned, and what it does
// to shared memory, the race detector knows best. A test in virtual time (testing/synctest)
// goes over [Rules] itself and sets Late to a millisecond, because a sub-test cannot begin
// in a bubble.
//
// The rules of transports, with the names of their checks:
//
//	T1  answer       stored, refused, lost, refusing
//	T2  message      body, flag, properties, delay, timed, priority, lite, outgoing, codec, batch
//	T3  place        queues
//	T4  refusal      refused, lost, hanging
//	T5  written      stored, refused, lost, hanging, oneway, refusing, silent
//	T6  deadline     unanswered, connecting, writing, send-by
//	T7  context      done, unanswered, connecting, writing
//	T8  abort        unanswered, connecting, writing
//	T9  one-way      written, confirmed, refused
//	T10 batch        offsets, partly
//	T11 reading      unchanged, later
//	T12 concurrency  many, independent, late
//	T13 network      refusing, lost, hanging-up
//	T14 end          closed, under-way, goroutines
//
// The rules of route sources:
//
//	R1  route        known
//	R2  unknown      unknown
//	R3  read-only    read-only
//	R4  context      done, hanging
//	R5  same         again
//	R6  concurrency  many
//
// The example examples/texttransport passes all of them.
package transporttest
