package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// Two producers of two clusters share breakers. Both clusters have a broker-a and a
// broker-b, and the trouble of one cluster does not touch the other.
func TestTwoClustersShareBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := breaker.New(breaker.Config{})
		if err != nil {
			t.Fatal(err)
		}
		cluster := func(host string, do behaviour) (*core.Producer, *coretest.Transport) {
			route, err := core.NewRoute([]core.Queue{{Broker: "broker-a"}, {Broker: "broker-b"}}, []core.Broker{
				{Name: "broker-a", Addr: host + ":10911"}, {Name: "broker-b", Addr: host + ":20911"},
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
		ill, illSent := cluster("10.0.0.1", refused)
		well, wellSent := cluster("10.0.1.1", ok)
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
			want := core.HealthGood
			if s.State == breaker.Open {
				want = core.HealthDown
			}
			if h := b.Health(core.Broker{Name: s.Broker, Addr: s.Addr}); h != want {
				t.Errorf("the view says %v of %+v", h, s)
			}
		}
		if len(got) != 2 || got[0] != "broker-a 10.0.0.1:10911 open" || got[1] != "broker-a 10.0.1.1:10911 closed" {
			t.Errorf("states %q", got)
		}
	})
}
