package breaker_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// One caller gives its sends less time than the brokers need, and the breakers open for the
// patient ones too.
func TestImpatientCaller(t *testing.T) {
	within := func(d time.Duration) func(w *world, opts ...core.SendOption) {
		return func(w *world, opts ...core.SendOption) {
			ctx, cancel := context.WithTimeout(w.Context(), d)
			defer cancel()
			_, _ = w.p.Send(ctx, coretest.Message("x"), append(opts, toA)...)
		}
	}
	for _, tt := range []struct {
		name string
		run  func(w *world)
		want breaker.State
	}{
		{"before all others", func(w *world) {
			w.set("broker-a", needs(100*ms))
			for range 50 {
				within(80 * ms)(w)
			}
		}, breaker.Closed},
		{"after others", func(w *world) {
			w.times(20, needs(100*ms))
			for range 50 {
				within(80 * ms)(w)
			}
		}, breaker.Closed},
		{"after others, at slow brokers", func(w *world) {
			w.times(20, needs(700*ms))
			for range 50 {
				within(600 * ms)(w)
			}
		}, breaker.Closed},
		{"beside others", func(w *world) {
			w.set("broker-a", needs(100*ms))
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					for range 50 {
						if i == 0 {
							_ = w.sendA(w.Context())
						} else {
							within(80 * ms)(w)
						}
					}
				})
			}
			wg.Wait()
		}, breaker.Closed},
		{"by an option", func(w *world) {
			w.times(20, needs(100*ms))
			for range 50 {
				_, _ = w.p.Send(w.Context(), coretest.Message("x"), toA, core.SendTimeout(80*ms))
				_, _ = w.p.Send(w.Context(), coretest.Message("x"), toA, core.SendAttemptTimeout(80*ms))
			}
		}, breaker.Closed},
		{"new broker, others need as long", func(w *world) {
			w.set("broker-b", needs(100*ms))
			for range 20 {
				_, _ = w.p.Send(w.Context(), coretest.Message("x"), toB)
			}
			w.set("broker-a", needs(100*ms))
			for range 50 {
				within(80 * ms)(w)
			}
		}, breaker.Closed},
		{"new broker, others are quicker", func(w *world) {
			w.set("broker-b", needs(10*ms))
			for range 20 {
				_, _ = w.p.Send(w.Context(), coretest.Message("x"), toB)
			}
			w.set("broker-a", hang)
			for range 5 {
				within(80 * ms)(w)
			}
		}, breaker.Open},
		{"at a broker that was quicker", func(w *world) {
			w.times(20, needs(10*ms))
			w.set("broker-a", hang)
			for range 5 {
				within(80 * ms)(w)
			}
		}, breaker.Open},
		{"at a broker that was quicker than others", func(w *world) {
			w.set("broker-b", after(300*ms, ok))
			for range 20 {
				_, _ = w.p.Send(w.Context(), coretest.Message("x"), toB)
			}
			w.times(20, after(10*ms, ok))
			w.set("broker-a", hang)
			for range 5 {
				within(80 * ms)(w)
			}
		}, breaker.Open},
		// A refusal is quick; it does not show what storing takes.
		{"among refusals", func(w *world) {
			w.times(20, needs(100*ms))
			for range 50 {
				w.times(3, refuse(rocketmq.CodeMessageIllegal, ""))
				w.set("broker-a", needs(100*ms))
				within(80 * ms)(w)
			}
		}, breaker.Closed},
		// However slow the answers were before, a whole attempt's time is enough.
		{"patient, at a broker that hangs after slow answers", func(w *world) {
			w.times(5, needs(2*time.Second))
			w.set("broker-a", hang)
			_, _ = w.p.Send(w.Context(), coretest.Message("x"), toA, core.SendTimeout(time.Second))
		}, breaker.Open},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, breaker.Config{}, func(w *world) {
				tt.run(w)
				w.expect(tt.want)
			})
		})
	}
}

// Of a new broker nothing is known, so it may need what the slowest of the others needs.
func TestNewBrokerBesideSeveral(t *testing.T) {
	for _, slow := range []string{"broker-b", "broker-c"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, breaker.Config{}, func(c *core.Config) { c.Routes = coretest.Routes(1, "broker-a", "broker-b", "broker-c") })
			w.set(slow, after(100*ms, ok))
			for range 20 {
				for _, name := range []string{"broker-b", "broker-c"} {
					m := coretest.Message("x")
					m.Queue = &core.Queue{Broker: name}
					if _, err := w.p.Send(w.Context(), m); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.set("broker-a", hang)
			for range 10 {
				ctx, cancel := context.WithTimeout(w.Context(), 80*ms)
				_ = w.sendA(ctx)
				cancel()
			}
			w.expect(breaker.Closed)
		})
	}
}
