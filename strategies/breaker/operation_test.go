package breaker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// recaller is a transport that can take messages back.
type recaller struct {
	core.Transport

	mu    sync.Mutex
	do    func(ctx context.Context, op *core.Operation) error
	asked int
}

func (r *recaller) Recall(ctx context.Context, op *core.Operation, _ string) (string, error) {
	op.MarkWritten()
	r.mu.Lock()
	r.asked++
	do := r.do
	r.mu.Unlock()
	if err := do(ctx, op); err != nil {
		return "", err
	}
	return "id", nil
}

func (r *recaller) set(do func(context.Context, *core.Operation) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.do = do
}

func (r *recaller) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// handle names a message at broker-a.
var handle = rocketmq.RecallHandle{Topic: "T", Broker: "broker-a", DeliverAt: time.UnixMilli(0), MessageID: "id"}.String()

// inRecallBubble runs f in virtual time with a transport that can recall; recall makes one
// recall of a message at broker-a.
func inRecallBubble(t *testing.T, change func(*core.Config), f func(w *world, r *recaller, recall func() error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &recaller{}
		w := newWorld(t, breaker.Config{}, func(c *core.Config) {
			r.Transport, c.Transport = c.Transport, r
			if change != nil {
				change(c)
			}
		})
		f(w, r, func() error {
			_, err := w.p.Recall(w.Context(), "T", handle)
			return err
		})
	})
}

func done(context.Context, *core.Operation) error { return nil }

func failing(err error) func(context.Context, *core.Operation) error {
	return func(context.Context, *core.Operation) error { return err }
}

// A recall failed for 5 s after its broker was back, because the breaker was still open: no
// other broker can carry it out, so it passes, and a success closes.
func TestOperationsPassAnOpenBreaker(t *testing.T) {
	for name, brokers := range map[string][]string{"one of two": {"broker-a", "broker-b"}, "the only one": {"broker-a"}} {
		t.Run(name, func(t *testing.T) {
			inRecallBubble(t, func(c *core.Config) { c.Routes = coretest.Routes(1, brokers...) }, func(w *world, r *recaller, recall func() error) {
				w.open()
				r.set(failing(core.ErrConnect))
				err := recall()
				var oe *core.OperationError
				if !errors.As(err, &oe) || oe.Class != core.ClassNetwork || oe.Addr != brokerA.Addr {
					t.Errorf("got %v, want the broker's own failure", err)
				}
				w.expect(breaker.Open)
				r.set(done)
				if err := recall(); err != nil {
					t.Errorf("the broker is back: %v", err)
				}
				w.expect(breaker.Closed)
				if r.count() != 2 {
					t.Errorf("%d recalls reached the transport", r.count())
				}
			})
		})
	}
}

// An operation counts like an attempt.
func TestOperationsCount(t *testing.T) {
	answer := func(code rocketmq.ResponseCode) error { return refusal.Of(code, "", brokerA.Addr) }
	for _, tt := range []struct {
		name string
		do   func(context.Context, *core.Operation) error
		want breaker.State
	}{
		{"done", done, breaker.Closed},
		{"connect", failing(core.ErrConnect), breaker.Open},
		{"connection lost", failing(core.ErrConnectionLost), breaker.Open},
		{"busy", failing(answer(rocketmq.CodeSystemBusy)), breaker.Open},
		{"unexplained", failing(answer(rocketmq.CodeSystemError)), breaker.Open},
		{"refused", failing(answer(rocketmq.CodeIllegalOperation)), breaker.Closed},
		{"not supported by the broker", failing(answer(rocketmq.CodeRequestCodeNotSupported)), breaker.Closed},
		{"not supported by the transport", failing(core.ErrUnsupported), breaker.Closed},
		{"aborted", failing(core.ErrAborted), breaker.Closed},
		{"panic", func(context.Context, *core.Operation) error { panic("x") }, breaker.Closed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inRecallBubble(t, nil, func(w *world, r *recaller, recall func() error) {
				r.set(tt.do)
				for range 5 {
					_ = recall()
				}
				w.expect(tt.want)
				if r.count() != 5 {
					t.Errorf("%d of 5 recalls reached the transport", r.count())
				}
			})
		})
	}
	t.Run("a success among failures", func(t *testing.T) {
		inRecallBubble(t, nil, func(w *world, r *recaller, recall func() error) {
			r.set(done)
			w.times(4, refused)
			_ = recall()
			w.times(4, refused)
			w.expect(breaker.Closed)
			w.times(1, refused)
			w.expect(breaker.Open)
		})
	})
	t.Run("hung", func(t *testing.T) {
		inRecallBubble(t, nil, func(w *world, r *recaller, recall func() error) {
			r.set(func(ctx context.Context, _ *core.Operation) error {
				<-ctx.Done()
				return core.ContextError(ctx)
			})
			if err := recall(); !errors.Is(err, core.ErrTimeout) {
				t.Errorf("got %v, want a time-out", err)
			}
			w.expect(breaker.Open)
		})
	})
}

// The end of a probe is told on every path.
func TestOperationAsProbe(t *testing.T) {
	inRecallBubble(t, nil, func(w *world, r *recaller, recall func() error) {
		w.halfOpen()
		for _, do := range []func(context.Context, *core.Operation) error{
			func(context.Context, *core.Operation) error { panic("x") },
			failing(core.ErrAborted),
			failing(refusal.Of(rocketmq.CodeIllegalOperation, "", brokerA.Addr)),
		} {
			r.set(do)
			_ = recall()
			w.expect(breaker.HalfOpen)
			if got := w.breakers.Health(brokerA); got != core.HealthGood {
				t.Errorf("health %v, the probe's place was not given back", got)
			}
		}
		r.set(failing(core.ErrConnect))
		_ = recall()
		w.expect(breaker.Open)
	})
	// A second operation during the probe passes, and what the probe says later is void.
	inRecallBubble(t, nil, func(w *world, r *recaller, recall func() error) {
		w.halfOpen()
		r.set(func(context.Context, *core.Operation) error { time.Sleep(time.Second); return core.ErrConnect })
		probe := make(chan error, 1)
		go func() { probe <- recall() }()
		synctest.Wait()
		r.set(done)
		if err := recall(); err != nil {
			t.Errorf("second operation during the probe: %v", err)
		}
		w.expect(breaker.Closed)
		if err := <-probe; !errors.Is(err, core.ErrConnect) {
			t.Errorf("the probe gave %v", err)
		}
		w.expect(breaker.Closed)
	})
}

// A veto further in proves nothing, whatever its error is.
func TestVetoOfAnOperation(t *testing.T) {
	inRecallBubble(t, func(c *core.Config) {
		c.Steps = append(c.Steps, core.AttemptStep("veto", core.AttemptWire, veto{}))
	}, func(w *world, r *recaller, recall func() error) {
		for range 10 {
			if err := recall(); !errors.Is(err, core.ErrConnect) {
				t.Errorf("got %v", err)
			}
		}
		w.expect(breaker.Closed)
		if r.count() != 0 {
			t.Errorf("%d recalls reached the transport", r.count())
		}
	})
}

// both are breakers in a step of both scopes. Operations meet such a step in message scope,
// where their broker is not known yet.
type both struct{ *breaker.Breakers }

func (both) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

func TestOperationWithoutABroker(t *testing.T) {
	b, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	inRecallBubble(t, func(c *core.Config) {
		c.Steps = append(c.Steps, core.CallStep("both", core.StageGuard, both{b}).WithAttempt(core.AttemptProtect, both{b}))
	}, func(_ *world, r *recaller, recall func() error) {
		r.set(failing(core.ErrConnect))
		for range 10 {
			_ = recall()
		}
		if got := b.States(); len(got) != 0 {
			t.Errorf("a broker that is not known has the state %+v", got)
		}
	})
}

// veto refuses operations, and no attempts.
type veto struct{}

func (veto) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	return next(ctx, at)
}

func (veto) InterceptOperation(context.Context, *core.Operation, core.OperationHandler) error {
	return core.ErrConnect
}
