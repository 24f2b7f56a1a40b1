package selector

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// underWay are all attempts that are counted as under way.
func underWay(ls *loads) (n int64) {
	for _, l := range ls.table.All() {
		n += l.inFlight.Load()
	}
	return n
}

// counting are selectors that count, each with others around and beside it.
func counting(t *testing.T) (fs []core.SelectorFactory, counts []*loads) {
	must := func(f core.SelectorFactory, err error) core.SelectorFactory {
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, around := range []func(a, b core.SelectorFactory) core.SelectorFactory{
		func(a, _ core.SelectorFactory) core.SelectorFactory { return a },
		func(_, b core.SelectorFactory) core.SelectorFactory { return Healthy(b) },
		func(a, _ core.SelectorFactory) core.SelectorFactory { return AvoidTried(a) },
		func(a, b core.SelectorFactory) core.SelectorFactory { return Fallback(a, b) },
		func(a, _ core.SelectorFactory) core.SelectorFactory { return Fallback(a, a) },
		func(a, b core.SelectorFactory) core.SelectorFactory {
			return Filter(Fallback(a, b), func(q core.Queue) bool { return q.Broker != "c" })
		},
		func(a, _ core.SelectorFactory) core.SelectorFactory {
			return core.SelectorFactoryFunc(func(topic string) core.QueueSelector {
				return twice{a.ForTopic(topic).(*leastSelector)}
			})
		},
		func(_, b core.SelectorFactory) core.SelectorFactory {
			return must(NewZone(ZoneConfig{Brokers: []string{"a"}, Inner: b}))
		},
		func(a, _ core.SelectorFactory) core.SelectorFactory {
			return must(NewSticky(StickyConfig{Messages: 2, Inner: a}))
		},
		func(a, b core.SelectorFactory) core.SelectorFactory {
			return must(NewHash(HashConfig{Function: HashRendezvous, Rest: Healthy(Fallback(b, a))}))
		},
	} {
		a := LeastInFlight()
		b := must(NewPowerOfTwo(PowerOfTwoConfig{}))
		fs = append(fs, around(a, b))
		counts = append(counts, a.(*leastInFlight).loads, b.(*powerOfTwo).loads)
	}
	return fs, counts
}

// twice asks twice and takes the second choice.
type twice struct{ *leastSelector }

func (s twice) Select(ctx context.Context, sel *core.Selection) (int, error) {
	if _, err := s.leastSelector.Select(ctx, sel); err != nil {
		return 0, err
	}
	return s.leastSelector.Select(ctx, sel)
}

// Whatever becomes of attempts, none of them is counted as under way afterwards, and none twice
// not: acknowledged, failed, refused, cancelled, vetoed, with a panic before and in the transport,
// one-way, to a queue that the message names, to the same queue again.
func TestAttemptsUnderWayAreBalanced(t *testing.T) {
	fs, counts := counting(t)
	for i, f := range fs {
		rapid.Check(t, func(rt *rapid.T) {
			var outcome func() (veto, panics bool, err error) // of the next attempt
			tr := &coretest.Transport{Forget: true}
			tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
				if n := underWay(counts[2*i]) + underWay(counts[2*i+1]); n < 0 || n > 2 {
					rt.Errorf("%d attempts are counted while one is under way", n)
				}
				_, panics, err := outcome()
				switch {
				case panics:
					panic("the transport")
				case err == context.Canceled:
					<-ctx.Done()
					return nil, core.ContextError(ctx)
				case err != nil:
					return nil, err
				}
				return tr.Ack(at), nil
			}
			cfg := coretest.Config(tr, core.AttemptStep("veto", core.AttemptProtect, core.AttemptInterceptorFunc(
				func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
					switch veto, panics, _ := outcome(); {
					case veto && panics:
						panic("a step")
					case veto:
						return nil, core.ErrForbidden
					}
					return next(ctx, at)
				})))
			cfg.Routes, cfg.Selector = coretest.Routes(2, "a", "b", "c"), f
			reroute := core.AvoidBroker
			cfg.Retry = core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
				return core.Decision{Retry: f.Attempt < 3, Reroute: reroute}
			})
			p := coretest.Start(t, cfg)
			for range rapid.IntRange(1, 8).Draw(rt, "sends") {
				veto, panics := rapid.Bool().Draw(rt, "veto"), rapid.Bool().Draw(rt, "panic")
				err := rapid.SampledFrom([]error{nil, core.ErrConnectionLost, core.ErrTimeout, context.Canceled}).Draw(rt, "error")
				outcome = func() (bool, bool, error) { return veto, panics, err }
				reroute = rapid.SampledFrom([]core.Reroute{core.AvoidBroker, core.AnyQueue, core.SameQueue}).Draw(rt, "reroute")
				msg := coretest.Message("x")
				switch rapid.IntRange(0, 2).Draw(rt, "kind") {
				case 1:
					msg.Queue = &core.Queue{Broker: "b", ID: 1}
				case 2:
					msg.ShardingKey = "k"
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if err == context.Canceled {
					ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
				}
				if rapid.Bool().Draw(rt, "one-way") {
					_ = p.SendOneway(ctx, msg)
				} else {
					_, _ = p.Send(ctx, msg)
				}
				cancel()
				for k, c := range counts[2*i : 2*i+2] {
					if n := underWay(c); n != 0 {
						rt.Fatalf("selector %d.%d: %d attempts are counted, and none is under way", i, k, n)
					}
				}
			}
			if err := p.Shutdown(t.Context()); err != nil {
				rt.Fatal(err)
			}
		})
	}
}

// A broker to which no route leads is forgotten.
func TestBrokersAreForgotten(t *testing.T) {
	for _, around := range []func(core.SelectorFactory) core.SelectorFactory{
		func(f core.SelectorFactory) core.SelectorFactory { return f },
		Healthy,
		func(f core.SelectorFactory) core.SelectorFactory { return Fallback(Random(), AvoidTried(f)) },
	} {
		inner := LeastInFlight().(*leastInFlight)
		f := around(inner)
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Selector = f
		p := coretest.Start(t, cfg)
		if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
		// The producer tells it of routes, so that it does not forget what is in use.
		route, err := core.NewRoute([]core.Queue{{Broker: "x"}}, []core.Broker{{Name: "x", Addr: "x:1"}})
		if err != nil {
			t.Fatal(err)
		}
		inner.loads.of(route)
		if inner.loads.table.Find(core.Broker{Addr: "x:1"}) == nil {
			t.Fatal("the broker was not met")
		}
		f.(core.RouteListener).RouteChanged(&core.RouteReport{New: route})
		f.(core.RouteListener).RouteChanged(&core.RouteReport{Old: route})
		if inner.loads.table.Find(core.Broker{Addr: "x:1"}) != nil {
			t.Errorf("%T: the broker is still known", f)
		}
	}
}

// A broker that was forgotten although its route is in use is met again, and what is learnt from
// then on is seen by the next pick.
func TestAForgottenBrokerIsMetAgain(t *testing.T) {
	f, err := NewPowerOfTwo(PowerOfTwoConfig{})
	if err != nil {
		t.Fatal(err)
	}
	power, least := f.(*powerOfTwo), LeastInFlight().(*leastInFlight)
	ps, lss := power.ForTopic("T").(*powerSelector), least.ForTopic("T").(*leastSelector)
	for _, tt := range []struct {
		s       core.QueueSelector
		loads   *loads
		brokers *perRoute[loaded]
	}{{ps, power.loads, &ps.brokers}, {lss, least.loads, &lss.brokers}} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = coretest.Routes(2, "a")
		cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { return tt.s })
		p := coretest.Start(t, cfg)
		send := func() *load {
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			return tt.loads.table.Find(core.Broker{Addr: "a:10911"})
		}
		before := send()
		tt.loads.table.RouteChanged(&core.RouteReport{}) // no route is known to lead to a
		send()
		after := send()
		if after == before {
			t.Fatal("the broker was not forgotten")
		}
		if k := tt.brokers.kept.Load(); k == nil || k.value.loads[0] != after || underWay(tt.loads) != 0 {
			t.Errorf("%T: picks go by what was forgotten", tt.s)
		}
	}
}

// elsewhere asks and goes to another broker all the same.
type elsewhere struct{ *leastSelector }

func (s elsewhere) Select(ctx context.Context, sel *core.Selection) (int, error) {
	i, err := s.leastSelector.Select(ctx, sel)
	return (i + 1) % sel.Len(), err
}

// An attempt that went elsewhere says nothing of what was worked out of the route: it stays.
func TestAnAttemptElsewhere(t *testing.T) {
	for _, b := range []core.Broker{{Name: "b", Addr: "b:1"}, {Name: "b", Addr: "a:1", Network: "tunnel"}} {
		route, err := core.NewRoute([]core.Queue{{Broker: "a"}, {Broker: "b"}}, []core.Broker{{Name: "a", Addr: "a:1"}, b})
		if err != nil {
			t.Fatal(err)
		}
		f := LeastInFlight().(*leastInFlight)
		s := elsewhere{f.ForTopic("T").(*leastSelector)}
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return route, nil })
		cfg.Selector = core.SelectorFactoryFunc(func(string) core.QueueSelector { return s })
		p := coretest.Start(t, cfg)
		var kept *routed[loaded]
		for i := range 3 {
			if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Fatal(err)
			}
			if k := s.brokers.kept.Load(); k == nil || i > 0 && k != kept || underWay(f.loads) != 0 {
				t.Errorf("b at %v: what was worked out is %p, was %p", b, k, kept)
			} else {
				kept = k
			}
		}
	}
}

// A peak estimate: longer at once, shorter by the time since the last one, and it fades.
func TestEstimate(t *testing.T) {
	d := &decay{tau: 1000}
	var e estimate
	at := func(now uint32) float64 { return e.seconds(d, now) * 1000 }
	near := func(got, want float64) {
		t.Helper()
		if got < want*0.999 || got > want*1.001 {
			t.Errorf("the estimate is %.4f ms, want %.4f", got, want)
		}
	}
	if at(5) != 0 {
		t.Error("something is known of a broker that never answered")
	}
	e.observe(d, 10, 100*time.Millisecond)
	near(at(10), 100)
	near(at(1010), 36.788) // 100/e
	e.observe(d, 10, 200*time.Millisecond)
	near(at(10), 200) // at once
	e.observe(d, 10, 50*time.Millisecond)
	near(at(10), 200) // in the same millisecond
	e.observe(d, 1010, 50*time.Millisecond)
	near(at(1010), 200*0.36788+50*(1-0.36788))
	e.observe(d, 1000, 600*time.Millisecond) // a goroutine with an older clock
	near(at(1010), 600)
	if at(4_000_000_000) <= 0 {
		t.Error("what is known has become unknown")
	}
	e = estimate{}
	e.observe(d, 4_294_967_290, time.Second)
	near(at(4), 1000*0.99005) // 10 ms later, the clock has gone round
	e = estimate{}
	if e.observe(d, 0, 0); at(0) <= 0 {
		t.Error("an answer in no time is not known")
	}
}

// The draw has each broker as often as its weight says, to the last bit.
func TestLotteryIsExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint64Range(0, maxWeight), 1, 20).Draw(rt, "weights")
		sum := uint64(0)
		for _, w := range weights {
			sum += w
		}
		if sum == 0 {
			weights[0], sum = 1, 1
		}
		columns := columnsOf(weights, sum)
		if len(columns) != len(weights) {
			rt.Fatalf("%d columns of %d weights", len(columns), len(weights))
		}
		got := make([]float64, len(weights))
		for _, c := range columns {
			share := float64(c.share) / (1 << 64)
			got[c.own] += share / float64(len(columns))
			got[c.other] += (1 - share) / float64(len(columns))
		}
		for i, w := range weights {
			if want := float64(w) / float64(sum); got[i] < want-1e-12 || got[i] > want+1e-12 {
				rt.Errorf("weight %d of %d: %v, want %v", w, sum, got[i], want)
			}
		}
	})
}
