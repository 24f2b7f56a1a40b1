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
	t.Parallel()
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
		if version != "4.9.7" {
			// One replica in sync is the master itself: it waits for nobody, and says that all is well.
			must(t, c.SetBroker(t.Context(), "broker-a", "inSyncReplicas", "1"))
			if r, took, err = send(short, false); err != nil || r.Status != core.SendOK {
				t.Errorf("with inSyncReplicas=1: %+v, %v", r, err)
			}
			t.Logf("%s, slave hung, inSyncReplicas=1: %s after %s", version, r.Status, took)
			must(t, c.SetBroker(t.Context(), "broker-a", "inSyncReplicas", "2"))
		}
		if got := c.Stored(t, topic, 1); got != sent {
			t.Errorf("%d of %d messages are stored", got, sent)
		}
		c.Resume(t, "broker-a-s")
		caughtUp(t, func() (core.Result, error) { r, _, err := send(long, false); return r, err })
	})
}

// Without its slave a master of 4.9 says SLAVE_NOT_AVAILABLE at once. One of 5.x that wants two replicas (inSyncReplicas)
// waits for it as for one that hangs. Both store the message; when the slave is back, it confirms again.
func TestKilledSlave(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Slave: true})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 1)
		p := newProducer(t, c.NameServer(), producerOptions{timeout: 8 * time.Second})
		acked, took := 0, time.Duration(0)
		send := func() (core.Result, error) {
			began := time.Now()
			r, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
			if took = time.Since(began); err == nil {
				acked++
			} else {
				t.Errorf("a send failed: %v", err)
			}
			return r, err
		}
		caughtUp(t, send)
		c.Kill(t, "broker-a-s")
		want := core.FlushSlaveTimeout
		if version == "4.9.7" {
			want = core.SlaveNotAvailable
		}
		// The master may not have noticed the end of the connection at the first one.
		for i := range 5 {
			r, _ := send()
			t.Logf("%s, slave killed: %s after %s", version, r.Status, took)
			if r.Status != core.FlushSlaveTimeout && r.Status != core.SlaveNotAvailable || i == 4 && r.Status != want {
				t.Errorf("send %d without the slave: %+v", i, r)
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
