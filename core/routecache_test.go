package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// source is a scripted name server: each look-up takes a while and gives what
// the test says.
type source struct {
	mu    sync.Mutex
	calls int
	took  time.Duration
	give  func(call int) (*core.Route, error)
}

func (s *source) Route(ctx context.Context, _ string) (*core.Route, error) {
	s.mu.Lock()
	s.calls++
	n := s.calls
	s.mu.Unlock()
	if s.took == 0 {
		return s.give(n) // and no timer that ends at once: golang/go#78156 is about those
	}
	select {
	case <-time.After(s.took):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return s.give(n)
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func routeTo(brokers ...string) *core.Route {
	r, err := coretest.Routes(1, brokers...).Route(context.Background(), "T")
	if err != nil {
		panic(err)
	}
	return r
}

func TestRouteIsLookedUpOnceForManySends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{took: time.Second, give: func(int) (*core.Route, error) { return routeTo("broker-a"), nil }}
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = src
		p := coretest.Start(t, cfg)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
					t.Error(err)
				}
			})
		}
		// One who gives up early does not take the look-up away from the rest.
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.Send(ctx, coretest.Message("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient: %v", err)
		}
		wg.Wait()
		if src.count() != 1 {
			t.Errorf("%d look-ups", src.count())
		}
	})
}

func TestRouteIsPolledAndServedStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("name server down")
		src := &source{took: time.Second, give: func(n int) (*core.Route, error) {
			switch {
			case n == 1:
				return routeTo("broker-a"), nil
			case n < 4:
				return nil, down
			case n == 4:
				return nil, core.ErrNoRoute // deleted, or its only broker is gone
			default:
				return routeTo("broker-b"), nil
			}
		}}
		tr := &coretest.Transport{}
		cfg := coretest.Config(tr)
		cfg.Routes = src
		changes := &routeLog{}
		cfg.Steps = []core.Step{core.ListenerStep("changes", changes)}
		p := coretest.Start(t, cfg)
		for range 20 {
			start := time.Now()
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 0 && src.count() > 1 {
				t.Errorf("a send waited %v for a refresh", took)
			}
			time.Sleep(10 * time.Second)
		}
		got := brokersOf(tr)
		if got[0] != "broker-a" || got[11] != "broker-a" || got[19] != "broker-b" {
			t.Errorf("sends went to %v", got)
		}
		changes.mu.Lock()
		defer changes.mu.Unlock()
		if fmt.Sprint(changes.seen) != "[T: to broker-a T: broker-a to broker-b]" {
			t.Errorf("changes %v", changes.seen)
		}
	})
}

type routeLog struct {
	mu   sync.Mutex
	seen []string
}

func (l *routeLog) RouteChanged(r *core.RouteReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := ""
	if r.Old != nil {
		old = " " + r.Old.Queue(0).Broker
	}
	l.seen = append(l.seen, fmt.Sprintf("%s:%s to %s", r.Topic, old, r.New.Queue(0).Broker))
}

func TestErrorsRefreshTheRouteAtOnce(t *testing.T) {
	tests := []struct {
		name  string
		err   func(context.Context, *core.Attempt) error
		waits bool // a retry needs the new route
		asks  bool
	}{
		{"17", code(rocketmq.CodeTopicNotExist, ""), true, true},
		{"16", code(rocketmq.CodeNoPermission, "sending is forbidden"), true, true},
		{"29, the queue is gone", code(rocketmq.CodeInvalidParameter, "request queueId[7] is illegal"), true, true},
		{"29, a bad message", code(rocketmq.CodeInvalidParameter, ""), false, false},
		{"501", code(rocketmq.CodeNotLeaderForQueue, ""), true, true},
		{"14", code(rocketmq.CodeServiceNotAvailable, ""), false, true},
		{"connect", func(context.Context, *core.Attempt) error { return core.ErrConnect }, false, true},
		{"lost", func(context.Context, *core.Attempt) error { return core.ErrConnectionLost }, false, true},
		{"timeout", func(context.Context, *core.Attempt) error { return core.ErrTimeout }, false, true},
		{"busy", code(rocketmq.CodeSystemBusy, ""), false, false},
		{"auth", code(rocketmq.CodeNoPermission, "check signature failed"), false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{took: 10 * time.Millisecond, give: func(n int) (*core.Route, error) {
					if n == 1 {
						return routeTo("old"), nil
					}
					return routeTo("new"), nil
				}}
				tr := &coretest.Transport{}
				failOn(tr, "old", tt.err)
				cfg := coretest.Config(tr)
				cfg.Routes, cfg.Retry = src, coretest.Retry(2)
				p := coretest.Start(t, cfg)
				_, err := p.Send(t.Context(), coretest.Message("x"))
				if (err == nil) != tt.waits {
					t.Errorf("the call ended with %v; did the retry wait for the new route? want %v", err, tt.waits)
				}
				time.Sleep(time.Second)
				if asked := src.count() == 2; asked != tt.asks {
					t.Errorf("%d look-ups", src.count())
				}
			})
		})
	}
}

func TestRefusalsDoNotFloodTheNameServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{give: func(int) (*core.Route, error) { return routeTo("broker-a"), nil }}
		tr := &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) {
			time.Sleep(time.Millisecond)
			return nil, core.ErrConnect
		}}
		cfg := coretest.Config(tr)
		cfg.Routes = src
		p := coretest.Start(t, cfg)
		for second, most := range []int{5, 1, 1, 1} {
			before := src.count()
			for range 1000 {
				_, _ = p.Send(t.Context(), coretest.Message("x"))
			}
			if n := src.count() - before; n < 1 || n > most {
				t.Errorf("%d look-ups in second %d of refused sends, want 1 to %d", n, second, most)
			}
		}
		// After a calm time a failure asks at once again, and the next ones soon.
		time.Sleep(20 * time.Second)
		before := src.count()
		for range 500 {
			_, _ = p.Send(t.Context(), coretest.Message("x"))
		}
		if n := src.count() - before; n != 3 {
			t.Errorf("%d look-ups in the first 0.5 s of new trouble, want 3", n)
		}
	})
}

// A broker that many topics share swallows everything: each topic's time-outs ask for its
// route, and together they ask for no more than 100 a second.
func TestTimeoutsOfManyTopicsDoNotFloodTheNameServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const topics, seconds = 300, 20
		src := &source{give: func(int) (*core.Route, error) { return routeTo("broker-a"), nil }}
		cfg := coretest.Config(&coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			return nil, coretest.Hang(ctx, at)
		}})
		cfg.Routes, cfg.Timeout, cfg.RouteRefresh = src, 100*time.Millisecond, time.Hour
		p := coretest.Start(t, cfg)
		var wg sync.WaitGroup
		for i := range topics {
			wg.Go(func() {
				for range seconds * 10 {
					_, _ = p.Send(t.Context(), &core.Message{Topic: fmt.Sprint("T", i), Body: []byte("x")})
				}
			})
		}
		wg.Wait()
		if n := src.count(); n < topics+seconds*90 || n > topics+seconds*100+10 {
			t.Errorf("%d look-ups in %d s for %d topics, want about 100 a second besides the first of each", n, seconds, topics)
		}
	})
}

// While look-ups bring something new they are not made rarer.
func TestFruitfulLookUpsStayFrequent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{give: func(n int) (*core.Route, error) { return routeTo(fmt.Sprint("broker-", n)), nil }}
		tr := &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) {
			time.Sleep(time.Millisecond)
			return nil, core.ErrConnect
		}}
		cfg := coretest.Config(tr)
		cfg.Routes = src
		p := coretest.Start(t, cfg)
		for range 2000 {
			_, _ = p.Send(t.Context(), coretest.Message("x"))
		}
		if n := src.count(); n < 18 || n > 21 {
			t.Errorf("%d look-ups in 2 s, want about 20", n)
		}
	})
}

// A look-up that is only due soon, because a broker may have moved, begins at once for a call
// that cannot go on without it.
func TestACallThatNeedsTheRouteDoesNotWaitForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{give: func(int) (*core.Route, error) { return routeTo("broker-a", "broker-b"), nil }}
		tr := &coretest.Transport{}
		failing := true
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			switch {
			case failing:
				return nil, core.ErrConnect
			case at.Queue().Broker == "broker-a":
				return nil, coretest.Refuse(at, rocketmq.CodeTopicNotExist, "")
			}
			return tr.Ack(at), nil
		}
		cfg := coretest.Config(tr)
		cfg.Routes = src
		p := coretest.Start(t, cfg)
		for range 40 {
			_, _ = p.Send(t.Context(), coretest.Message("x"))
			time.Sleep(100 * time.Millisecond)
		}
		failing = false
		start := time.Now()
		if _, err := p.Send(t.Context(), coretest.Message("x"), core.SendRetry(coretest.Retry(2))); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("the call waited %v for the look-up", took)
		}
	})
}

// A step may send the messages of one topic to several on the wire: each goes by the route of
// the one that it is sent to.
func TestTopicsThatAStepChooses(t *testing.T) {
	tr := &coretest.Transport{}
	looks := map[string]int{}
	cfg := coretest.Config(tr, core.CallStep("topic", core.StageShape, core.InterceptorFunc(
		func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			c.Outgoing().SetTopic(c.Message().Tag)
			return next(ctx, c)
		})))
	cfg.Routes = coretest.RouteFunc(func(_ context.Context, topic string) (*core.Route, error) {
		looks[topic]++
		return routeTo("broker-of-" + topic), nil
	})
	p := coretest.Start(t, cfg)
	for _, wire := range []string{"A", "A", "B", "A", "B", "B"} {
		res, err := p.Send(t.Context(), &core.Message{Topic: "T", Tag: wire, Body: []byte("x")})
		if want := "broker-of-" + wire; err != nil || res.Queue.Broker != want {
			t.Errorf("%s: %v, %v", wire, res.Queue, err)
		}
	}
	if looks["A"] != 1 || looks["B"] != 1 || len(looks) != 2 {
		t.Errorf("look-ups: %v", looks)
	}
}

func testLookUpProgress(t *testing.T, met error, class core.Class) {
	synctest.Test(t, func(t *testing.T) {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = coretest.RouteFunc(func(ctx context.Context, _ string) (*core.Route, error) {
			core.LookUpProgress(ctx, errors.New("ns-1 refused"))
			core.LookUpProgress(ctx, fmt.Errorf("ns-1 refused, ns-2 is silent: %w", met))
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
		p := coretest.Start(t, cfg)
		_, err := p.Send(t.Context(), coretest.Message("x"))
		se := sendError(t, err)
		if se.Class != class || se.Certainty != core.NotSent || !errors.Is(err, core.ErrTimeout) {
			t.Errorf("got %v, %v: %v", se.Class, se.Certainty, err)
		}
		if !strings.Contains(err.Error(), "ns-1 refused, ns-2 is silent") {
			t.Errorf("what was met is missing in: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Send(ctx, coretest.Message("x")); core.ClassOf(err) != core.ClassCanceled {
			t.Errorf("canceled: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = p.Send(ctx, coretest.Message("x"))
		if core.ClassOf(err) != class || !strings.Contains(err.Error(), "ns-2 is silent") {
			t.Errorf("with a context that ends first: %v", err)
		}
	})
	core.LookUpProgress(t.Context(), errors.New("of no look-up")) // is for nobody
}

func TestUnusedTopicsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var selectors atomic.Int32
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Selector = core.SelectorFactoryFunc(func(topic string) core.QueueSelector {
			selectors.Add(1)
			return coretest.InOrder().ForTopic(topic)
		})
		src := &source{give: func(int) (*core.Route, error) { return routeTo("broker-a"), nil }}
		cfg.Routes = src
		gone := &goneRoutes{}
		cfg.Steps = []core.Step{core.ListenerStep("gone", gone)}
		p := coretest.Start(t, cfg)
		send := func() {
			for i := range 100 {
				if _, err := p.Send(t.Context(), &core.Message{Topic: fmt.Sprint("T", i), Body: []byte("x")}); err != nil {
					t.Fatal(err)
				}
			}
		}
		send()
		send()
		if selectors.Load() != 100 {
			t.Errorf("%d selectors for 100 topics", selectors.Load())
		}
		time.Sleep(time.Hour)
		if gone.n.Load() != 100 {
			t.Errorf("listeners were told of %d forgotten topics, want 100", gone.n.Load())
		}
		before := src.count()
		time.Sleep(time.Hour)
		if after := src.count(); after != before {
			t.Errorf("forgotten topics are still polled: %d look-ups in an hour", after-before)
		}
		send()
		if selectors.Load() != 200 {
			t.Errorf("%d selectors after the topics came back", selectors.Load())
		}
	})
}

type goneRoutes struct{ n atomic.Int32 }

func (g *goneRoutes) RouteChanged(r *core.RouteReport) {
	if r.New == nil && r.Old != nil {
		g.n.Add(1)
	}
}

// A topic is forgotten at the twentieth poll in a row without a use, and one that has no route at
// the first.
func TestWhenTopicsAreForgotten(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		polls int // after the one that still sees the use
	}{"with a route": {nil, 20}, "without": {core.ErrNoRoute, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := coretest.Config(&coretest.Transport{})
				cfg.RouteRefresh = time.Second
				cfg.Routes = &source{give: func(int) (*core.Route, error) { return routeTo("broker-a"), tt.err }}
				p := coretest.Start(t, cfg)
				time.Sleep(time.Second / 2)
				if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, tt.err) {
					t.Fatal(err)
				}
				for poll := range tt.polls + 1 {
					if n := len(p.Snapshot().Topics); n != 1 {
						t.Fatalf("forgotten after %d polls", poll)
					}
					time.Sleep(time.Second)
				}
				if n := len(p.Snapshot().Topics); n != 0 {
					t.Errorf("still there after %d polls", tt.polls+1)
				}
			})
		})
	}
}

// A topic that has no route is not asked for again until somebody sends to it.
func TestUnknownTopicsAreNotPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{give: func(int) (*core.Route, error) { return nil, core.ErrNoRoute }}
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = src
		p := coretest.Start(t, cfg)
		const topics = 100
		for round := range 2 {
			for i := range topics {
				m := coretest.Message("x")
				m.Topic = fmt.Sprintf("typo-%d", i)
				if _, err := p.Send(t.Context(), m); !errors.Is(err, core.ErrNoRoute) {
					t.Fatal(err)
				}
			}
			time.Sleep(15 * time.Minute)
			if got, want := src.count(), topics*(round+1); got != want {
				t.Errorf("%d look-ups for %d sends", got, want)
			}
		}
	})
}

// balance counts for each broker the routes that lead to it, as far as it was told.
type balance struct {
	mu    sync.Mutex
	count map[string]int
}

func (b *balance) RouteChanged(r *core.RouteReport) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for by, route := range map[int]*core.Route{1: r.New, -1: r.Old} {
		if route != nil {
			for _, broker := range route.Brokers() {
				b.count[broker.Name] += by
			}
		}
	}
}

func (b *balance) of(broker string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count[broker]
}

// A send may outlive its topic's place in the cache. What it learns then is nobody's
// news: the end of the topic's routes was reported.
func TestRoutesOfAForgottenTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var brokers atomic.Value
		brokers.Store("broker-a")
		tr := &coretest.Transport{}
		tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
			if at.Number() == 1 {
				time.Sleep(40 * time.Second)
				brokers.Store("broker-b")
				return nil, core.ErrConnectionLost // the engine asks for the route anew
			}
			return tr.Ack(at), nil
		}
		b := &balance{count: map[string]int{}}
		cfg := coretest.Config(tr, core.ListenerStep("balance", b))
		cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) {
			return routeTo(brokers.Load().(string)), nil
		})
		cfg.Timeout, cfg.AttemptTimeout, cfg.RouteRefresh = time.Minute, time.Minute, time.Second
		cfg.Retry = coretest.Retry(2)
		if _, err := coretest.Start(t, cfg).Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		b.mu.Lock()
		defer b.mu.Unlock()
		for name, n := range b.count {
			if n != 0 {
				t.Errorf("%s: %+d routes are left of no topic", name, n)
			}
		}
	})
}

// A topic that somebody made read-only is written to no more, and again when it is
// writable again. A name server that knows nothing changes nothing.
func TestReadOnlyTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []error{nil, core.ErrNoRoute, fmt.Errorf("mine: %w", core.ErrNotWritable), core.ErrNotWritable, nil}
		want := []error{nil, nil, core.ErrNotWritable, core.ErrNotWritable, nil}
		var now atomic.Int64
		src := &source{give: func(int) (*core.Route, error) {
			if err := answers[now.Load()]; err != nil {
				return nil, err
			}
			return routeTo("broker-a"), nil
		}}
		b := &balance{count: map[string]int{}}
		cfg := coretest.Config(&coretest.Transport{}, core.ListenerStep("balance", b))
		cfg.Routes, cfg.RouteRefresh = src, time.Second
		p := coretest.Start(t, cfg)
		for i := range answers {
			now.Store(int64(i))
			time.Sleep(3100 * time.Millisecond) // not at the moment of a poll, which forgets a topic without a route
			if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, want[i]) || (err == nil) != (want[i] == nil) {
				t.Errorf("answer %d: %v, want %v", i, err, want[i])
			}
			synctest.Wait() // senders go on with a new route before its listeners are told
			left := 1
			if want[i] != nil {
				left = 0
			}
			if got := b.of("broker-a"); got != left {
				t.Errorf("answer %d: %d routes lead to the broker, want %d", i, got, left)
			}
		}
	})
}
