package remoting_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A synchronous send over a connection that stands, from the producer's door to
// the socket and back, makes one allocation: the strings of the answer.
func TestSendAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, ser := range []wire.Serialization{wire.RocketMQ, wire.JSON} {
		t.Run(ser.String(), func(t *testing.T) { sendAllocations(t, ser) })
	}
}

func sendAllocations(t *testing.T, ser wire.Serialization) {
	c := client(t, remoting.Config{})
	p := transportOnly(t, c, echo(t, ser))
	msg := coretest.Message(strings.Repeat("x", 1024))
	send := func() {
		if _, err := p.Send(bg, msg); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		send()
	}
	if n := testing.AllocsPerRun(2000, send); n > 1 {
		t.Errorf("%v allocations per send", n)
	}
}

// Sends of many callers share system calls.
func TestWritesAreCoalesced(t *testing.T) {
	c := client(t, remoting.Config{})
	p := transportOnly(t, c, echo(t, wire.JSON))
	msg := coretest.Message(strings.Repeat("x", 200))
	const sends, callers = 20_000, 64
	split(callers, callers, func() { _, _ = p.Send(bg, msg) })
	before := settled(t, c)
	split(sends, callers, func() {
		if _, err := p.Send(bg, msg); err != nil {
			t.Error(err)
		}
	})
	after := settled(t, c)
	writes, reads := after.Writes-before.Writes, after.Reads-before.Reads
	t.Logf("%.3f writes and %.3f reads per send", float64(writes)/sends, float64(reads)/sends)
	if writes > sends/2 {
		t.Errorf("%d writes for %d sends", writes, sends)
	}
	if after.FramesOut-before.FramesOut != sends || after.FramesIn-before.FramesIn != sends {
		t.Errorf("frames: %d out, %d in", after.FramesOut-before.FramesOut, after.FramesIn-before.FramesIn)
	}
}

// settled is a client's counts when nothing is under way. A peer may have answered
// a frame before the write that carried it has returned and is counted.
func settled(t testing.TB, c *remoting.Client) (s remoting.Stats) {
	t.Helper()
	eventually(t, "every frame was counted", func() bool {
		s = c.Stats()
		return s.InFlight == 0 && s.FramesOut == s.FramesIn
	})
	return s
}
