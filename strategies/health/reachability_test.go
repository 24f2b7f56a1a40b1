package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/strategytest"
)

// probes is a probe of the program's own that notes when which broker was asked.
type probes struct {
	mu      sync.Mutex
	start   time.Time
	asked   []string // "broker-a 1s"
	now     int
	most    int // at once
	ask     func(ctx context.Context, b core.Broker) error
	perName map[string]int
}

func (p *probes) probe(ctx context.Context, b core.Broker) error {
	p.mu.Lock()
	if p.perName == nil {
		p.perName = map[string]int{}
	}
	p.perName[b.Name]++
	p.asked = append(p.asked, fmt.Sprintf("%s %v", b.Name, time.Since(p.start)))
	p.now++
	p.most = max(p.most, p.now)
	ask := p.ask
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.now--
	}()
	return ask(ctx, b)
}

// set changes what a probe does.
func (p *probes) set(ask func(ctx context.Context, b core.Broker) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ask = ask
}

// take gives what was asked since the last take, with times from now on.
func (p *probes) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.asked
	p.asked, p.start = nil, time.Now()
	return out
}

var errNoWay = errors.New("no way there")

func unreachable(context.Context, core.Broker) error { return errNoWay }
func reachable(context.Context, core.Broker) error   { return nil }

// silent is a probe that ends with its ctx alone.
func silent(ctx context.Context, _ core.Broker) error {
	<-ctx.Done()
	return ctx.Err()
}

// reach is a world with a Reachability.
type reach struct {
	world
	r *health.Reachability
	*probes
}

// inReach runs f in virtual time. Without a change of cfg the probe is the program's own.
func inReach(t *testing.T, cfg health.ReachabilityConfig, f func(w *reach), brokers ...string) {
	t.Helper()
	if brokers == nil {
		brokers = []string{"broker-a", "broker-b"}
	}
	synctest.Test(t, func(t *testing.T) {
		p := &probes{start: time.Now(), ask: unreachable}
		if cfg.Probe == nil {
			cfg.Probe = p.probe
		}
		r, err := health.NewReachability(cfg)
		if err != nil {
			t.Fatal(err)
		}
		tr := &script{}
		c := coretest.Config(tr)
		c.Health, c.Routes = r, coretest.Routes(1, brokers...)
		f(&reach{world{t, tr, nil, coretest.Start(t, c)}, r, p})
	})
}

func (w *reach) expect(want core.Health) {
	w.t.Helper()
	synctest.Wait()
	if got := w.r.Health(brokerA); got != want {
		w.t.Errorf("broker-a is %v, want %v", got, want)
	}
	if got := w.r.Health(brokerB); got != core.HealthGood {
		w.t.Errorf("broker-b is %v", got)
	}
}

func (w *reach) expectProbes(want ...string) {
	w.t.Helper()
	synctest.Wait()
	if got := w.take(); !slices.Equal(got, want) {
		w.t.Errorf("probes %q, want %q", got, want)
	}
}

func TestProbesUntilReachable(t *testing.T) {
	inReach(t, health.ReachabilityConfig{}, func(w *reach) {
		w.send(w.t.Context(), 0, nil)
		time.Sleep(time.Hour)
		w.expectProbes() // nothing was wrong
		w.expect(core.HealthGood)

		w.send(w.t.Context(), 0, core.ErrConnect)
		w.expect(core.HealthDown)
		time.Sleep(2500 * ms)
		w.expectProbes("broker-a 0s", "broker-a 1s", "broker-a 2s")
		w.set(reachable)
		w.expect(core.HealthDown)
		time.Sleep(500 * ms)
		w.expect(core.HealthGood)
		time.Sleep(time.Hour)
		w.expectProbes("broker-a 500ms")
	})
}

// A failure that was chance costs one probe.
func TestFirstProbeComesAtOnce(t *testing.T) {
	inReach(t, health.ReachabilityConfig{}, func(w *reach) {
		w.set(reachable)
		w.send(w.t.Context(), 0, core.ErrConnectionLost)
		w.expect(core.HealthGood)
		w.expectProbes("broker-a 0s")
		// The next failure is followed by a probe when the interval is over.
		w.send(w.t.Context(), 300*ms, core.ErrConnectionLost)
		w.expect(core.HealthDown)
		time.Sleep(700 * ms)
		w.expect(core.HealthGood)
		w.expectProbes("broker-a 1s")
	})
}

func TestAnswerMakesGood(t *testing.T) {
	for name, err := range map[string]error{
		"stored":          nil,
		"busy":            refusal.Of(rocketmq.CodeSystemBusy, "", brokerA.Addr),
		"message refused": refusal.Of(rocketmq.CodeMessageIllegal, "", brokerA.Addr),
	} {
		t.Run(name, func(t *testing.T) {
			inReach(t, health.ReachabilityConfig{}, func(w *reach) {
				w.send(w.t.Context(), 0, core.ErrConnect)
				w.expect(core.HealthDown)
				w.send(w.t.Context(), 10*ms, err)
				w.expect(core.HealthGood)
				w.take()
				time.Sleep(time.Hour)
				w.expectProbes()
			})
		})
	}
}

// Where the probe goes another way than the messages it may be wrong for ever.
func TestDownEnds(t *testing.T) {
	inReach(t, health.ReachabilityConfig{MaxDown: 10 * time.Second, Interval: 4 * time.Second}, func(w *reach) {
		w.send(w.t.Context(), 0, core.ErrConnect)
		time.Sleep(3 * time.Second)
		w.send(w.t.Context(), 0, core.ErrConnect) // it begins anew
		time.Sleep(10*time.Second - ms)
		w.expect(core.HealthDown)
		time.Sleep(ms)
		w.expect(core.HealthGood)
		w.expectProbes("broker-a 0s", "broker-a 4s", "broker-a 8s", "broker-a 12s")
		time.Sleep(time.Hour)
		w.expectProbes()
	})
}

// What makes a broker unreachable, with a probe of the program's own and without.
func TestWhatIsUnreachable(t *testing.T) {
	canceled := func(w *reach) {
		ctx, cancel := context.WithCancel(w.t.Context())
		time.AfterFunc(2*time.Second, cancel)
		w.tr.hang = true
		w.send(ctx, 0, nil)
	}
	const down, good = core.HealthDown, core.HealthGood
	for _, tt := range []struct {
		name       string
		meet       func(w *reach)
		own, plain core.Health
	}{
		{"no connection", func(w *reach) { w.send(w.t.Context(), 0, core.ErrConnect) }, down, down},
		{"connection lost", func(w *reach) { w.send(w.t.Context(), 0, core.ErrConnectionLost) }, down, down},
		{"the network's own error", func(w *reach) { w.send(w.t.Context(), 0, &net.OpError{Op: "read", Err: errNoWay}) }, down, down},
		{"time-out", func(w *reach) { w.tr.hang = true; w.send(w.t.Context(), 0, nil) }, down, good},
		{"time-out of an impatient caller", func(w *reach) {
			ctx, cancel := context.WithTimeout(w.t.Context(), 499*ms)
			defer cancel()
			w.tr.hang = true
			w.send(ctx, 0, nil)
		}, good, good},
		{"time-out of one who knows that it needs less", func(w *reach) {
			for range 20 {
				w.send(w.t.Context(), 80*ms, nil)
			}
			ctx, cancel := context.WithTimeout(w.t.Context(), 120*ms)
			defer cancel()
			w.tr.hang = true
			w.send(ctx, 0, nil)
		}, down, good},
		{"cancelled", canceled, good, good},
		{"busy", func(w *reach) { w.send(w.t.Context(), 0, refusal.Of(rocketmq.CodeSystemBusy, "", brokerA.Addr)) }, good, good},
		{"busy, by a transport's word", func(w *reach) { w.send(w.t.Context(), 0, classified(core.ClassBusy)) }, good, good},
		{"unavailable, by a transport's word", func(w *reach) { w.send(w.t.Context(), 0, classified(core.ClassUnavailable)) }, good, good},
		{"unexplained, by a transport's word", func(w *reach) { w.send(w.t.Context(), 0, classified(core.ClassBroker)) }, good, good},
		{"a server behind it, by its word", func(w *reach) {
			w.send(w.t.Context(), 0, &core.BrokerError{Class: core.ClassNetwork, Certainty: core.MaybeStored, Addr: brokerA.Addr})
		}, good, good},
		{"time-out, where refusals alone were quick", func(w *reach) {
			for range 20 {
				w.send(w.t.Context(), 300*ms, nil)
			}
			for range 100 {
				w.send(w.t.Context(), ms, refusal.Of(rocketmq.CodeMessageIllegal, "", brokerA.Addr))
			}
			ctx, cancel := context.WithTimeout(w.t.Context(), 200*ms)
			defer cancel()
			w.tr.hang = true
			w.send(ctx, 0, nil)
		}, good, good},
		{"message refused", func(w *reach) { w.send(w.t.Context(), 0, refusal.Of(rocketmq.CodeMessageIllegal, "", brokerA.Addr)) }, good, good},
		{"forbidden", func(w *reach) { w.send(w.t.Context(), 0, core.ErrForbidden) }, good, good},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inReach(t, health.ReachabilityConfig{}, func(w *reach) {
				tt.meet(w)
				w.expect(tt.own)
			})
			synctest.Test(t, func(t *testing.T) {
				// It is not started: a probe would dial a real address.
				r, err := health.NewReachability(health.ReachabilityConfig{})
				if err != nil {
					t.Fatal(err)
				}
				tr := &script{}
				c := coretest.Config(tr)
				c.Health = unstarted{r}
				w := &reach{world{t, tr, nil, coretest.Start(t, c)}, r, nil}
				tt.meet(w)
				w.expect(tt.plain)
			})
		})
	}
}

// A veto proves nothing, whatever its error looks like.
func TestVetoIsNoFailure(t *testing.T) {
	r, err := health.NewReachability(health.ReachabilityConfig{Probe: unreachable})
	if err != nil {
		t.Fatal(err)
	}
	c := coretest.Config(&script{}, core.AttemptStep("veto", core.AttemptWire, core.AttemptInterceptorFunc(
		func(context.Context, *core.Attempt, core.AttemptHandler) (*core.Result, error) {
			return nil, core.ErrConnect
		})))
	c.Health, c.Routes = r, coretest.Routes(1, "broker-a")
	if _, err := coretest.Start(t, c).Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrConnect) {
		t.Errorf("got %v", err)
	}
	if got := r.Health(brokerA); got != core.HealthGood {
		t.Errorf("after a veto it is %v", got)
	}
}

// classified is an error that names its class, as transports without broker errors have it.
type classified core.Class

func (c classified) Error() string          { return core.Class(c).String() }
func (c classified) ErrorClass() core.Class { return core.Class(c) }

// unstarted is the view without its life.
type unstarted struct{ r *health.Reachability }

func (u unstarted) Health(b core.Broker) core.Health { return u.r.Health(b) }
func (u unstarted) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	u.r.AttemptDone(ctx, r)
}

// A broker in a network of its client's is found by a probe of the program's own alone.
func TestNetworksOfOnesOwn(t *testing.T) {
	tunnelled := brokerA
	tunnelled.Network = "tunnel"
	route, err := core.NewRoute([]core.Queue{{Broker: "broker-a"}}, []core.Broker{tunnelled})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		probe func(context.Context, core.Broker) error
		want  core.Health
	}{{nil, core.HealthGood}, {unreachable, core.HealthDown}} {
		r, err := health.NewReachability(health.ReachabilityConfig{Probe: tt.probe})
		if err != nil {
			t.Fatal(err)
		}
		c := coretest.Config(&script{err: core.ErrConnect})
		c.Health = r
		c.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return route, nil })
		_, _ = coretest.Start(t, c).Send(t.Context(), coretest.Message("x"))
		if got := r.Health(tunnelled); got != tt.want {
			t.Errorf("own probe %v: it is %v, want %v", tt.probe != nil, got, tt.want)
		}
		if got := r.Health(brokerA); got != core.HealthGood {
			t.Errorf("its namesake in the common network is %v", got)
		}
	}
}

// A failure that comes while a probe is under way is newer than what the probe finds.
func TestFailureDuringAProbe(t *testing.T) {
	inReach(t, health.ReachabilityConfig{}, func(w *reach) {
		w.set(func(context.Context, core.Broker) error { time.Sleep(200 * ms); return nil })
		w.send(w.t.Context(), 0, core.ErrConnect)
		time.Sleep(100 * ms)
		w.send(w.t.Context(), 0, core.ErrConnect)
		time.Sleep(200 * ms)
		w.expect(core.HealthDown)
		time.Sleep(time.Second)
		w.expect(core.HealthGood)
	})
}

// Without a function the probe is a connection.
func TestProbeByDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := health.NewReachability(health.ReachabilityConfig{})
	if err != nil {
		t.Fatal(err)
	}
	c := coretest.Config(&script{err: core.ErrConnect})
	c.Health, c.Routes = r, at(t, l.Addr().String())
	p := coretest.Start(t, c)
	_, _ = p.Send(t.Context(), coretest.Message("x"))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the probe sent %d bytes, %v; want the end of the connection", n, err)
	}
	_ = conn.Close()
	b := core.Broker{Name: "broker-a", Addr: l.Addr().String()}
	for until := time.Now().Add(time.Minute); r.Health(b) != core.HealthGood; time.Sleep(ms) {
		if time.Now().After(until) {
			t.Fatal("the probe that succeeded did not make it good")
		}
	}
}

func TestDial(t *testing.T) {
	b := core.Broker{Name: "broker-a", Addr: "10.0.0.1:10911"}
	here, there := net.Pipe()
	defer there.Close()
	dial := func(_ context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp" || addr != b.Addr {
			t.Errorf("it dials %s %s", network, addr)
		}
		return here, nil
	}
	if err := health.Dial(dial)(t.Context(), b); err != nil {
		t.Error(err)
	}
	if _, err := there.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
	failing := func(context.Context, string, string) (net.Conn, error) { return nil, errNoWay }
	if err := health.Dial(failing)(t.Context(), b); !errors.Is(err, errNoWay) {
		t.Errorf("got %v", err)
	}
}

func TestReachabilityConfig(t *testing.T) {
	_, err := health.NewReachability(health.ReachabilityConfig{Interval: 5, Timeout: -1, MaxProbes: -1, MaxDown: math.MaxInt64})
	for _, want := range []string{"reachability health: ", "Interval is 5ns", "Timeout is negative", "MaxProbes is negative", "MaxDown is 2562047h"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, cfg := range []health.ReachabilityConfig{
		{Interval: ms, Timeout: ms, MaxProbes: 1, MaxDown: ms},
		{Interval: 24 * time.Hour, Timeout: 24 * time.Hour, MaxProbes: 1000, MaxDown: 24 * time.Hour},
	} {
		if _, err := health.NewReachability(cfg); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if _, err := health.NewReachability(health.ReachabilityConfig{MaxProbes: 1001}); err == nil {
		t.Error("1001 probes at once were accepted")
	}
	const text = `{"interval":"2s","timeout":"200ms","maxProbes":4,"maxDown":"30s"}`
	var cfg health.ReachabilityConfig
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	if back, err := json.Marshal(cfg); err != nil || string(back) != text {
		t.Errorf("%s became %s, %v", text, back, err)
	}
}

func TestReachabilityDescription(t *testing.T) {
	for _, tt := range []struct {
		cfg  health.ReachabilityConfig
		want string
	}{
		{health.ReachabilityConfig{}, "reachability (down after no or lost connection, probe a TCP connection, probed at once and then every 1s for up to 500ms while it is down; 8 brokers at a time, good after a probe or an attempt that succeeds; or 1m0s after the last failure)"},
		{
			health.ReachabilityConfig{Probe: reachable, Interval: 2 * time.Second, Timeout: time.Second, MaxProbes: 3, MaxDown: time.Hour},
			"reachability (down after no or lost connection; time-outs of 50ms or more, if the broker lately needed less, probe a function of the program's own, probed at once and then every 2s for up to 1s while it is down; 3 brokers at a time, good after a probe or an attempt that succeeds; or 1h0m0s after the last failure)",
		},
	} {
		r, err := health.NewReachability(tt.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := core.Describe(r).String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestReachabilityAllocatesNothing(t *testing.T) {
	inReach(t, health.ReachabilityConfig{}, func(w *reach) {
		w.send(w.t.Context(), 0, core.ErrConnect)
		w.expect(core.HealthDown)
		both := []core.HealthView{w.r, health.Worst(fixed(core.HealthGood), w.r), health.First(fixed(core.HealthGood), w.r)}
		for _, v := range both {
			if n := testing.AllocsPerRun(100, func() { v.Health(brokerA); v.Health(brokerB) }); n != 0 {
				t.Errorf("%T: %v allocations, want 0", v, n)
			}
		}
	})
}

func TestKit(t *testing.T) {
	newView := func() *health.Reachability {
		r, err := health.NewReachability(health.ReachabilityConfig{Probe: unreachable})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, view := range map[string]func() core.HealthView{
		"reachability": func() core.HealthView { return newView() },
		"worst":        func() core.HealthView { return health.Worst(newView(), newView()) },
		"first":        func() core.HealthView { return health.First(newView(), newView()) },
	} {
		t.Run(name, func(t *testing.T) {
			strategytest.TestHealth(t, func() (core.HealthView, []core.Step) { return view(), nil }, strategytest.HealthOptions{Failures: 1})
		})
	}
}
