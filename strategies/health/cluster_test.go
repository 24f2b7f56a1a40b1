package health_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/health"
)

// at is a source of routes to one broker-a with one queue.
func at(t *testing.T, addr string) core.RouteSource {
	t.Helper()
	r, err := core.NewRoute([]core.Queue{{Broker: "broker-a"}}, []core.Broker{{Name: "broker-a", Addr: addr}})
	if err != nil {
		t.Fatal(err)
	}
	return coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return r, nil })
}

// Two producers of two clusters share a view. Both clusters have a broker-a, and the trouble
// of one does not touch the other.
func TestTwoClustersShareAView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view, err := health.NewLatency(health.Config{})
		if err != nil {
			t.Fatal(err)
		}
		producer := func(tr core.Transport, addr string) *core.Producer {
			cfg := coretest.Config(tr)
			cfg.Routes, cfg.Health = at(t, addr), view
			return coretest.Start(t, cfg)
		}
		ill, well := producer(&script{err: core.ErrConnectionLost}, "10.0.0.1:10911"), producer(&script{delay: 10 * ms}, "10.0.1.1:10911")
		for range 3 {
			_, _ = ill.Send(t.Context(), coretest.Message("x"))
			if _, err := well.Send(t.Context(), coretest.Message("x")); err != nil {
				t.Error(err)
			}
		}
		want := []health.Status{
			{Broker: "broker-a", Addr: "10.0.0.1:10911", Health: core.HealthDown, Left: 10*time.Second - 10*ms},
			{Broker: "broker-a", Addr: "10.0.1.1:10911", Health: core.HealthGood, Latency: 10 * ms},
		}
		if got := view.Snapshot(); !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		for _, w := range want {
			if got := view.Health(core.Broker{Name: w.Broker, Addr: w.Addr}); got != w.Health {
				t.Errorf("the broker at %s is %v, want %v", w.Addr, got, w.Health)
			}
		}
	})
}
