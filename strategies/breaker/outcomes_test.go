package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// outcome is one way in which a send at broker-a can end.
type outcome struct {
	name   string
	broker behaviour                   // what the broker does; nil if it is not asked
	below  core.AttemptInterceptorFunc // what a step further in does; nil for nothing
	early  bool                        // the caller cancels before the send
	late   bool                        // and while it is under way
	oneway bool
}

func vetoing(err error) core.AttemptInterceptorFunc {
	return func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) { return nil, err }
}

// outcomes are all kinds of ends that an attempt has.
var outcomes = []outcome{
	{name: "ok", broker: ok},
	{name: "ok after 30 ms", broker: after(30*ms, ok)},
	{name: "refused", broker: refused},
	{name: "lost after 40 ms", broker: after(40*ms, fail(core.ErrConnectionLost))},
	{name: "busy", broker: refuse(rocketmq.CodeSystemBusy, "")},
	{name: "message refused", broker: refuse(rocketmq.CodeMessageIllegal, "")},
	{name: "hung", broker: hang},
	{name: "panic of the transport", broker: func(context.Context, *core.Attempt) error { panic("transport") }},
	{name: "goroutine ended by the transport", broker: func(context.Context, *core.Attempt) error { runtime.Goexit(); return nil }},
	{name: "cancelled", broker: hang, late: true},
	{name: "cancelled before", broker: ok, early: true},
	{name: "veto", below: vetoing(core.ErrForbidden)},
	{name: "veto that looks like the network's error", below: vetoing(core.ErrConnect)},
	{name: "neither result nor error", below: vetoing(nil)},
	{name: "panic of a step", below: func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) { panic("step") }},
	{name: "panic of a step after the answer", broker: ok, below: func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		_, _ = next(ctx, at)
		panic("step")
	}},
	{name: "goroutine ended by a step", below: func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
		runtime.Goexit()
		return nil, nil
	}},
	{name: "one-way", broker: ok, oneway: true},
	{name: "one-way, refused", broker: refused, oneway: true},
	{name: "one-way, hung", broker: hang, oneway: true},
}

// chosen carries the outcome of a send to the broker and to the step below.
var chosen = core.NewSlot[*outcome]("outcome")

// newRandomWorld is a world whose broker-a does to a send what its outcome says. Each change of
// state calls back into the breakers, and sends with the same producer, to broker-a too.
func newRandomWorld(t *testing.T, cfg breaker.Config, told func()) *world {
	var w *world
	cfg.OnStateChange = func(b core.Broker, _, _ breaker.State) {
		told()
		w.breakers.States()
		w.breakers.Health(b)
		w.breakers.BrokerReport(b)
		for _, opt := range []core.SendOption{toA, toB} {
			_, _ = w.p.Send(w.Context(), coretest.Message("alarm"), opt, chosen.With(&outcomes[0]))
		}
	}
	w = newWorld(t, cfg, func(c *core.Config) {
		c.Steps = append(c.Steps, core.AttemptStep("below", core.AttemptWire, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				if o, ok := chosen.Get(at.Call()); ok && o.below != nil {
					return o.below(ctx, at, next)
				}
				return next(ctx, at)
			})))
	})
	w.set("broker-a", func(ctx context.Context, at *core.Attempt) error {
		o, _ := chosen.Get(at.Call())
		return o.broker(ctx, at)
	})
	return w
}

// meet makes one send at broker-a that ends so. A goroutine of its own may be ended.
func (w *world) meet(o *outcome) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		if o.early {
			cancel()
		}
		if o.late {
			time.AfterFunc(60*ms, cancel)
		}
		if o.oneway {
			err = w.p.SendOneway(ctx, coretest.Message("x"), toA, chosen.With(o))
			return
		}
		_, err = w.p.Send(ctx, coretest.Message("x"), toA, chosen.With(o))
	}()
	<-done
	return err
}

// drawConfig draws when a breaker opens, and how many probes it takes to close it.
func drawConfig(rt *rapid.T) breaker.Config {
	return breaker.Config{
		Probes:              rapid.IntRange(1, 3).Draw(rt, "probes"),
		ConsecutiveFailures: rapid.SampledFrom([]int{-1, 1, 2, 5}).Draw(rt, "consecutive"),
		MinRequests:         rapid.IntRange(1, 8).Draw(rt, "least"),
		FailureRatio:        rapid.SampledFrom([]float64{0.1, 0.5, 1}).Draw(rt, "ratio"),
	}
}

// recovers brings the broker back, and says what is wrong if its breaker does not close.
func (w *world) recovers(probes int) string {
	time.Sleep(breaker.DefaultOpenFor + ms)
	for i := range probes {
		if got := w.breakers.Health(brokerA); got != core.HealthGood {
			return fmt.Sprintf("before success %d of %d it is %v: the place of a probe is lost; %+v", i+1, probes, got, w.breakers.States())
		}
		if err := w.meet(&outcomes[0]); err != nil {
			return fmt.Sprintf("success %d of %d: %v; %+v", i+1, probes, err, w.breakers.States())
		}
	}
	if got := w.state(); got != breaker.Closed {
		return fmt.Sprintf("after %d successes it is %v", probes, got)
	}
	return ""
}

// No probe is ever lost, whatever the ends of 10,000 attempts (100 plans of 100 and more): while
// no attempt is under way a half-open breaker has room for one.
func TestNoProbeIsLost(t *testing.T) {
	halfOpen, told := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		plan := rapid.SliceOfN(rapid.IntRange(0, len(outcomes)-1), 100, 140).Draw(rt, "outcomes")
		pauses := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, 0, ms, time.Second, breaker.DefaultOpenFor + ms}), len(plan), len(plan)).Draw(rt, "pauses")
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			w := newRandomWorld(t, cfg, func() { told++ })
			for i, n := range plan {
				time.Sleep(pauses[i])
				_ = w.meet(&outcomes[n])
				if w.state() != breaker.HalfOpen {
					continue
				}
				halfOpen++
				if got := w.breakers.Health(brokerA); got != core.HealthGood {
					wrong = fmt.Sprintf("after %q no attempt is under way, and the half-open breaker has no room for one: %v", outcomes[n].name, got)
					return
				}
			}
			wrong = w.recovers(cfg.Probes)
		})
		if wrong != "" {
			rt.Error(wrong)
		}
	})
	if halfOpen == 0 || told == 0 {
		t.Errorf("%d outcomes were met half-open and %d changes told: the plans show nothing", halfOpen, told)
	}
}

// The same of many senders at once: nothing deadlocks, and the broker gets its messages again.
func TestNoProbeIsLostConcurrently(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := drawConfig(rt)
		plan := rapid.SliceOfN(rapid.IntRange(0, len(outcomes)-1), 100, 140).Draw(rt, "outcomes")
		var wrong string
		synctest.Test(t, func(t *testing.T) {
			w := newRandomWorld(t, cfg, func() {})
			var wg sync.WaitGroup
			const senders = 8
			for g := range senders {
				wg.Go(func() {
					for i := g; i < len(plan); i += senders {
						if err := w.meet(&outcomes[plan[i]]); errors.Is(err, core.ErrCircuitOpen) {
							time.Sleep(breaker.DefaultOpenFor / 2)
						}
					}
				})
			}
			wg.Wait()
			wrong = w.recovers(cfg.Probes)
		})
		if wrong != "" {
			rt.Error(wrong)
		}
	})
}
