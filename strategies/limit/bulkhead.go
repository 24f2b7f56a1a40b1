package limit

import (
	"context"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
)

// Bulkhead bounds the attempts under way at each broker, in every mode. A batch is one
// attempt. It is safe for concurrent use, also by several producers at once, which then share
// the room; address and network tell brokers apart ([core.Broker]). It has no goroutine, and
// costs an attempt that finds room no allocation. A broker to which no route leads any more is
// forgotten: should it come back while old attempts are under way there, they no longer count.
type Bulkhead struct {
	cfg     BulkheadConfig
	guard   *guard
	brokers *perbroker.Table[gate]
}

var (
	_ core.AttemptInterceptor = (*Bulkhead)(nil)
	_ core.RouteListener      = (*Bulkhead)(nil)
	_ core.BrokerReporter     = (*Bulkhead)(nil)
	_ core.Describer          = (*Bulkhead)(nil)
)

// NewBulkhead makes a bulkhead. It reports what is wrong in cfg.
func NewBulkhead(cfg BulkheadConfig) (*Bulkhead, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("limit: bulkhead: %w", err)
	}
	b := &Bulkhead{cfg: cfg, guard: newGuard("brokers whose bulkhead was full")}
	b.brokers = perbroker.New(func(at core.Broker) *gate {
		g := b.guard.newGate(at, cfg.Max)
		return &g
	})
	return b, nil
}

// Step places the bulkhead in the protect stage of attempt scope, under the name
// "limit.bulkhead", outside of a breaker.
func (b *Bulkhead) Step() core.Step {
	return core.AttemptStep("limit.bulkhead", core.AttemptProtect, b).Before("breaker?")
}

// InterceptAttempt implements [core.AttemptInterceptor]. An attempt that does not get in
// fails with an [*Error].
func (b *Bulkhead) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	g := b.brokers.Get(at.Broker())
	if _, err := b.guard.enter(ctx, at, g); err != nil {
		return nil, err
	}
	defer g.leave()
	return next(ctx, at)
}

// RouteChanged implements [core.RouteListener].
func (b *Bulkhead) RouteChanged(r *core.RouteReport) { b.brokers.RouteChanged(r) }
