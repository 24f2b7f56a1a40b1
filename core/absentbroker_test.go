package core_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// byFirstLetter keeps a sharding key at one queue, as a hash does.
func byFirstLetter() core.SelectorFactory {
	return core.SelectorFactoryFunc(func(string) core.QueueSelector { return firstLetter{} })
}

type firstLetter struct{}

func (firstLetter) Select(_ context.Context, s *core.Selection) (int, error) {
	return int(s.Message().ShardingKey[0]) % s.Len(), nil
}

func (firstLetter) RequiresConsistency(*core.Message) bool { return true }

// inTurn takes the next queue whose broker is not down.
func inTurn() core.SelectorFactory {
	return core.SelectorFactoryFunc(func(string) core.QueueSelector {
		next := 0
		return core.QueueSelectorFunc(func(_ context.Context, s *core.Selection) (int, error) {
			for next++; s.Health(next%s.Len()) == core.HealthDown; next++ {
			}
			return next % s.Len(), nil
		})
	})
}

// halfThere is a route of two queues on each of two brokers; broker-b has no address while
// absent says so.
type halfThere struct {
	absent atomic.Bool
	calls  atomic.Int64
}

func (h *halfThere) Route(context.Context, string) (*core.Route, error) {
	h.calls.Add(1)
	b := core.Broker{Name: "broker-b", Addr: "broker-b:10911"}
	if h.absent.Load() {
		b.Addr = ""
	}
	return core.NewRoute(
		[]core.Queue{{Broker: "broker-a", ID: 0}, {Broker: "broker-a", ID: 1}, {Broker: "broker-b", ID: 0}, {Broker: "broker-b", ID: 1}},
		[]core.Broker{{Name: "broker-a", Addr: "broker-a:10911"}, b},
	)
}

// An ordered topic's queues moved while a broker was away: the keys went to other queues.
// Now a key that lives there fails, certainly not sent, and the other keys stay in place.
func TestKeysDoNotMoveFromAnAbsentBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		routes, tr := &halfThere{}, &coretest.Transport{}
		var vetoes atomic.Int64
		cfg := coretest.Config(tr, core.AttemptStep("count", core.AttemptGuard, core.AttemptInterceptorFunc(
			func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
				if at.Addr() == "" {
					vetoes.Add(1)
				}
				return next(ctx, at)
			})))
		cfg.Routes, cfg.Selector, cfg.RouteRefresh = routes, byFirstLetter(), time.Second
		cfg.Retry = coretest.Retry(2)
		p := coretest.Start(t, cfg)
		keys := strings.Split("abcdefghijklmnopqrstuvwxyz", "")
		send := func(key string) (core.Result, error) {
			m := coretest.Message("x")
			m.ShardingKey = key
			return p.Send(t.Context(), m)
		}
		place := map[string]core.Queue{}
		for _, k := range keys {
			res, err := send(k)
			if err != nil {
				t.Fatal(err)
			}
			place[k] = res.Queue
		}
		routes.absent.Store(true)
		time.Sleep(2 * time.Second)
		failed := 0
		for _, k := range keys {
			res, err := send(k)
			if place[k].Broker == "broker-a" {
				if err != nil || res.Queue != place[k] {
					t.Errorf("key %s: %v, %v; it lived at %v", k, res.Queue, err, place[k])
				}
				continue
			}
			failed++
			se := sendError(t, err)
			if se.Certainty != core.NotSent || se.Class != core.ClassNetwork || !errors.Is(err, core.ErrConnect) || len(se.Attempts) != 2 {
				t.Errorf("key %s: %v, %v after %d attempts: %v", k, se.Class, se.Certainty, len(se.Attempts), err)
			}
			if !strings.Contains(err.Error(), "broker-b") {
				t.Errorf("the broker is missing in: %v", err)
			}
		}
		if failed == 0 || failed == len(keys) || vetoes.Load() != 0 {
			t.Fatalf("%d of %d keys failed, steps saw %d attempts without an address", failed, len(keys), vetoes.Load())
		}
		for _, a := range tr.Attempts() {
			if a.Addr == "" {
				t.Fatal("the transport was asked")
			}
		}
		// A failure asks for the route, so the broker is met when it is back, and not only at
		// the next refresh.
		routes.absent.Store(false)
		cfg = coretest.Config(tr)
		cfg.Routes, cfg.Selector, cfg.RouteRefresh = routes, byFirstLetter(), time.Hour
		routes.absent.Store(true)
		p = coretest.Start(t, cfg)
		gone := keys[slices.IndexFunc(keys, func(k string) bool { return place[k].Broker == "broker-b" })]
		if _, err := send(gone); err == nil {
			t.Fatal("sent to an absent broker")
		}
		routes.absent.Store(false)
		time.Sleep(time.Second)
		_, _ = send(gone)
		time.Sleep(time.Second)
		if res, err := send(gone); err != nil || res.Queue != place[gone] {
			t.Errorf("after the broker is back: %v, %v; it lived at %v", res.Queue, err, place[gone])
		}
	})
}

// A send whose queue carries no meaning does not go to an absent broker while another is
// there, and a send that names the queue tries again until its time is over.
func TestPlainSendsAvoidAnAbsentBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		routes, tr := &halfThere{}, &coretest.Transport{}
		routes.absent.Store(true)
		cfg := coretest.Config(tr)
		cfg.Routes, cfg.Selector = routes, inTurn()
		cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			return core.Decision{Retry: f.Certainty == core.NotSent, After: 50 * time.Millisecond}
		})
		p := coretest.Start(t, cfg)
		for range 20 {
			if res, err := p.Send(t.Context(), coretest.Message("x")); err != nil || res.Attempts != 1 {
				t.Errorf("%v, %d attempts", err, res.Attempts)
			}
		}
		// Nor is it somewhere else to go: the attempts are not capped for it.
		tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }
		start := time.Now()
		_, err := p.Send(t.Context(), coretest.Message("x"), core.SendRetry(coretest.Retry(2)))
		if se := sendError(t, err); len(se.Attempts) != 1 || time.Since(start) != core.DefaultTimeout {
			t.Errorf("%d attempts in %v: %v", len(se.Attempts), time.Since(start), err)
		}
		tr.Do = func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }
		untried := -1
		_, _ = p.Send(t.Context(), coretest.Message("x"), core.SendRetry(core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
			if f.Err != nil && f.Attempt == 1 {
				untried = f.Untried
			}
			return core.Decision{}
		})))
		if untried != 0 {
			t.Errorf("%d untried brokers, want none", untried)
		}
		tr.Do = nil
		m := coretest.Message("x")
		m.Queue = &core.Queue{Broker: "broker-b", ID: 1}
		go func() {
			time.Sleep(100 * time.Millisecond)
			routes.absent.Store(false)
		}()
		if res, err := p.Send(t.Context(), m); err != nil || res.Queue != *m.Queue {
			t.Errorf("a named queue, its broker is back meanwhile: %v, %v", res.Queue, err)
		}
	})
}

// A recall at an absent broker fails without the transport.
func TestRecallAtAnAbsentBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		routes, tr := &halfThere{}, &recaller{}
		routes.absent.Store(true)
		cfg := coretest.Config(tr)
		cfg.Routes = routes
		p := coretest.Start(t, cfg)
		_, err := p.Recall(t.Context(), "T", handleOf("T", "broker-b"))
		if oe := opError(t, err); oe.Certainty != core.NotSent || len(tr.asked) != 0 {
			t.Errorf("asked %q: %v", tr.asked, err)
		}
	})
}

// What a snapshot says of a broker without an address.
func TestSnapshotShowsAbsentBrokers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		routes := &halfThere{}
		routes.absent.Store(true)
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = routes
		p := coretest.Start(t, cfg)
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		s := p.Snapshot()
		if len(s.Brokers) != 2 || s.Brokers[0].Name != "broker-b" || s.Brokers[0].Addr != "" || len(s.Brokers[0].Details) != 0 {
			t.Errorf("brokers %+v", s.Brokers)
		}
	})
}
