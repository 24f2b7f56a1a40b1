package remoting_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Announce returns when each broker has answered a heartbeat, costs nothing for those that have,
// and waits a second at most for one that has not.
func TestAnnounce(t *testing.T) {
	good := broker(t, func(s *session, c wire.Command) { s.ok(c) })
	silent := broker(t, func(*session, wire.Command) {})
	c := client(t, remoting.Config{})
	registered(t, c, "g", good.addr(), nil)
	both, err := fixed(t, 1, good.addr(), silent.addr()).Route(bg, "T")
	if err != nil {
		t.Fatal(err)
	}
	one, err := fixed(t, 1, good.addr()).Route(bg, "T")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Announce(bg, one); err != nil || len(good.requests(wire.HeartBeat)) == 0 {
		t.Errorf("%v, %d heartbeats", err, len(good.requests(wire.HeartBeat)))
	}
	before := c.Stats().Heartbeats
	for range 100 {
		if err := c.Announce(bg, one); err != nil {
			t.Fatal(err)
		}
	}
	if after := c.Stats().Heartbeats; after > before+2 { // the one that begins a connection may still be under way
		t.Errorf("%d heartbeats more", after-before)
	}
	ctx, cancel := context.WithTimeout(bg, 100*time.Millisecond)
	defer cancel()
	if err := c.Announce(ctx, both); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
