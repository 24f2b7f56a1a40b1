package core_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func TestFixedQueue(t *testing.T) {
	tr := &coretest.Transport{}
	failOn(tr, "broker-a", code(rocketmq.CodeSystemBusy, ""))
	cfg := coretest.Config(tr)
	cfg.Retry = coretest.Retry(3)
	p := coretest.Start(t, cfg)
	m := coretest.Message("x")
	m.Queue = &core.Queue{Broker: "broker-a", ID: 1}
	if _, err := p.Send(t.Context(), m); err == nil {
		t.Error("the fixed queue's broker refused, but the send succeeded")
	}
	for _, a := range tr.Attempts() {
		if a.Queue != *m.Queue {
			t.Errorf("went to %v", a.Queue)
		}
	}
	m.Queue = &core.Queue{Broker: "broker-z", ID: 1}
	if _, err := p.Send(t.Context(), m); !errors.Is(err, core.ErrNoRoute) {
		t.Errorf("unknown queue: %v", err)
	}
}

// A fixed queue failed for 30 s after its broker was back: the route had been looked up while
// the broker was away, and was not looked up again. A queue that does not exist costs a
// look-up for each send, and no more than ten a second.
func TestFixedQueueThatTheRouteLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		var looks atomic.Int64
		both, one := coretest.Routes(2, "broker-a", "broker-b"), coretest.Routes(2, "broker-b")
		tr := &coretest.Transport{}
		cfg := coretest.Config(tr)
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			looks.Add(1)
			if away.Load() {
				return one.Route(ctx, topic)
			}
			return both.Route(ctx, topic)
		})
		p := coretest.Start(t, cfg)
		m := coretest.Message("x")
		m.Queue = &core.Queue{Broker: "broker-a", ID: 1}
		away.Store(true)
		_, err := p.Send(t.Context(), m)
		if se := sendError(t, err); !errors.Is(err, core.ErrNoRoute) || se.Certainty != core.NotSent || looks.Load() != 2 {
			t.Errorf("%v after %d look-ups", err, looks.Load())
		}
		away.Store(false)
		res, err := p.Send(t.Context(), m)
		if err != nil || res.Queue != *m.Queue {
			t.Errorf("the broker is back: %v, %v", res.Queue, err)
		}
		looks.Store(0)
		m.Queue.ID = 7
		start := time.Now()
		for range 20 {
			if _, err := p.Send(t.Context(), m); !errors.Is(err, core.ErrNoRoute) {
				t.Errorf("a queue that does not exist: %v", err)
			}
		}
		if n, most := looks.Load(), int64(time.Since(start)/(100*time.Millisecond)); n > most {
			t.Errorf("%d look-ups in %v", n, time.Since(start))
		}
		if len(tr.Attempts()) != 1 {
			t.Errorf("%d attempts", len(tr.Attempts()))
		}
		// The call does not wait for the route beyond its own time.
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
			if looks.Add(1) > 1 {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			return both.Route(ctx, topic)
		})
		looks.Store(0)
		p = coretest.Start(t, cfg)
		start = time.Now()
		if _, err = p.Send(t.Context(), m, core.SendTimeout(time.Second)); !errors.Is(err, core.ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A fixed queue that the route has costs no look-up, the route's first one neither.
func TestFixedQueueThatTheRouteHas(t *testing.T) {
	looks := 0
	cfg := coretest.Config(&coretest.Transport{})
	routes := cfg.Routes
	cfg.Routes = coretest.RouteFunc(func(ctx context.Context, topic string) (*core.Route, error) {
		looks++
		return routes.Route(ctx, topic)
	})
	p := coretest.Start(t, cfg)
	for _, q := range []core.Queue{{Broker: "broker-a", ID: 0}, {Broker: "broker-a", ID: 1}, {Broker: "broker-b", ID: 1}} {
		m := coretest.Message("x")
		m.Queue = &q
		if res, err := p.Send(t.Context(), m); err != nil || res.Queue != q {
			t.Errorf("%v: %v, %v", q, res.Queue, err)
		}
	}
	if looks != 1 {
		t.Errorf("%d look-ups", looks)
	}
}
