package pace_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

// Two producers of two clusters share a pacer. Both clusters have a broker-a, and what fills
// the window of one takes no place of the other.
func TestTwoClustersShareAPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pc := pacer(t, fixed(16))
		cluster := func(addr string) (*core.Producer, *gate) {
			route, err := core.NewRoute([]core.Queue{{Broker: "broker-a"}}, []core.Broker{{Name: "broker-a", Addr: addr}})
			if err != nil {
				t.Fatal(err)
			}
			g := newGate()
			cfg := config(g, pc)
			cfg.Routes = coretest.RouteFunc(func(context.Context, string) (*core.Route, error) { return route, nil })
			return coretest.Start(t, cfg), g
		}
		silent, _ := cluster("10.0.0.1:10911")
		brisk, g := cluster("10.0.1.1:10911")
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		var held, sent sends
		held.start(ctx, silent, 20, "broker-a")
		sent.start(ctx, brisk, 16, "broker-a")
		synctest.Wait()
		if oks, errs := sent.count(); oks != 12 || len(errs) != 0 {
			t.Errorf("%d sends to the other cluster have ended, %v; want the 12 that are no samples", oks, errs)
		}
		want := []pace.Status{
			{Broker: "broker-a", Addr: "10.0.0.1:10911", Window: 16, Unconfirmed: 16, Samples: 4, Waiting: 4},
			{Broker: "broker-a", Addr: "10.0.1.1:10911", Window: 16, Unconfirmed: 16, Samples: 4},
		}
		if got := pc.States(); !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		// Answers of one cluster make room in that cluster alone.
		for range 4 {
			(<-g.samples).end <- nil
		}
		synctest.Wait()
		want[1].Unconfirmed, want[1].Samples = 0, 0
		if got := pc.States(); !slices.Equal(got, want) {
			t.Errorf("after the answers: got  %+v\nwant %+v", got, want)
		}
		cancel()
		held.wg.Wait()
		sent.wg.Wait()
	})
}

func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, pc := newGate(), pacer(t, fixed(16))
		p := coretest.Start(t, config(g, pc))
		at := core.Broker{Name: "broker-a", Addr: "broker-a:10911"}
		if got := pc.BrokerReport(at); got != nil {
			t.Errorf("of a broker that it does not know it says %v", got)
		}
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		var all sends
		all.start(ctx, p, 20, "broker-a")
		want := []core.Setting{
			{Name: "one-way window", Value: "16"},
			{Name: "one-way messages unconfirmed", Value: "16"},
			{Name: "one-way messages waiting", Value: "4"},
		}
		if got := pc.BrokerReport(at); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got := p.Snapshot().Brokers[0]; got.Addr != at.Addr || !slices.Equal(got.Details, want) {
			t.Errorf("the producer's snapshot says %+v", got)
		}
		cancel()
		all.wg.Wait()
	})
}

func TestDescription(t *testing.T) {
	const want = "paces one-way sends to each broker (window 16 to 4096 messages, target at most 20ms in the broker's queue)"
	if got := core.Describe(pacer(t, pace.Config{})).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// lacking is a transport that lacks features.
type lacking struct {
	core.Transport
	features []core.Feature
}

func (l lacking) Capabilities() core.Capabilities { return core.Capabilities{Lacks: l.features} }

// A pacer has nothing to do without one-way sends, and nothing to learn from without
// answers to them: such a producer is not made.
func TestNeedsAnswers(t *testing.T) {
	for _, f := range []core.Feature{core.FeatureOneway, core.FeatureConfirm} {
		_, err := core.NewProducer(config(lacking{&coretest.Transport{}, []core.Feature{f}}, pacer(t, pace.Config{})))
		if !errors.Is(err, core.ErrUnsupported) || !strings.Contains(err.Error(), `step pace: needs `+f.String()) {
			t.Errorf("without %v: %v", f, err)
		}
	}
	if _, err := core.NewProducer(config(lacking{&coretest.Transport{}, []core.Feature{core.FeatureBatch}}, pacer(t, pace.Config{}))); err != nil {
		t.Errorf("without batches: %v", err)
	}
}
