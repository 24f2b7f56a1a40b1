package breaker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// Two producers of two clusters share breakers. Both clusters have a broker-a and a
// broker-b, at addresses of their own or at the same ones behind two tunnels, and the trouble
// of one cluster does not touch the other.
func TestTwoClustersShareBreakers(t *testing.T) {
	type place struct{ host, network string }
	for name, at := range map[string][2]place{
		"two addresses": {{"10.0.0.1", ""}, {"10.0.1.1", ""}},
		"two networks":  {{"10.0.0.1", "first"}, {"10.0.0.1", "second"}},
	} {
		t.Run(name, func(t *testing.T) { twoClusters(t, at[0].host, at[0].network, at[1].host, at[1].network) })
	}
}

func twoClusters(t *testing.T, illHost, illNetwork, wellHost, wellNetwork string) {
	synctest.Test(t, func(t *testing.T) {
		b, err := breaker.New(breaker.Config{})
		if err != nil {
			t.Fatal(err)
		}
		cluster := func(host, network string, do behaviour) (*core.Producer, *coretest.Transport) {
			route, err := core.NewRoute([]core.Queue{{Broker: "broker-a"}, {Broker: "broker-b"}}, []core.Broker{
				{Name: "broker-a", Addr: host + ":10911", Network: network}, {Name: "broker-b", Addr: host + ":20911", Network: network},
			})
			if err != nil {
				t.Fatal(err)
			}
			tr := &coretest.Transport{}
			tr.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
				if err := do(ctx, at); err != nil {
					return nil, err
				}
				return tr.Ack(at), nil
			}
			cfg := coretest.Config(tr, b.Step())
			cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return route, nil })
			cfg.Health = b
			return coretest.Start(t, cfg), tr
		}
		ill, illSent := cluster(illHost, illNetwork, refused)
		well, wellSent := cluster(wellHost, wellNetwork, ok)
		for range 7 {
			if _, err := ill.Send(t.Context(), coretest.Message("x"), toA); err == nil {
				t.Error("the dead broker took a message")
			}
			if _, err := well.Send(t.Context(), coretest.Message("x"), toA); err != nil {
				t.Errorf("the healthy cluster's broker is kept from being used: %v", err)
			}
		}
		if got := len(illSent.Attempts()); got != 5 {
			t.Errorf("%d attempts went to the dead broker, want 5: its breaker is not its own", got)
		}
		if got := len(wellSent.Attempts()); got != 7 {
			t.Errorf("%d attempts went to the healthy broker, want 7", got)
		}
		if _, err := ill.Send(t.Context(), coretest.Message("x"), toA); !errors.Is(err, core.ErrCircuitOpen) {
			t.Errorf("the dead broker's breaker gave %v", err)
		}
		var got []string
		for _, s := range b.States() {
			got = append(got, s.Broker+" "+s.Addr+" "+s.State.String())
		}
		if want := []string{"broker-a " + illHost + ":10911 open", "broker-a " + wellHost + ":10911 closed"}; !slices.Equal(got, want) {
			t.Errorf("states %q, want %q", got, want)
		}
		for want, at := range map[core.Health]core.Broker{
			core.HealthDown: {Name: "broker-a", Addr: illHost + ":10911", Network: illNetwork},
			core.HealthGood: {Name: "broker-a", Addr: wellHost + ":10911", Network: wellNetwork},
		} {
			if h := b.Health(at); h != want {
				t.Errorf("the view says %v of %+v, want %v", h, at, want)
			}
		}
	})
}
