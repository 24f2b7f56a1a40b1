package core_test

import (
	"context"
	"strings"
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

// finishing is a step that has something left when the calls have ended.
type finishing struct {
	*stepDrain
	finish func(ctx context.Context)
}

func (f *finishing) Finish(ctx context.Context) {
	f.finish(ctx)
	f.journal.write(f.name + " finished")
}

func (*finishing) Start(context.Context) error { return nil }

func (f *finishing) Shutdown(context.Context) error {
	f.journal.write("shut down " + f.name)
	return nil
}

// Steps finish what they have left when calls and handlers have ended and before services do,
// side by side, for as long as Shutdown's context lasts.
func TestFinish(t *testing.T) {
	type key struct{}
	sleeps := func(d time.Duration) func(context.Context) { return func(context.Context) { time.Sleep(d) } }
	for name, tt := range map[string]struct {
		finish func(ctx context.Context)
		took   time.Duration
		want   string // a part of the error
		last   string // of the journal
	}{
		"in time": {sleeps(20 * time.Second), 25 * time.Second, "", "quick finished, slow finished, shut down slow, shut down quick"},
		"ends with the context": {
			func(ctx context.Context) {
				if d, ok := ctx.Deadline(); !ok || time.Until(d) != 25*time.Second || ctx.Value(key{}) != "mine" {
					t.Errorf("it has %v", time.Until(d))
				}
				<-ctx.Done()
			}, 30 * time.Second, "", "quick finished, slow finished, shut down slow, shut down quick",
		},
		"too slow": {sleeps(time.Hour), 30*time.Second + 25*time.Millisecond, "left behind Finish of step b.slow: context deadline exceeded", "quick finished, shut down slow, shut down quick"},
		"panics":   {func(context.Context) { panic("boom") }, 15 * time.Second, "panic in Finish of step b.slow: boom", "quick finished, shut down slow, shut down quick"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &journal{}
				slow := &finishing{&stepDrain{newHolding(j, "slow")}, tt.finish}
				quick := &finishing{&stepDrain{newHolding(j, "quick")}, sleeps(10 * time.Second)}
				m := &mailman{}
				cfg := coretest.Config(m,
					core.CallStep("a.quick", core.StageGuard, quick),
					core.CallStep("b.slow", core.StageEncode, slow),
					core.CallStep("c.slow", core.StageEncode, slow),
				)
				cfg.Handlers = check(func(context.Context, *core.ServerRequest) {
					time.Sleep(5 * time.Second)
					j.write("handled")
				})
				p, err := core.NewProducer(cfg)
				if err == nil {
					err = p.Start(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				p.SendAsync(t.Context(), coretest.Message("x"), func(core.Result, error) {
					time.Sleep(time.Second)
					j.write("done")
				})
				if err := m.inbox.Deliver(request("x")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				j.take()
				ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "mine"), 30*time.Second)
				defer cancel()
				began := time.Now()
				err = p.Shutdown(ctx)
				if took := time.Since(began); took != tt.took { // the handler has had five seconds of it
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
				j.expect(t, "shut down", "quick is shut down, slow is shut down, slow is shut down, drain quick, drain slow, done, handled, "+tt.last)
				time.Sleep(2 * time.Hour) // let it go, or the bubble does not end
			})
		})
	}
}
