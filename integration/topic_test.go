package integration

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// A topic that changes while it is sent to: fewer queues, read-only, and back. A queue that is gone is no fault of the
// message, and nothing of it is stored; a topic that was made read-only gets no message from the next look-up on.
func TestTopicChangesUnderLoad(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		topic := topicFor(t, "t")
		const queues = 4
		c.CreateTopic(t, topic, queues)
		cfg, err := liftoff.Defaults(liftoff.Config{Group: "integration-topic", NameServers: []string{c.NameServer()}})
		if err != nil {
			t.Fatal(err)
		}
		cfg.RouteRefresh = 500 * time.Millisecond
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		acked, stale := 0, 0
		send := func() error {
			res, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
			switch {
			case err == nil && res.MaybeDuplicate:
				t.Errorf("it may be stored twice: %+v", res)
			case core.ClassOf(err) == core.ClassStale:
				stale++
			}
			if err == nil {
				acked++
			}
			return err
		}
		// until sends until it ends as wanted, and then a little longer.
		until := func(what string, want func(error) bool) {
			t.Helper()
			for deadline := time.Now().Add(time.Minute); !want(send()); {
				if time.Now().After(deadline) {
					t.Fatalf("%s: not within a minute: %v", what, send())
				}
			}
			for range 50 {
				if err := send(); !want(err) {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		stored := func(err error) bool { return err == nil }
		until("at first", stored)

		senders := newSenders(t)
		var others, lost atomic.Int64
		for range 8 {
			senders.Go(func() {
				for !senders.stopped() {
					_, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("y")})
					switch {
					case err == nil:
						others.Add(1)
					case core.ClassOf(err) != core.ClassStale || core.CertaintyOf(err) != core.NotStored:
						t.Errorf("with fewer queues: %v", err)
					default:
						lost.Add(1)
					}
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		c.SetTopic(t, topic, 2, realcluster.ReadWrite)
		time.Sleep(2 * time.Second)
		senders.stop()
		until("with fewer queues", stored)

		c.SetTopic(t, topic, 2, realcluster.ReadOnly)
		until("read-only", func(err error) bool {
			return errors.Is(err, core.ErrNotWritable) && core.CertaintyOf(err) == core.NotSent
		})
		c.SetTopic(t, topic, queues, realcluster.ReadWrite)
		until("writable again", stored)

		if got, want := c.Stored(t, topic, queues), acked+int(others.Load()); got != want {
			t.Errorf("%d messages are stored, %d were acknowledged", got, want)
		}
		t.Logf("%d acknowledged, %d and %d refused for an old route", acked+int(others.Load()), stale, lost.Load())
	})
}
