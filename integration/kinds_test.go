package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
)

// The kinds of clusters that 5.x added, each with its servers killed and started again under load in every mode. What was
// acknowledged is stored, what was reported as not sent or not stored is not, and a keyed send goes on as a plain one does.

// A controller makes a slave the master when the master dies. A send is acknowledged when all replicas in sync have the
// message, and only those can become master, so the new one has what the old one has acknowledged.
func TestControllerElectsANewMasterUnderLoad(t *testing.T) {
	t.Parallel()
	version5(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Controller: true})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		p := newProducer(t, c.NameServer(), producerOptions{})
		inSync(t, c)
		load := startKindLoad(t, p, topic)
		time.Sleep(2 * time.Second)
		c.Kill(t, "broker-a")
		load.goesOn(t, time.Now())
		takesRecalls(t, p, topic) // the new master
		time.Sleep(time.Second)
		steady := time.Now()
		c.Restart(t, "broker-a") // as a slave
		time.Sleep(2 * time.Second)
		load.stop()
		load.noFailure(t, steady, "plain", "keyed", "async", "batch")
		load.judge(t, c)
	})
}

// With its master gone a slave serves consumers in its place, and the routes say that its queues can only be read. So sends
// go to the other master, keyed ones too, and none fails for long; those bound to the queue of a broker that is gone do,
// until it is back.
func TestSlaveActsForItsMasterUnderLoad(t *testing.T) {
	t.Parallel()
	version5(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, ActingMaster: true})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		p := newProducer(t, c.NameServer(), producerOptions{})
		load := startKindLoad(t, p, topic)
		time.Sleep(2 * time.Second)
		c.Kill(t, "broker-a")
		load.goesOn(t, time.Now())
		takesRecalls(t, p, topic)
		time.Sleep(time.Second)
		bound := &core.Message{Topic: topic, Body: []byte("bound"), Queue: &core.Queue{Broker: "broker-a"}}
		if _, err := p.Send(t.Context(), bound); core.CertaintyOf(err) != core.NotSent {
			t.Errorf("bound to the broker that is gone: %v", err)
		}
		c.Restart(t, "broker-a")
		for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			_, err := p.Send(t.Context(), bound)
			if err == nil {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("bound to the broker that is back: %v", err)
			}
		}
		load.stop()
		load.noFailure(t, time.Time{}, "plain", "async", "batch")
		load.judge(t, c)
	})
}

// A container is one process with several brokers, which die with it and come back with it.
func TestContainerIsKilledUnderLoad(t *testing.T) {
	t.Parallel()
	version5(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{Version: version, Container: true})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		p := newProducer(t, c.NameServer(), producerOptions{})
		load := startKindLoad(t, p, topic)
		time.Sleep(2 * time.Second)
		for _, b := range c.Brokers() {
			if n := c.Stored(t, topic, 4, b.Name); n == 0 {
				t.Errorf("%s got nothing", b.Name)
			}
		}
		c.Kill(t, "container")
		time.Sleep(time.Second)
		if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("gone")}); core.CertaintyOf(err) != core.NotSent {
			t.Errorf("with all brokers gone: %v", err)
		}
		c.Restart(t, "container")
		load.goesOn(t, time.Now())
		takesRecalls(t, p, topic)
		load.stop()
		load.judge(t, c)
	})
}

// inSync waits until a controlled broker's slave is in sync, which it is some seconds after its start.
func inSync(t *testing.T, c *cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		n, err := c.InSync(ctx, "broker-a")
		if err == nil && n == 2 {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%d replicas are in sync within a minute: %v", n, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// takesRecalls sends a message that is due in an hour, and takes it back.
func takesRecalls(t *testing.T, p *core.Producer, topic string) {
	t.Helper()
	r, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("recalled"), DeliverAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Errorf("with a delivery time: %v", err)
		return
	}
	if _, err := p.Recall(t.Context(), topic, r.RecallHandle); err != nil {
		t.Errorf("recall: %v", err)
	}
}

// kindLoad sends in every mode until it is stopped. One-way sends have no outcome, so the ledger knows nothing of them.
type kindLoad struct {
	*ledger
	*senders
	topic string

	outcome sync.Mutex
	modes   map[string]*kindMode
}

// kindMode is what happened to the sends of one mode.
type kindMode struct {
	began  time.Time     // of the last send that succeeded
	ended  time.Time     // when one succeeded last
	gap    time.Duration // the longest time without a success
	failed []kindFailure
}

type kindFailure struct {
	began time.Time
	err   error
}

func startKindLoad(t *testing.T, p *core.Producer, topic string) *kindLoad {
	t.Helper()
	const pause = 20 * time.Millisecond
	l := &kindLoad{
		ledger: newLedger(), senders: newSenders(t), topic: topic,
		modes: map[string]*kindMode{},
	}
	ctx := t.Context()
	work := func(mode string, workers int, send func(m *core.Message, note func(*core.Message, error))) {
		for w := range workers {
			l.Go(func() {
				for i := 0; !l.stopped(); i++ {
					began := time.Now()
					send(&core.Message{Topic: topic, Body: fmt.Appendf(nil, "%s-%d-%d", mode, w, i)}, func(m *core.Message, err error) {
						l.noteOf(mode, string(m.Body), began, err)
					})
					time.Sleep(pause)
				}
			})
		}
	}
	work("plain", 4, func(m *core.Message, note func(*core.Message, error)) {
		_, err := p.Send(ctx, m)
		note(m, err)
	})
	work("keyed", 4, func(m *core.Message, note func(*core.Message, error)) {
		m.ShardingKey = string(m.Body)
		_, err := p.Send(ctx, m)
		note(m, err)
	})
	work("async", 4, func(m *core.Message, note func(*core.Message, error)) {
		came := make(chan error, 1)
		p.SendAsync(ctx, m, func(_ core.Result, err error) { came <- err })
		note(m, <-came)
	})
	work("batch", 2, func(m *core.Message, note func(*core.Message, error)) {
		batch := []*core.Message{m, {Topic: topic, Body: append([]byte("two-"), m.Body...)}}
		r, err := p.SendBatch(ctx, batch)
		for i, m := range batch {
			if err != nil && r.Len() == len(batch) {
				err = r.Err(i)
			}
			note(m, err)
		}
	})
	work("oneway", 1, func(m *core.Message, _ func(*core.Message, error)) {
		_ = p.SendOneway(ctx, m) // may be lost, and must not disturb the others
	})
	return l
}

func (l *kindLoad) noteOf(mode, body string, began time.Time, err error) {
	l.mu.Lock()
	l.sent++
	l.mu.Unlock()
	l.note(body, began, time.Time{}, err)
	l.outcome.Lock()
	defer l.outcome.Unlock()
	m := l.modes[mode]
	if m == nil {
		m = &kindMode{ended: began}
		l.modes[mode] = m
	}
	if err != nil {
		m.failed = append(m.failed, kindFailure{began, err})
		return
	}
	now := time.Now()
	m.began, m.gap, m.ended = began, max(m.gap, now.Sub(m.ended)), now
}

// goesOn waits until sends of all modes that began after that moment have succeeded.
func (l *kindLoad) goesOn(t *testing.T, after time.Time) {
	t.Helper()
	for {
		l.outcome.Lock()
		back := 0
		for _, m := range l.modes {
			if m.began.After(after) {
				back++
			}
		}
		l.outcome.Unlock()
		if back == 4 {
			return
		}
		if time.Since(after) > time.Minute {
			t.Fatalf("sends of %d of 4 modes succeed within a minute", back)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// noFailure fails the test for failures of sends that began after that moment.
func (l *kindLoad) noFailure(t *testing.T, after time.Time, modes ...string) {
	t.Helper()
	for _, mode := range modes {
		for _, f := range l.modes[mode].failed {
			if f.began.After(after) {
				t.Errorf("%s: %v", mode, f.err)
			}
		}
	}
}

// judge compares the outcomes with what the official consumer reads.
func (l *kindLoad) judge(t *testing.T, c *cluster) {
	t.Helper()
	t.Logf("%s: %d acknowledged, failed %v", c.Version(), len(l.acked), l.classes)
	for mode, m := range l.modes {
		t.Logf("%s %s: none succeeded for %s, %d failed", c.Version(), mode, m.gap.Round(time.Millisecond), len(m.failed))
		if len(m.failed) > 0 {
			t.Logf("such as %v", m.failed[0].err)
		}
	}
	judgeLedger(t, c, "every mode", l.topic, l.ledger)
}
