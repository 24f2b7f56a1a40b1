package limit_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/strategies/limit"
)

// steps are the limits, wide enough for all that the tests below send.
func steps(tb testing.TB) map[string]core.Step {
	return map[string]core.Step{
		"rate":     newRate(tb, limit.RateConfig{PerSecond: 10_000_000, Burst: 10_000_000}).Step(),
		"bulkhead": newBulkhead(tb, 1_000_000).Step(),
		"adaptive": newAdaptive(tb, limit.AdaptiveConfig{Min: 1_000_000}).Step(),
	}
}

// A send that is within a limit allocates nothing for it.
func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	m := coretest.Message("x")
	for name, step := range steps(t) {
		p := coretest.Start(t, patient(&coretest.Transport{Forget: true}, step))
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := p.Send(bg, m); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: a send allocates %v times, want 0", name, n)
		}
	}
}

// BenchmarkSend is sends to a transport that takes no time, from one caller and from many,
// with a limit and without.
func BenchmarkSend(b *testing.B) {
	all := steps(b)
	all["none"] = core.Step{}
	for _, name := range []string{"none", "rate", "bulkhead", "adaptive"} {
		cfg := coretest.Config(&coretest.Transport{Forget: true})
		if name != "none" {
			cfg.Steps = append(cfg.Steps, all[name])
		}
		p := coretest.Start(b, cfg)
		send := func(b *testing.B, m *core.Message) {
			if _, err := p.Send(context.Background(), m); err != nil {
				b.Error(err)
			}
		}
		b.Run(name+"/1", func(b *testing.B) {
			b.ReportAllocs()
			m := coretest.Message("x")
			for b.Loop() {
				send(b, m)
			}
		})
		for _, goroutines := range []int{4, 64} {
			b.Run(name+map[int]string{4: "/4", 64: "/64"}[goroutines], func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(goroutines / 2) // of 2 processors
				b.RunParallel(func(pb *testing.PB) {
					m := coretest.Message("x")
					for pb.Next() {
						send(b, m)
					}
				})
			})
		}
	}
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b, a := newGate(), newBulkhead(t, 2), newAdaptive(t, limit.AdaptiveConfig{})
		at := core.Broker{Name: "broker-a", Addr: "broker-a:10911"}
		if got, also := b.BrokerReport(at), a.BrokerReport(at); got != nil || also != nil {
			t.Errorf("of a broker that they do not know they say %v, %v", got, also)
		}
		p := coretest.Start(t, patient(g, b.Step(), a.Step()))
		var all sends
		for range 3 {
			all.start(bg, p, to("broker-a"))
		}
		synctest.Wait()
		want := []core.Setting{
			{Name: "adaptive limit", Value: "32"},
			{Name: "adaptive limit's attempts under way", Value: "2"},
			{Name: "adaptive limit's attempts waiting", Value: "0"},
			{Name: "adaptive limit's quickest answer", Value: "0s"},
			{Name: "bulkhead", Value: "2"},
			{Name: "bulkhead's attempts under way", Value: "2"},
			{Name: "bulkhead's attempts waiting", Value: "1"},
		}
		if got := p.Snapshot().Brokers[0]; got.Addr != at.Addr || !slices.Equal(got.Details, want) {
			t.Errorf("the producer's snapshot says %+v", got)
		}
		for range 3 {
			(<-g.attempts).end <- nil
		}
		all.wg.Wait()
	})
}
