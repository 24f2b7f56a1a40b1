package integration

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/javaprog"
)

const (
	crashLoad        = 30 * time.Second
	crashConcurrency = 16
	crashPause       = 20 * time.Millisecond // between two sends of one worker, so that reading back stays short
)

// ledger is what a load was told about its messages.
type ledger struct {
	mu       sync.Mutex
	sent     int
	outcomes map[string]int            // by body: how often its outcome was reported
	acked    map[string]bool           // by body
	failed   map[string]core.Certainty // by body
	classes  map[string]int
	firstOK  time.Time // of the first success of a send that began after the port answered
}

func newLedger() *ledger {
	return &ledger{outcomes: map[string]int{}, acked: map[string]bool{}, failed: map[string]core.Certainty{}, classes: map[string]int{}}
}

func (l *ledger) note(body string, began, portBack time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes[body]++
	if err != nil {
		l.failed[body] = core.CertaintyOf(err)
		l.classes[core.ClassOf(err).String()+" "+core.CertaintyOf(err).String()]++
		return
	}
	l.acked[body] = true
	if !portBack.IsZero() && began.After(portBack) && l.firstOK.IsZero() {
		l.firstOK = time.Now()
	}
}

// The only broker of a topic is killed and started again under load, in both modes: what was acknowledged is stored,
// what was reported as not sent or not stored is not, every send has one outcome, sends succeed again soon after the
// port answers, and the producers leave no goroutine behind.
func TestBrokerCrashUnderLoadLosesNothingAndLiesAboutNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { // the versions run side by side
		if err := goleak.Find(before); err != nil {
			t.Errorf("after Shutdown: %v", err)
		}
	})
	eachCluster(t, func(t *testing.T, c *cluster) {
		loads := map[string]*ledger{"sync": newLedger(), "async": newLedger()}
		topics := map[string]string{}
		for mode := range loads {
			topics[mode] = topicFor(t, mode)
			c.CreateTopic(t, topics[mode], 4, "broker-a")
		}
		ctx, cancel := context.WithTimeout(t.Context(), crashLoad+time.Minute)
		defer cancel()
		var portBack atomic.Pointer[time.Time]
		portBack.Store(&time.Time{})
		senders := newSenders(t)
		for mode, l := range loads {
			p := newProducer(t, c.NameServer(), producerOptions{group: "crash_" + mode})
			senders.Go(func() {
				if mode == "sync" {
					loadSync(ctx, p, topics[mode], l, &portBack, senders)
				} else {
					loadAsync(ctx, p, topics[mode], l, &portBack, senders)
				}
				shutdownCtx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				if err := p.Shutdown(shutdownCtx); err != nil {
					t.Errorf("%s: shutdown: %v", mode, err)
				}
			})
		}
		began := time.Now()
		time.Sleep(crashLoad / 4)
		c.Kill(t, "broker-a")
		time.Sleep(crashLoad / 15)
		c.RestartNotify(t, "broker-a", func(at time.Time) { portBack.Store(&at) })
		port := *portBack.Load()
		// The restart may take long on a slow machine; the load goes on long enough after it in any case.
		time.Sleep(max(time.Until(began.Add(crashLoad)), 5*time.Second))
		senders.stop()
		for mode, l := range loads {
			recovery := l.firstOK.Sub(port)
			t.Logf("%s %s: %d sent, %d acknowledged, failed %v; down for %s; first success %s after the port answered",
				c.Version(), mode, l.sent, len(l.acked), l.classes, port.Sub(began.Add(crashLoad/4)).Round(time.Millisecond), recovery.Round(time.Millisecond))
			if l.firstOK.IsZero() || recovery > 10*time.Second {
				t.Errorf("%s: no send succeeded within 10 s after the port answered", mode)
			}
			judgeLedger(t, c, mode, topics[mode], l)
		}
	})
}

func judgeLedger(t *testing.T, c *cluster, mode, topic string, l *ledger) {
	t.Helper()
	if len(l.outcomes) != l.sent {
		t.Errorf("%s: %d of %d sends had an outcome", mode, len(l.outcomes), l.sent)
	}
	for body, n := range l.outcomes {
		if n != 1 {
			t.Errorf("%s: %s had %d outcomes", mode, body, n)
		}
	}
	stored := map[string]int{}
	for _, m := range javaprog.ReadBack(t, c.Version(), c.NameServer(), topic, len(l.acked), 2*time.Minute) {
		stored[string(m.Body())]++
	}
	lost := maps.Clone(l.acked)
	duplicates := 0
	for body, n := range stored {
		delete(lost, body)
		duplicates += n - 1
		if certainty, failed := l.failed[body]; failed && certainty != core.MaybeStored && certainty != core.Stored {
			t.Errorf("%s: %s is stored and was reported as %s", mode, body, certainty)
		}
	}
	if len(lost) != 0 {
		t.Errorf("%s: %d acknowledged messages are lost", mode, len(lost))
	}
	maybe := 0
	for body := range l.failed {
		if stored[body] > 0 {
			maybe++
		}
	}
	t.Logf("%s %s: %d distinct stored, %d of the failed ones among them, %d duplicates", c.Version(), mode, len(stored), maybe, duplicates)
}

func loadSync(ctx context.Context, p *core.Producer, topic string, l *ledger, portBack *atomic.Pointer[time.Time], senders *senders) {
	var workers sync.WaitGroup
	for w := range crashConcurrency {
		workers.Go(func() {
			for i := 0; !senders.stopped(); i++ {
				body := fmt.Sprintf("sync-%d-%d", w, i)
				l.mu.Lock()
				l.sent++
				l.mu.Unlock()
				began := time.Now()
				_, err := p.Send(ctx, &core.Message{Topic: topic, Body: []byte(body)})
				l.note(body, began, *portBack.Load(), err)
				time.Sleep(crashPause)
			}
		})
	}
	workers.Wait()
}

func loadAsync(ctx context.Context, p *core.Producer, topic string, l *ledger, portBack *atomic.Pointer[time.Time], senders *senders) {
	room := make(chan struct{}, crashConcurrency)
	for i := 0; !senders.stopped(); i++ {
		room <- struct{}{}
		body := fmt.Sprintf("async-%d", i)
		l.mu.Lock()
		l.sent++
		l.mu.Unlock()
		began := time.Now()
		p.SendAsync(ctx, &core.Message{Topic: topic, Body: []byte(body)}, func(_ core.Result, err error) {
			l.note(body, began, *portBack.Load(), err)
			time.Sleep(crashPause)
			<-room
		})
	}
	for range crashConcurrency {
		room <- struct{}{}
	}
}
