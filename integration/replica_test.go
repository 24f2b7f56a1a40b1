package integration

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// A master with synchronous replication answers a send when its slave has the message. A slave that hangs was never heard
// of: the broker says FLUSH_SLAVE_TIMEOUT after its slaveTimeout of 3 s, and with its default of 3 s the producer has
// given up by then. A longer time brings the weak status; the message is stored in both cases.
func TestHungSlaveIsReportedIfTheTimeIsLongEnough(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Slave: true})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 1)
		short := newProducer(t, c.NameServer(), producerOptions{})
		long := newProducer(t, c.NameServer(), producerOptions{group: "patient", timeout: 8 * time.Second})
		sent := 0
		send := func(p *core.Producer, noWait bool) (core.Result, time.Duration, error) {
			sent++
			began := time.Now()
			r, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: fmt.Appendf(nil, "%d", sent), NoWaitStore: noWait})
			return r, time.Since(began), err
		}
		// The slave has to catch up first.
		caughtUp(t, func() (core.Result, error) { r, _, err := send(long, false); return r, err })
		refusedBefore := sent - c.Stored(t, topic, 1)

		c.Pause(t, "broker-a-s")
		_, took, err := send(short, false)
		if !errors.Is(err, core.ErrTimeout) || core.CertaintyOf(err) != core.MaybeStored {
			t.Errorf("with the default time: %v", err)
		}
		t.Logf("%s, slave hung: 3 s of time: %s after %s", version, core.ClassOf(err), took)
		r, took, err := send(long, false)
		if err != nil || r.Status != core.FlushSlaveTimeout || r.MaybeDuplicate || r.Attempts != 1 {
			t.Errorf("with 8 s: %+v, %v", r, err)
		}
		t.Logf("%s, slave hung: 8 s of time: %s after %s", version, r.Status, took)
		// A message that does not wait for the slave is answered at once.
		r, took, err = send(short, true)
		if err != nil || r.Status != core.SendOK {
			t.Errorf("without waiting: %+v, %v", r, err)
		}
		t.Logf("%s, slave hung: without waiting for the store: %s after %s", version, r.Status, took)
		if got := c.Stored(t, topic, 1); got != sent-refusedBefore {
			t.Errorf("%d of %d messages are stored", got, sent-refusedBefore)
		}
		c.Resume(t, "broker-a-s")
		caughtUp(t, func() (core.Result, error) { r, _, err := send(long, false); return r, err })
	})
}

// Without a slave a broker of 4.9 stores and says so; one of 5.x that wants two replicas (inSyncReplicas) refuses,
// certainly without storing. When the slave is back, messages are stored twice again.
func TestKilledSlave(t *testing.T) {
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Slave: true})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 1)
		p := newProducer(t, c.NameServer(), producerOptions{timeout: 8 * time.Second})
		acked := 0
		send := func() (core.Result, error) {
			r, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
			if err == nil {
				acked++
			} else if core.CertaintyOf(err) != core.NotStored {
				t.Errorf("a send without an outcome: %v", err)
			}
			return r, err
		}
		caughtUp(t, send)
		c.Kill(t, "broker-a-s")
		// The master notices the end of the connection after some messages.
		deadline := time.Now().Add(30 * time.Second)
		for {
			r, err := send()
			if version == "4.9.7" && err == nil && r.Status == core.SlaveNotAvailable {
				break
			}
			if version != "4.9.7" && core.ClassOf(err) == core.ClassUnavailable {
				t.Logf("%s, slave killed: %v", version, err)
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("slave killed: %+v, %v", r, err)
			}
		}
		c.Restart(t, "broker-a-s")
		caughtUp(t, send)
		if got := c.Stored(t, topic, 1); got != acked {
			t.Errorf("%d messages are stored, %d were acknowledged", got, acked)
		}
	})
}

// caughtUp sends until the slave confirms, which it does some seconds after its start.
func caughtUp(t *testing.T, send func() (core.Result, error)) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		r, err := send()
		if err == nil && r.Status == core.SendOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the slave does not confirm within a minute: %+v, %v", r, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
