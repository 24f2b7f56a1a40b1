package integration

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/strategies/retry"
)

// One of two brokers is paused for 1.2 s, killed and restarted, and flooded for 300 ms, one after the other, under 64
// callers. Plain sends go to the other broker and none fails. Sends that belong to the ill broker, by a sharding key or a
// fixed queue, may fail while it cannot take them, but never because of an open breaker, and not later than a second
// after it is back.
func TestBoundSendsOutliveTheirBrokersTrouble(t *testing.T) {
	oneVersion(t, func(t *testing.T, version string) {
		// A short queue, so that a flood makes the broker say busy.
		c := startCluster(t, realcluster.Options{Version: version, Brokers: 2, Settings: []string{
			"broker-b:sendMessageThreadPoolNums=1", "broker-b:sendThreadPoolQueueCapacity=100",
		}})
		topic := topicFor(t, "t")
		c.CreateTopic(t, topic, 4)
		p := newProducer(t, c.NameServer(), producerOptions{})
		traffic := startBoundTraffic(t, p, topic)
		time.Sleep(2 * time.Second)

		var ill []span
		trouble := func(what func()) {
			s := span{from: time.Now()}
			what()
			s.to = time.Now()
			ill = append(ill, s)
			time.Sleep(3 * time.Second)
		}
		trouble(func() {
			c.Pause(t, "broker-b")
			time.Sleep(1200 * time.Millisecond)
			c.Resume(t, "broker-b")
		})
		trouble(func() {
			c.Kill(t, "broker-b")
			time.Sleep(time.Second)
			c.Restart(t, "broker-b")
		})
		busy := 0
		trouble(func() { busy = flood(t, c, topic, 300*time.Millisecond) })
		if busy == 0 {
			t.Error("the broker was never busy")
		}
		traffic.end()

		failed := map[string]int{}
		for _, f := range traffic.failed {
			failed[f.kind]++
			excused := false
			for _, s := range ill {
				excused = excused || f.at.After(s.from) && f.at.Before(s.to.Add(time.Second))
			}
			if f.kind == "plain" || !excused || errors.Is(f.err, core.ErrCircuitOpen) {
				t.Errorf("%s send %v after the last trouble: %v", f.kind, f.at.Sub(ill[len(ill)-1].to).Round(time.Millisecond), f.err)
			}
		}
		t.Logf("%s: of %v sends %v failed; %d of the flood met a busy broker", version, traffic.sends, failed, busy)
	})
}

// span is the time of a trouble.
type span struct{ from, to time.Time }

// boundTraffic is that of 64 callers: a third of their messages have a key, a third a queue of broker-b, a third neither.
type boundTraffic struct {
	stop    chan struct{}
	callers sync.WaitGroup

	mu     sync.Mutex
	sends  map[string]int
	failed []failedSend
}

type failedSend struct {
	kind string
	at   time.Time
	err  error
}

func startBoundTraffic(t *testing.T, p *core.Producer, topic string) *boundTraffic {
	b := &boundTraffic{stop: make(chan struct{}), sends: map[string]int{}}
	for i := range 64 {
		b.callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-b.stop:
					return
				case <-time.After(time.Duration(20+i) * time.Millisecond):
				}
				m, kind := &core.Message{Topic: topic, Body: fmt.Appendf(nil, "%d-%d", i, n)}, "plain"
				switch i % 3 {
				case 0:
					m.ShardingKey, kind = fmt.Sprint("key ", i, n%7), "keyed"
				case 1:
					m.Queue, kind = &core.Queue{Broker: "broker-b", ID: n % 4}, "fixed"
				}
				_, err := p.Send(context.WithoutCancel(t.Context()), m)
				b.mu.Lock()
				b.sends[kind]++
				if err != nil {
					b.failed = append(b.failed, failedSend{kind, time.Now(), err})
				}
				b.mu.Unlock()
			}
		})
	}
	return b
}

func (b *boundTraffic) end() {
	close(b.stop)
	b.callers.Wait()
}

// flood sends to broker-b as much as it can for d, with nothing that holds it back, and says how often it was refused
// as busy.
func flood(t *testing.T, c *cluster, topic string, d time.Duration) (busy int) {
	t.Helper()
	p, err := liftoff.New(liftoff.Config{Group: "flood", NameServers: []string{c.NameServer()}},
		liftoff.WithoutBreaker(), liftoff.WithoutBudget(), liftoff.WithRetry(retry.Safe(retry.Retries(0))))
	must(t, err)
	must(t, p.Start(t.Context()))
	var mu sync.Mutex
	for end := time.Now().Add(d); time.Now().Before(end); {
		p.SendAsync(t.Context(), &core.Message{Topic: topic, Body: []byte("flood"), Queue: &core.Queue{Broker: "broker-b"}}, func(_ core.Result, err error) {
			if core.ClassOf(err) == core.ClassBusy {
				mu.Lock()
				busy++
				mu.Unlock()
			}
		})
	}
	must(t, p.Shutdown(t.Context()))
	return busy
}
