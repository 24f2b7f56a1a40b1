package breaker_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// A message that no other broker may take passes an open breaker, though another broker is
// well: a refusal could only turn a doubtful send into a failed one.
func TestBoundToItsBroker(t *testing.T) {
	fixed := func() *core.Message {
		m := coretest.Message("x")
		m.Queue = &core.Queue{Broker: "broker-a"}
		return m
	}
	keyed := func() *core.Message {
		m := coretest.Message("x")
		m.ShardingKey = "order-7"
		return m
	}
	one := func(m *core.Message) func(w *world) error {
		return func(w *world) error {
			_, err := w.p.Send(w.Context(), m)
			return err
		}
	}
	async := func(m *core.Message) func(w *world) error {
		return func(w *world) error {
			done := make(chan error, 1)
			w.p.SendAsync(w.Context(), m, func(_ core.Result, err error) { done <- err })
			return <-done
		}
	}
	oneway := func(m *core.Message) func(w *world) error {
		return func(w *world) error { return w.p.SendOneway(w.Context(), m) }
	}
	batch := func(m *core.Message) func(w *world) error {
		return func(w *world) error {
			_, err := w.p.SendBatch(w.Context(), []*core.Message{m, m})
			return err
		}
	}
	for name, tt := range map[string]struct {
		send  func(w *world) error
		after breaker.State // a success of it
	}{
		"fixed queue":          {one(fixed()), breaker.Closed},
		"sharding key":         {one(keyed()), breaker.Closed},
		"fixed queue, async":   {async(fixed()), breaker.Closed},
		"sharding key, async":  {async(keyed()), breaker.Closed},
		"fixed queue, batch":   {batch(fixed()), breaker.Closed},
		"sharding key, batch":  {batch(keyed()), breaker.Closed},
		"fixed queue, oneway":  {oneway(fixed()), breaker.Open}, // it proves nothing
		"sharding key, oneway": {oneway(keyed()), breaker.Open},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, breaker.Config{}, func(c *core.Config) { c.Selector = keyedToA{chooseA} })
				w.open()
				before := len(w.tr.Attempts())
				if err := tt.send(w); !errors.Is(err, core.ErrConnect) {
					t.Errorf("the broker's own failure is %v", err)
				}
				w.expect(breaker.Open)
				w.set("broker-a", ok)
				if err := tt.send(w); err != nil {
					t.Errorf("the broker is well again, and its breaker kept a message from it: %v", err)
				}
				w.expect(tt.after)
				for _, a := range w.tr.Attempts()[before:] {
					if a.Queue.Broker != "broker-a" {
						t.Errorf("an attempt went to %v", a.Queue)
					}
				}
			})
		})
	}
}

// A retry policy wants the same queue again, and the first failure opened the breaker: the
// message went to another queue though nobody had asked for that.
func TestSameQueueAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, breaker.Config{Trip: func(breaker.Counts) bool { return true }}, func(c *core.Config) {
			c.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
				return core.Decision{Retry: f.Attempt < 3, Reroute: core.SameQueue}
			})
		})
		w.set("broker-a", refused)
		if _, err := w.p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrConnect) {
			t.Errorf("got %v", err)
		}
		w.expect(breaker.Open)
		got := w.tr.Attempts()
		if len(got) != 3 {
			t.Errorf("%d attempts, want 3", len(got))
		}
		for _, a := range got {
			if a.Queue != got[0].Queue {
				t.Errorf("%v instead of %v", a.Queue, got[0].Queue)
			}
		}
	})
}

// keyedToA keeps every message with a sharding key at broker-a.
type keyedToA struct{ core.QueueSelector }

func (s keyedToA) ForTopic(string) core.QueueSelector { return s }

func (keyedToA) RequiresConsistency(m *core.Message) bool { return m.ShardingKey != "" }
