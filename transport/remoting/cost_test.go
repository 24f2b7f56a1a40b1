package remoting_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A synchronous send over a connection that stands, from the producer's door to
// the socket and back, makes one allocation: the strings of the answer.
func TestSendAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	for _, ser := range []wire.Serialization{wire.RocketMQ, wire.JSON} {
		t.Run(ser.String(), func(t *testing.T) { sendAllocations(t, ser, remoting.Config{}, 1) })
	}
}

// Access control adds five: the header's fields for the signer - a frame, its text, the list -
// and the list and the signature that the signer returns.
func TestSignedSendAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	for _, ser := range []wire.Serialization{wire.RocketMQ, wire.JSON} {
		t.Run(ser.String(), func(t *testing.T) { sendAllocations(t, ser, remoting.Config{Signer: aclSigner(t)}, 6) })
	}
}

// aclSigner signs for clusters with access control.
func aclSigner(t testing.TB) remoting.Signer {
	t.Helper()
	s, err := acl.Config{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret-key")}.Signer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sendAllocations(t *testing.T, ser wire.Serialization, cfg remoting.Config, most float64) {
	c := client(t, cfg)
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
	if n := testing.AllocsPerRun(2000, send); n > most {
		t.Errorf("%v allocations per send, want %v at most", n, most)
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

// tally counts what a client does with a connection.
type tally struct {
	net.Conn
	writes, reads *atomic.Uint64
}

func (c tally) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func (c tally) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.reads.Add(1)
	return n, err
}

// The system calls of a client's statistics are those that a connection sees, also
// where frames wait for others.
func TestStatsCountSystemCalls(t *testing.T) {
	var writes, reads atomic.Uint64
	c := client(t, remoting.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		return tally{nc, &writes, &reads}, err
	}})
	p := transportOnly(t, c, echo(t, wire.JSON))
	msg := coretest.Message("x")
	const sends = 10_000
	split(sends, 64, func() {
		if _, err := p.Send(bg, msg); err != nil {
			t.Error(err)
		}
	})
	s := settled(t, c)
	if w, r := writes.Load(), reads.Load(); s.Writes != w || s.Reads != r || s.FramesOut != sends {
		t.Errorf("%d writes and %d reads, the connection saw %d and %d; %d frames", s.Writes, s.Reads, w, r, s.FramesOut)
	}
	if s.Writes > sends/2 {
		t.Errorf("%d writes for %d sends", s.Writes, sends)
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
