package pace_test

import (
	"context"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

// Neither a one-way send, sample or not, nor one of another mode allocates anything
// for the step.
func TestAllocations(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	ctx, m := context.Background(), coretest.Message("x")
	for name, cfg := range map[string]pace.Config{"unsampled": fixed(1_000_000), "all sampled": fixed(1), "default": {}} {
		p := coretest.Start(t, config(&coretest.Transport{Forget: true}, pacer(t, cfg)))
		if n := testing.AllocsPerRun(1000, func() {
			if err := p.SendOneway(ctx, m); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: a one-way send allocates %v times, want 0", name, n)
		}
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := p.Send(ctx, m); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: a send allocates %v times, want 0", name, n)
		}
	}
}

// BenchmarkOneway is one-way sends to a transport that takes no time, from one
// caller and from many, with the step and without.
func BenchmarkOneway(b *testing.B) {
	for _, name := range []string{"plain", "paced"} {
		cfg := coretest.Config(&coretest.Transport{Forget: true})
		if name == "paced" {
			cfg = config(&coretest.Transport{Forget: true}, pacer(b, pace.Config{}))
		}
		p := coretest.Start(b, cfg)
		send := func(b *testing.B, m *core.Message) {
			if err := p.SendOneway(context.Background(), m); err != nil {
				b.Error(err)
			}
		}
		b.Run(name+"/one", func(b *testing.B) {
			b.ReportAllocs()
			m := coretest.Message("x")
			for b.Loop() {
				send(b, m)
			}
		})
		b.Run(name+"/many", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				m := coretest.Message("x")
				for pb.Next() {
					send(b, m)
				}
			})
		})
	}
}
