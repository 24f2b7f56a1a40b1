package remoting_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A broker forgets where a client's replies go when a group of the client leaves, and heartbeats with
// its other groups do not remind it. Announce brings a group that is new, and from then on all
// heartbeats name that.
func TestAnnounceAfterAGroupHasLeft(t *testing.T) {
	b := broker(t, func(s *session, c wire.Command) { s.ok(c) })
	c := client(t, remoting.Config{HeartbeatInterval: 20 * time.Millisecond})
	registered(t, c, "stays", b.addr(), nil)
	leaves := registered(t, c, "leaves", b.addr(), nil)
	c.KeepBrokers("stays", []core.Broker{{Addr: b.addr()}}) // so that it gets heartbeats
	route, err := fixed(t, 1, b.addr()).Route(bg, "T")
	if err != nil {
		t.Fatal(err)
	}
	inner := func() (beats, left int) {
		for _, r := range b.requests(wire.HeartBeat) {
			if h, err := wire.ParseHeartbeat(r.Body); err == nil && slices.Contains(h.ProducerGroups, "CLIENT_INNER_PRODUCER") {
				if beats++; !slices.Contains(h.ProducerGroups, "stays") {
					t.Errorf("a heartbeat of %v", h.ProducerGroups)
				}
			}
		}
		for _, r := range b.requests(wire.UnregisterClient) {
			if r.Ext.Get("producerGroup") == "CLIENT_INNER_PRODUCER" {
				left++
			}
		}
		return beats, left
	}
	announce := func() {
		t.Helper()
		if err := c.Announce(bg, route); err != nil {
			t.Fatal(err)
		}
	}
	announce()
	if beats, left := inner(); beats+left != 0 {
		t.Errorf("at first %d heartbeats name the inner group, it left %d times", beats, left)
	}
	if err := leaves.Shutdown(bg); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		announce()
	}
	if beats, left := inner(); beats == 0 || left != 1 {
		t.Errorf("then %d heartbeats name it, and it left %d times before", beats, left)
	}
	eventually(t, "more heartbeats", func() bool { beats, _ := inner(); return beats > 3 })
	seen, beats := len(b.requests(wire.HeartBeat)), 0
	for _, r := range b.requests(wire.HeartBeat)[seen-3:] {
		if h, err := wire.ParseHeartbeat(r.Body); err == nil && slices.Contains(h.ProducerGroups, "CLIENT_INNER_PRODUCER") {
			beats++
		}
	}
	if beats != 3 {
		t.Errorf("%d of the last 3 heartbeats name it", beats)
	}
	announce()
	if _, left := inner(); left != 1 {
		t.Errorf("it left %d times in all", left)
	}
}

// A group that has left must not stay with a broker: that would close the connection, which other groups use too. So it is
// taken back again after a heartbeat that was under way meanwhile, and where the broker refused it.
func TestGroupsDoNotComeBack(t *testing.T) {
	for name, refuse := range map[string]bool{"a heartbeat is under way": false, "the broker refuses": true} {
		t.Run(name, func(t *testing.T) {
			left := make(chan struct{})
			var once sync.Once
			b := broker(t, func(s *session, c wire.Command) {
				h, _ := wire.ParseHeartbeat(c.Body)
				switch {
				case c.Code == wire.HeartBeat && h != nil && slices.Contains(h.ProducerGroups, "leaves") && !refuse:
					go func() { // another thread of the broker
						<-left
						s.ok(c)
					}()
				case c.Code == wire.UnregisterClient:
					first := false
					once.Do(func() { first = true })
					if first && refuse {
						s.answer(c, int(rocketmq.CodeSystemBusy), "busy")
					} else {
						s.ok(c)
					}
				default:
					s.ok(c)
				}
			})
			c := client(t, remoting.Config{HeartbeatInterval: 20 * time.Millisecond})
			registered(t, c, "stays", b.addr(), nil)
			c.KeepBrokers("stays", []core.Broker{{Addr: b.addr()}})
			eventually(t, "a heartbeat", func() bool { return len(b.requests(wire.HeartBeat)) > 0 })
			leaves := registered(t, c, "leaves", b.addr(), nil)
			eventually(t, "a heartbeat with both", func() bool {
				return slices.ContainsFunc(b.requests(wire.HeartBeat), func(r wire.Command) bool {
					h, err := wire.ParseHeartbeat(r.Body)
					return err == nil && slices.Contains(h.ProducerGroups, "leaves")
				})
			})
			if err := leaves.Shutdown(bg); err != nil {
				t.Fatal(err)
			}
			close(left)
			eventually(t, "it is taken back again", func() bool { return len(b.requests(wire.UnregisterClient)) == 2 })
			seen := len(b.requests(wire.HeartBeat))
			eventually(t, "three more heartbeats", func() bool { return len(b.requests(wire.HeartBeat)) > seen+2 })
			if n := len(b.requests(wire.UnregisterClient)); n != 2 {
				t.Errorf("it was taken back %d times", n)
			}
		})
	}
}

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
