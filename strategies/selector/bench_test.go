package selector_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

func BenchmarkRoundRobin(b *testing.B) {
	for _, bm := range []struct {
		brokers, queues int
		down            int
	}{{1, 1, 0}, {1, 10, 0}, {10, 10, 0}, {100, 100, 0}, {100, 100, 1}, {100, 100, 99}, {100, 100, 100}} {
		b.Run(fmt.Sprintf("queues=%d/down=%d", bm.brokers*bm.queues, bm.down), func(b *testing.B) {
			names := brokers(bm.brokers)
			health := map[string]core.Health{}
			for _, n := range names[:bm.down] {
				health[n] = core.HealthDown
			}
			in(b, situation{routes: coretest.Routes(bm.queues, names...), health: health}, func(ctx context.Context, sel *core.Selection) {
				s := selector.RoundRobin().ForTopic("T")
				b.ReportAllocs()
				for b.Loop() {
					_, _ = s.Select(ctx, sel)
				}
			})
		})
	}
}

func BenchmarkHash(b *testing.B) {
	msg := coretest.Message("x")
	msg.ShardingKey = "order-0123456789"
	in(b, situation{routes: coretest.Routes(100, brokers(100)...), msg: msg}, func(ctx context.Context, sel *core.Selection) {
		s := selector.Hash().ForTopic("T")
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.Select(ctx, sel)
		}
	})
}

// BenchmarkSelect is the cost of a pick among 64 queues of 8 brokers that are well, by one
// goroutine and by several that share the selector. The table of docs/strategies.md:
//
//	go test ./strategies/selector -run - -bench Select/ -cpu 2
func BenchmarkSelect(b *testing.B) {
	key := "order-0123456789"
	hash := func(f selector.HashFunc) func() core.SelectorFactory {
		return func() core.SelectorFactory { return of(b, f, &key) }
	}
	for _, bm := range []struct {
		name    string
		factory func() core.SelectorFactory
	}{
		{"RoundRobin", selector.RoundRobin},
		{"Random", selector.Random},
		{"Weighted", func() core.SelectorFactory { return weighted(b, 0, map[string]int{"broker-000": 3}) }},
		{"Sticky", func() core.SelectorFactory { return sticky(b, selector.StickyConfig{Messages: 100}) }},
		{"StickyForATime", func() core.SelectorFactory { return sticky(b, selector.StickyConfig{For: ms}) }},
		{"LeastInFlight", selector.LeastInFlight},
		{"PowerOfTwo", func() core.SelectorFactory { return powerOfTwo(b, selector.PowerOfTwoConfig{}) }},
		{"Zone", func() core.SelectorFactory {
			return zone(b, selector.ZoneConfig{Brokers: []string{"broker-000", "broker-001"}, Inner: selector.RoundRobin()})
		}},
		{"Filter", func() core.SelectorFactory {
			return selector.Filter(selector.RoundRobin(), func(q core.Queue) bool { return q.ID < 4 })
		}},
		{"Fallback", func() core.SelectorFactory { return selector.Fallback(selector.RoundRobin(), selector.Random()) }},
		{"Healthy", func() core.SelectorFactory { return selector.Healthy(selector.RoundRobin()) }},
		{"HashJava", hash(selector.HashJava)},
		{"HashGo", hash(selector.HashGo)},
		{"HashV5", hash(selector.HashV5)},
		{"HashProxy", hash(selector.HashProxy)},
		{"HashJump", hash(selector.HashJump)},
		{"HashRendezvous", hash(selector.HashRendezvous)},
	} {
		for _, goroutines := range []int{1, 4, 64} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", bm.name, goroutines), func(b *testing.B) { contend(b, bm.factory(), goroutines) })
		}
	}
}

// contend has goroutines make b.N picks together, each in a call of its own.
func contend(b *testing.B, f core.SelectorFactory, goroutines int) {
	s, routes := f.ForTopic("T"), coretest.Routes(8, brokers(8)...)
	var ready, done sync.WaitGroup
	ready.Add(goroutines)
	begin := make(chan struct{})
	for g := range goroutines {
		done.Go(func() {
			in(b, situation{routes: routes}, func(ctx context.Context, sel *core.Selection) {
				_, _ = s.Select(ctx, sel) // what is worked out of the route once
				ready.Done()
				<-begin
				for range (b.N + g) / goroutines {
					_, _ = s.Select(ctx, sel)
				}
			})
		})
	}
	ready.Wait()
	b.ReportAllocs()
	b.ResetTimer()
	close(begin)
	done.Wait()
}

// BenchmarkSend is a whole send over a transport that acknowledges at once: what a selector
// costs that learns from attempts, compared with one that does not.
func BenchmarkSend(b *testing.B) {
	for _, bm := range []struct {
		name    string
		factory func() core.SelectorFactory
	}{
		{"RoundRobin", selector.RoundRobin},
		{"LeastInFlight", selector.LeastInFlight},
		{"PowerOfTwo", func() core.SelectorFactory { return powerOfTwo(b, selector.PowerOfTwoConfig{}) }},
		{"ZoneOfPowerOfTwo", func() core.SelectorFactory {
			return zone(b, selector.ZoneConfig{Brokers: []string{"broker-000", "broker-001"}, Inner: powerOfTwo(b, selector.PowerOfTwoConfig{})})
		}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			cfg := coretest.Config(&coretest.Transport{Forget: true})
			cfg.Routes, cfg.Selector = coretest.Routes(8, brokers(8)...), bm.factory()
			p, msg := coretest.Start(b, cfg), coretest.Message("x")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Send(context.Background(), msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
