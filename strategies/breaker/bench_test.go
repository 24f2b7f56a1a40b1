package breaker_test

import (
	"context"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// around calls f inside a real attempt at broker-a that has reached the transport.
func around(tb testing.TB, f func(ctx context.Context, at *core.Attempt)) {
	tb.Helper()
	cfg := coretest.Config(&coretest.Transport{Forget: true}, core.AttemptStep("around", core.AttemptWire, core.AttemptInterceptorFunc(func(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
		defer f(ctx, at)
		return next(ctx, at)
	})))
	if _, err := coretest.Start(tb, cfg).Send(tb.Context(), coretest.Message("x")); err != nil {
		tb.Fatal(err)
	}
}

var result core.Result

func answer(context.Context, *core.Attempt) (*core.Result, error)  { return &result, nil }
func connect(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnect }

func TestAllocations(t *testing.T) {
	b, err := breaker.New(breaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	around(t, func(ctx context.Context, at *core.Attempt) {
		if n := testing.AllocsPerRun(100, func() { _, _ = b.InterceptAttempt(ctx, at, answer) }); n > 1 {
			t.Errorf("%v allocations an attempt, want gobreaker's 1", n)
		}
		if n := testing.AllocsPerRun(100, func() { b.Health(brokerA) }); n != 0 {
			t.Errorf("%v allocations a look at the health, want 0", n)
		}
		for range 200 {
			_, _ = b.InterceptAttempt(ctx, at, connect)
		}
		if got := b.Health(brokerA); got != core.HealthDown {
			t.Fatalf("health %v after 200 failures", got)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = b.InterceptAttempt(ctx, at, answer) }); n != 0 {
			t.Errorf("%v allocations a refusal, want 0", n)
		}
	})
}

func BenchmarkAttempt(b *testing.B) {
	breakers, err := breaker.New(breaker.Config{})
	if err != nil {
		b.Fatal(err)
	}
	around(b, func(ctx context.Context, at *core.Attempt) {
		b.Run("one", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = breakers.InterceptAttempt(ctx, at, answer)
			}
		})
		b.Run("parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = breakers.InterceptAttempt(ctx, at, answer)
				}
			})
		})
		b.Run("health", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				breakers.Health(brokerA)
			}
		})
	})
}
