package breaker_test

import (
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// bound sends to broker-a's queue, which no other broker can take, so it may take longer than an
// attempt usually may.
func (w *world) bound(opts ...core.SendOption) {
	w.Helper()
	m := coretest.Message("x")
	m.Queue = &core.Queue{Broker: "broker-a"}
	if _, err := w.p.Send(w.Context(), m, opts...); err != nil {
		w.Fatal(err)
	}
}

// Answers that come later than an attempt may take are of use to those alone who may not go
// elsewhere. They must not lead the others to the slow broker again.
func TestLateAnswersCloseNoBreaker(t *testing.T) {
	const late = core.DefaultAttemptTimeout + ms
	for _, tt := range []struct {
		name string
		run  func(w *world)
		want breaker.State
	}{
		{"an open breaker", func(w *world) {
			w.open()
			w.set("broker-a", needs(late))
			w.bound()
		}, breaker.Open},
		{"a half-open one", func(w *world) {
			w.halfOpen()
			w.set("broker-a", needs(late))
			for range 3 {
				w.bound()
			}
		}, breaker.HalfOpen},
		{"in time", func(w *world) {
			w.open()
			w.set("broker-a", needs(core.DefaultAttemptTimeout-ms))
			w.bound()
		}, breaker.Closed},
		{"in time after late ones", func(w *world) {
			w.halfOpen()
			w.set("broker-a", needs(late))
			w.bound()
			w.set("broker-a", ok)
			w.bound()
		}, breaker.Closed},
		// The row of failures goes on, although the broker answers in between.
		{"between failures", func(w *world) {
			for range 4 {
				w.times(1, refused)
				w.set("broker-a", needs(late))
				w.bound()
			}
			w.times(1, refused)
		}, breaker.Open},
		{"alone", func(w *world) {
			w.set("broker-a", needs(late))
			for range 30 {
				w.bound()
			}
		}, breaker.Closed},
		{"in the time that the call gives an attempt", func(w *world) {
			w.open()
			w.set("broker-a", needs(late))
			w.bound(core.SendAttemptTimeout(2 * time.Second))
		}, breaker.Closed},
		{"later than the call gives an attempt", func(w *world) {
			w.open()
			w.set("broker-a", needs(300*ms))
			w.bound(core.SendAttemptTimeout(200 * ms))
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
