package core_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// pauses is a policy that pauses as told, one pause after the other, and notes what it is told
// of the pauses before.
type pauses struct {
	list []time.Duration
	told []time.Duration
}

func (p *pauses) Next(f *core.Failure) core.Decision {
	if f.Remaining == time.Hour { // asked ahead of any failure
		return core.Decision{}
	}
	p.told = append(p.told, f.Paused)
	if len(p.list) == 0 {
		return core.Decision{}
	}
	d := core.Decision{Retry: true, After: p.list[0]}
	p.list = p.list[1:]
	return d
}

// A policy learns how long the engine paused before the attempt that failed.
func TestPausedIsToldToThePolicy(t *testing.T) {
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		p := &pauses{list: []time.Duration{30 * ms, 0, 70 * ms, -ms}}
		cfg := coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) {
			time.Sleep(5 * ms) // the attempt is no part of the pause
			return nil, core.ErrConnectionLost
		}})
		cfg.Retry = p
		producer := coretest.Start(t, cfg)
		p.told = nil // the producer was described, and the policy asked
		start := time.Now()
		if _, err := producer.Send(t.Context(), coretest.Message("x")); err == nil {
			t.Error("no error")
		}
		if want := []time.Duration{0, 30 * ms, 0, 70 * ms, 0}; !slices.Equal(p.told, want) {
			t.Errorf("it was told of pauses of %v, want %v", p.told, want)
		}
		if took, want := time.Since(start), 125*ms; took != want {
			t.Errorf("the send took %v, want %v", took, want)
		}
		// The next call begins without a pause.
		p.told = nil
		_, _ = producer.Send(t.Context(), coretest.Message("x"))
		if want := []time.Duration{0}; !slices.Equal(p.told, want) {
			t.Errorf("of the next call it was told %v, want %v", p.told, want)
		}
	})
}

// An attempt that a breaker refused is none. The pause came before the one that was made.
func TestPausedOutlastsARefusal(t *testing.T) {
	const pause = 30 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		p := &pauses{list: []time.Duration{pause}}
		refuse := core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
			if at.Number() == 2 && at.Queue().Broker == "broker-b" {
				return nil, core.ErrCircuitOpen
			}
			return next(ctx, at)
		})
		cfg := coretest.Config(&coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) {
			return nil, core.ErrConnectionLost
		}}, core.AttemptStep("refuse", core.AttemptProtect, refuse))
		cfg.Retry, cfg.Routes = p, coretest.Routes(1, "broker-a", "broker-b", "broker-c")
		producer := coretest.Start(t, cfg)
		p.told = nil
		if _, err := producer.Send(t.Context(), coretest.Message("x")); err == nil {
			t.Error("no error")
		}
		if want := []time.Duration{0, pause}; !slices.Equal(p.told, want) {
			t.Errorf("it was told of pauses of %v, want %v", p.told, want)
		}
	})
}

// A forecast tells a policy of its own pauses too.
func TestPausedInForecasts(t *testing.T) {
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		if f.Paused >= 40*time.Millisecond {
			return core.Decision{}
		}
		return core.Decision{Retry: true, After: max(10*time.Millisecond, 2*f.Paused)}
	})
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Pipeline().Policies()[0].Failures {
		if want := 4; f.Class == core.ClassBusy && f.Attempts != want { // after 10, 20 and 40 ms
			t.Errorf("%s: %d attempts, want %d", f.Name, f.Attempts, want)
		}
	}
}
