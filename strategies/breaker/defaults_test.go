package breaker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// defaults makes the strategies those of a default producer.
func defaults(c *core.Config) {
	c.Selector, c.Retry = selector.RoundRobin(), retry.AtLeastOnce()
	c.Budget, _ = retry.NewBudget(retry.DefaultRatio, retry.DefaultBurst)
}

// sendAll sends n messages one after the other, each answered after 2 ms by a
// broker that works, and returns how long each took.
func (w *world) sendAll(n int) []time.Duration {
	w.Helper()
	took := make([]time.Duration, 0, n)
	for range n {
		start := time.Now()
		if _, err := w.p.Send(w.Context(), coretest.Message("x")); err != nil {
			w.Error(err)
		}
		took = append(took, time.Since(start))
	}
	return took
}

// One of two brokers is hung or dead (rows 1 and 2 of the faults): no send
// fails, only one pays for the hung broker, and when it is back it gets its
// share again.
func TestOneOfTwoBrokersIsGone(t *testing.T) {
	for name, tt := range map[string]struct {
		b    behaviour
		slow int // sends that may take long
	}{"hung": {hang, 1}, "dead": {refused, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, breaker.Config{}, defaults)
				w.set("broker-b", after(2*ms, ok))
				w.set("broker-a", tt.b)
				took := w.sendAll(100)
				slow := slices.DeleteFunc(slices.Clone(took), func(d time.Duration) bool { return d <= 50*ms })
				if len(slow) > tt.slow || slices.Max(took) > 1200*ms || slices.Max(took[3:]) > 50*ms {
					t.Errorf("sends above 50 ms: %v, want at most %d, among the first three, each at most 1.2 s", slow, tt.slow)
				}

				w.set("broker-a", after(2*ms, ok))
				time.Sleep(breaker.DefaultOpenFor)
				before := len(w.tr.Attempts())
				w.sendAll(100)
				back := 0
				for _, a := range w.tr.Attempts()[before:] {
					if a.Queue.Broker == "broker-a" {
						back++
					}
				}
				if back < 45 || back > 55 {
					t.Errorf("broker-a got %d of 100 messages when it was back, want about half", back)
				}
			})
		})
	}
}

// Sixteen senders at once: none meets the hung broker twice.
func TestHungBrokerUnderConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{}, defaults)
		w.set("broker-a", hang)
		w.set("broker-b", after(2*ms, ok))
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				slow := slices.DeleteFunc(w.sendAll(100), func(d time.Duration) bool { return d <= 50*ms })
				if len(slow) > 1 {
					t.Errorf("one sender waited %v", slow)
				}
			})
		}
		wg.Wait()
	})
}

// All brokers are down and come back (row 3): sends fail at once meanwhile, and
// succeed as soon as a broker works, without waiting for its breaker.
func TestAllBrokersDownAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{}, defaults)
		w.set("broker-a", refused)
		w.set("broker-b", refused)
		for range 50 {
			start := time.Now()
			_, err := w.p.Send(w.Context(), coretest.Message("x"))
			if !errors.Is(err, core.ErrConnect) {
				t.Fatalf("got %v, want the connection's error", err)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("failing took %v", d)
			}
		}
		for _, s := range w.breakers.States() {
			if s.State == breaker.Closed {
				t.Errorf("%s's breaker is closed", s.Broker)
			}
		}
		w.set("broker-a", ok)
		w.set("broker-b", ok)
		for _, d := range w.sendAll(20) {
			if d > time.Second {
				t.Errorf("a send took %v when the brokers were back", d)
			}
		}
		for _, s := range w.breakers.States() {
			if s.State == breaker.Closed {
				return
			}
		}
		t.Errorf("no breaker closed: %+v", w.breakers.States())
	})
}

// A slow broker that answers all the same is not taken for a hung one: with
// many attempts under way one time-out is one failure among successes.
func TestOneTimeoutUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{}, defaults)
		var once sync.Once
		w.set("broker-a", func(ctx context.Context, at *core.Attempt) error {
			b := after(30*ms, ok)
			once.Do(func() { b = hang })
			return b(ctx, at)
		})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { w.sendAll(60) })
		}
		wg.Wait()
		w.expect(breaker.Closed)
	})
}
