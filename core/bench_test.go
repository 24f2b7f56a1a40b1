package core_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// passing is a step in both scopes that does nothing.
type passing struct{}

func (passing) Intercept(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, c)
}

func (passing) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	return next(ctx, at)
}

func benchProducer(b *testing.B, steps ...core.Step) *core.Producer {
	b.Helper()
	return coretest.Start(b, coretest.Config(&coretest.Transport{Forget: true}, steps...))
}

// BenchmarkSend is a whole send on a transport that acknowledges at once: what core itself costs. The steps in it do
// nothing, so the difference between the lines is the price of a step.
func BenchmarkSend(b *testing.B) {
	for _, n := range []int{0, 1, 4, 8} {
		b.Run(fmt.Sprintf("steps=%d", n), func(b *testing.B) {
			var steps []core.Step
			for i := range n {
				steps = append(steps, core.CallStep(fmt.Sprintf("pass.%d", i), core.StageGuard, passing{}).WithAttempt(core.AttemptGuard, passing{}))
			}
			p, msg := benchProducer(b, steps...), coretest.Message(strings.Repeat("x", 1024))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Send(context.Background(), msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSendParallel is BenchmarkSend from many goroutines: what the producer's shared state costs.
func BenchmarkSendParallel(b *testing.B) {
	p, msg := benchProducer(b), coretest.Message("x")
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Send(context.Background(), msg); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkSendAsync is an asynchronous send, from the call to the end of done.
func BenchmarkSendAsync(b *testing.B) {
	p, msg := benchProducer(b), coretest.Message("x")
	var wg sync.WaitGroup
	done := func(_ core.Result, err error) {
		if err != nil {
			b.Error(err)
		}
		wg.Done()
	}
	b.ReportAllocs()
	for b.Loop() {
		wg.Add(1)
		p.SendAsync(context.Background(), msg, done)
	}
	wg.Wait()
}

// BenchmarkSendBatch is a batch of 32.
func BenchmarkSendBatch(b *testing.B) {
	p := benchProducer(b)
	msgs := make([]*core.Message, 32)
	for i := range msgs {
		msgs[i] = coretest.Message(strings.Repeat("x", 128))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.SendBatch(context.Background(), msgs); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSendProperties is a send with tag, keys and properties, which have to be put in order and encoded.
func BenchmarkSendProperties(b *testing.B) {
	p := benchProducer(b)
	msg := coretest.Message("x")
	msg.Tag, msg.Keys = "paid", []string{"order-4711"}
	msg.Properties = map[string]string{"tenant": "acme", "trace": "0af7651916cd43dd8448eb211c80319c", "region": "eu-west-1"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(context.Background(), msg); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFailover is a send whose first attempt fails and whose second succeeds on another broker.
func BenchmarkFailover(b *testing.B) {
	t := &coretest.Transport{Forget: true}
	t.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		if at.Number() == 1 {
			return nil, coretest.Refuse(at, rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy")
		}
		return t.Ack(at), nil
	}
	cfg := coretest.Config(t)
	cfg.Retry = coretest.Retry(3)
	p, msg := coretest.Start(b, cfg), coretest.Message("x")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Send(context.Background(), msg); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSendObserved is BenchmarkSend with and without a goroutine that takes snapshots all the time: what they
// cost the sends.
func BenchmarkSendObserved(b *testing.B) {
	for _, observed := range []bool{false, true} {
		b.Run(fmt.Sprintf("snapshots=%v", observed), func(b *testing.B) {
			p, msg := benchProducer(b), coretest.Message("x")
			var stop atomic.Bool
			var wg sync.WaitGroup
			taken := 0
			if observed {
				wg.Go(func() {
					for ; !stop.Load(); taken++ {
						_ = p.Snapshot()
					}
				})
			}
			for b.Loop() {
				if _, err := p.Send(context.Background(), msg); err != nil {
					b.Fatal(err)
				}
			}
			stop.Store(true)
			wg.Wait()
			b.ReportMetric(float64(taken)/b.Elapsed().Seconds(), "snapshots/s")
		})
	}
}
