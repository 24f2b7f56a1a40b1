package main

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/bench/load"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A broker that sheds load answers one-way requests, however little they want it.
// The flood must neither hang on them nor take them for its own.
func TestFloodReadsRefusals(t *testing.T) {
	frame, err := wire.AppendSendResponse(nil, wire.ResponseHead{Code: int(rocketmq.CodeSystemBusy), Serialization: wire.RocketMQ},
		"[TIMEOUT_CLEAN_QUEUE]"+strings.Repeat("x", 1000), nil)
	if err != nil {
		t.Fatal(err)
	}
	refuse := embedded.Garbage(frame)
	// A thousand refusals are more than the buffers of a connection hold. A slow machine needs longer for them.
	for window := 100; ; window *= 2 {
		r, stored := cell(t, load.Spec{Mode: load.Oneway, InFlight: 8, Size: 128, WindowMS: window}, 1, func(c *embedded.Cluster) {
			c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action { return refuse })
		})
		if r.Failed != 0 || len(stored) != 0 {
			t.Fatalf("%+v with %d stored", r, len(stored))
		}
		if r.Accepted >= 1000 {
			return
		}
		if window > 60_000 {
			t.Fatalf("the flood hangs: %+v", r)
		}
	}
}

// A broker that goes away ends the flood, and with it the goroutine that reads.
func TestFloodEndsWithItsConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 1000))
		_ = c.Close()
	}()
	s := load.Spec{
		Mode: load.Oneway, InFlight: 4, Size: 128, Topic: "T", Queues: 4, Brokers: "a=" + l.Addr().String(), WarmMS: 60_000, WindowMS: 1,
	}
	if err := load.Run(&s, open, io.Discard); err == nil {
		t.Error("the load went on without a broker")
	}
}
