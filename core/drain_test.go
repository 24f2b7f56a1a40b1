package core_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// holding is a step that holds calls back until it is drained.
type holding struct {
	name    string
	journal *journal
	drained chan struct{}
	panics  bool
}

func newHolding(j *journal, name string) *holding {
	return &holding{name: name, journal: j, drained: make(chan struct{})}
}

func (h *holding) Drain() {
	h.journal.write("drain " + h.name)
	if h.panics {
		panic("boom")
	}
	close(h.drained)
}

func (h *holding) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	if err := c.Wait(ctx, h.drained); err != nil {
		return nil, err
	}
	return next(ctx, c)
}

func (h *holding) StateChanged(r *core.StateReport) {
	h.journal.write(h.name + " is " + r.New.String())
}

// A step that holds calls back is told once when Shutdown begins, before it waits for them,
// however often the step is placed. A panic in it is logged and holds nobody up.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, logs := &journal{}, &logLines{}
		first, second := newHolding(j, "first"), newHolding(j, "second")
		bad := &stepDrain{holding: newHolding(j, "bad")}
		bad.panics = true
		cfg := coretest.Config(&coretest.Transport{},
			core.CallStep("c.first", core.StageEncode, first),
			core.CallStep("d.first", core.StageEncode, first), // and as another step it is told of states again
			core.CallStep("b.second", core.StageEncode, second),
			core.CallStep("a.bad", core.StageGuard, bad),
		)
		cfg.Logger, cfg.Timeout = logs.logger(), time.Hour
		p, err := core.NewProducer(cfg)
		if err == nil {
			err = p.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		outcome := make(chan error, 1)
		p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { j.write("done"); outcome <- err })
		synctest.Wait()
		j.take()
		start := time.Now()
		for range 2 {
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := <-outcome; err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		j.expect(t, "shut down",
			"bad is shut down, second is shut down, first is shut down, first is shut down, drain bad, drain second, drain first, done")
		if logs.count("drain panicked") != 1 || logs.count("step=a.bad") != 1 {
			t.Errorf("logged %s", logs.buf.String())
		}
	})
}

// stepDrain passes calls on.
type stepDrain struct{ *holding }

func (*stepDrain) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

// A producer that was not started drains nothing.
func TestDrainWithoutStart(t *testing.T) {
	j := &journal{}
	p := must(core.NewProducer(coretest.Config(&coretest.Transport{}, core.CallStep("first", core.StageEncode, newHolding(j, "first")))))
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	j.expect(t, "shut down", "first is shut down")
}
