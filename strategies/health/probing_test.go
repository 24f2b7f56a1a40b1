package health_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/health"
)

// Many brokers are down at once: so many probes run as may, each broker has its turn, and none
// is asked twice at once.
func TestProbesAreBounded(t *testing.T) {
	var brokers []string
	for i := range 10 {
		brokers = append(brokers, fmt.Sprintf("broker-%d", i))
	}
	inReach(t, health.ReachabilityConfig{MaxProbes: 3, Timeout: 400 * ms, MaxDown: time.Hour}, func(w *reach) {
		w.set(silent)
		w.tr.err = core.ErrConnect
		for _, b := range brokers {
			msg := coretest.Message("x")
			msg.Queue = &core.Queue{Broker: b}
			_, _ = w.p.Send(w.t.Context(), msg)
		}
		// 3 places and 400 ms a probe: 75 probes in 10 s, of which each broker wants 10.
		time.Sleep(10*time.Second - ms)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.most != 3 {
			t.Errorf("%d probes ran at once, want 3", w.most)
		}
		for _, b := range brokers {
			if n := w.perName[b]; n < 7 || n > 8 {
				t.Errorf("%s was probed %d times of 75, want 7 or 8: %v", b, n, w.perName)
			}
		}
	}, brokers...)
}

// A probe has its time, and a broker one probe at a time.
func TestProbeTimesOut(t *testing.T) {
	inReach(t, health.ReachabilityConfig{Timeout: 2500 * ms}, func(w *reach) {
		w.set(silent)
		w.send(w.t.Context(), 0, core.ErrConnect)
		time.Sleep(4 * time.Second)
		w.expectProbes("broker-a 0s", "broker-a 2.5s")
		if w.most != 1 {
			t.Errorf("%d probes of one broker at once", w.most)
		}
		want := []core.Setting{{Name: "reachability", Value: "down"}, {Name: "last probe", Value: "failed: context deadline exceeded"}}
		if got := w.r.BrokerReport(brokerA); !slices.Equal(got, want) {
			t.Errorf("it reports %v, want %v", got, want)
		}
	})
}

// The program's function may do what it likes.
func TestProbeThatBreaks(t *testing.T) {
	inReach(t, health.ReachabilityConfig{MaxProbes: 1}, func(w *reach) {
		w.set(func(context.Context, core.Broker) error { panic("boom") })
		w.send(w.t.Context(), 0, core.ErrConnect)
		w.expect(core.HealthDown)
		if got := w.r.BrokerReport(brokerA); len(got) != 2 || got[1].Value != "failed: the probe panicked: boom" {
			t.Errorf("it reports %v", got)
		}
		w.set(func(context.Context, core.Broker) error { runtime.Goexit(); return nil })
		time.Sleep(1500 * ms)
		w.expect(core.HealthDown)
		w.set(reachable)
		time.Sleep(time.Second)
		w.expect(core.HealthGood)
		w.expectProbes("broker-a 0s", "broker-a 1s", "broker-a 2s")
		want := []core.Setting{{Name: "reachability", Value: "good"}, {Name: "last probe", Value: "succeeded"}}
		if got := w.r.BrokerReport(brokerA); !slices.Equal(got, want) {
			t.Errorf("it reports %v, want %v", got, want)
		}
	})
}

// A broker to which no route leads is not asked any more.
func TestForgottenIsNotProbed(t *testing.T) {
	inReach(t, health.ReachabilityConfig{}, func(w *reach) {
		w.send(w.t.Context(), 0, core.ErrConnect)
		time.Sleep(1500 * ms)
		w.expectProbes("broker-a 0s", "broker-a 1s")
		route := func(brokers ...string) *core.Route {
			r, err := coretest.Routes(1, brokers...).Route(w.t.Context(), "T")
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		w.r.RouteChanged(&core.RouteReport{Topic: "T", Old: route("broker-a", "broker-b"), New: route("broker-b")})
		w.expect(core.HealthGood)
		time.Sleep(time.Minute)
		w.expectProbes()
		if got := w.r.BrokerReport(brokerA); got != nil {
			t.Errorf("of a broker that it forgot it says %v", got)
		}
	})
}

// started makes a view and starts it as often as told.
func started(t *testing.T, p *probes, n int) *health.Reachability {
	t.Helper()
	r, err := health.NewReachability(health.ReachabilityConfig{Probe: p.probe})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// fail makes one attempt at broker-a that is not answered.
func fail(t *testing.T, r *health.Reachability) {
	t.Helper()
	c := coretest.Config(&script{err: core.ErrConnect})
	c.Health = unstarted{r}
	msg := coretest.Message("x")
	msg.Queue = &core.Queue{Broker: "broker-a"}
	_, _ = coretest.Start(t, c).Send(t.Context(), msg)
	synctest.Wait()
}

// Shutdown ends the probes under way and waits for them.
func TestShutdownJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &probes{start: time.Now(), ask: func(ctx context.Context, b core.Broker) error {
			<-ctx.Done()
			time.Sleep(50 * ms) // it has to tidy up
			return ctx.Err()
		}}
		r := started(t, p, 1)
		fail(t, r)
		start := time.Now()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 50*ms || p.now != 0 {
			t.Errorf("it took %v, and %d probes are under way", took, p.now)
		}
		if got := r.BrokerReport(brokerA); len(got) != 1 {
			t.Errorf("the end of a probe by Shutdown says nothing of the broker: %v", got)
		}
		time.Sleep(time.Hour)
		if got := p.take(); len(got) != 1 {
			t.Errorf("probes %q", got)
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Errorf("a second one: %v", err)
		}
	})
}

// A probe that does not end with its ctx holds Shutdown up as long as that has time.
func TestShutdownOfAProbeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := &probes{start: time.Now(), ask: func(context.Context, core.Broker) error { <-release; return nil }}
		r := started(t, p, 1)
		fail(t, r)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := r.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 probes do not end") {
			t.Errorf("got %v", err)
		}
		close(release)
		synctest.Wait()
		if got := r.Health(brokerA); got != core.HealthDown {
			t.Errorf("what came after the end counts: %v", got)
		}
	})
}

// Its probes run until everybody who started it has shut it down, and again after that.
func TestStartsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &probes{start: time.Now(), ask: unreachable}
		r := started(t, p, 2)
		fail(t, r)
		down := func() {
			t.Helper()
			if err := r.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		down()
		if got, want := p.take(), []string{"broker-a 0s", "broker-a 1s"}; !slices.Equal(got, want) {
			t.Errorf("with one start left: probes %q, want %q", got, want)
		}
		down()
		if got := p.take(); len(got) != 0 {
			t.Errorf("without a start: probes %q", got)
		}
		if err := r.Start(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got, want := p.take(), []string{"broker-a 0s"}; !slices.Equal(got, want) {
			t.Errorf("started again: probes %q, want %q", got, want)
		}
		down()
	})
}

// A producer starts and ends it, also where it is one of several views.
func TestLifeWithinACombination(t *testing.T) {
	for name, combine := range map[string]func(...core.HealthView) core.HealthView{"worst": health.Worst, "first": health.First} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &probes{start: time.Now(), ask: unreachable}
				r := started(t, p, 0)
				latency, err := health.NewLatency(health.Config{})
				if err != nil {
					t.Fatal(err)
				}
				tr := &script{err: core.ErrConnect}
				c := coretest.Config(tr)
				c.Health = combine(latency, r)
				producer := coretest.Start(t, c)
				msg := coretest.Message("x")
				msg.Queue = &core.Queue{Broker: "broker-a"}
				_, _ = producer.Send(t.Context(), msg)
				time.Sleep(1500 * ms)
				if got, want := p.take(), []string{"broker-a 0s", "broker-a 1s"}; !slices.Equal(got, want) {
					t.Errorf("probes %q, want %q", got, want)
				}
				if err := producer.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if got := p.take(); len(got) != 0 {
					t.Errorf("after the end: probes %q", got)
				}
			})
		})
	}
}
