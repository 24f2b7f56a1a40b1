package pace

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
)

// Pacer paces the one-way sends to each broker. It is safe for concurrent use.
// It has no goroutine, and costs an attempt no allocation. Producers may share it
// if they share their client, and should then: what it counts are the requests
// of one connection. Brokers are told apart by address and network.
type Pacer struct {
	cfg     Config
	brokers *perbroker.Table[broker]
	waiters sync.Pool // of *waiter
}

var (
	_ core.AttemptInterceptor = (*Pacer)(nil)
	_ core.RouteListener      = (*Pacer)(nil)
	_ core.Requirer           = (*Pacer)(nil)
	_ core.BrokerReporter     = (*Pacer)(nil)
	_ core.Describer          = (*Pacer)(nil)
)

// New makes a pacer. It reports all mistakes in cfg at once.
func New(cfg Config) (*Pacer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("pace: %w", err)
	}
	p := &Pacer{cfg: cfg}
	p.brokers = perbroker.New(func(at core.Broker) *broker { return newBroker(at, &p.cfg) })
	p.waiters.New = func() any { return newWaiter() }
	return p, nil
}

// Step places the pacer in the protect stage of attempt scope, under the name
// "pace". It stands within a breaker: an attempt that a breaker refuses must not
// wait first.
func (p *Pacer) Step() core.Step {
	return core.AttemptStep("pace", core.AttemptProtect, p).After("breaker?")
}

// InterceptAttempt implements [core.AttemptInterceptor].
func (p *Pacer) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (*core.Result, error) {
	if at.Call().Mode() != core.Oneway {
		return next(ctx, at)
	}
	b := p.brokers.Get(at.Broker())
	t, ok := b.admit()
	if !ok {
		var err error
		if t, err = p.wait(ctx, at, b); err != nil {
			return nil, err
		}
	}
	if t.sample {
		return b.ask(ctx, at, next, t)
	}
	res, err := next(ctx, at)
	if err != nil && !at.Written() {
		b.takeBack(t)
	}
	return res, err
}

// ask sends a sample. Whatever comes of it, also a panic, is told exactly once: a
// sample that stayed open could hold every send back.
func (b *broker) ask(ctx context.Context, at *core.Attempt, next core.AttemptHandler, t ticket) (res *core.Result, err error) {
	at.Confirm()
	start := time.Now()
	err = errPanic
	defer func() {
		if !at.Written() {
			b.takeBack(t)
			return
		}
		b.answered(t, judge(res, err), time.Since(start))
	}()
	return next(ctx, at)
}

// errPanic stands for the outcome of an attempt whose goroutine ended under it.
var errPanic = errors.New("ended")

// signal is what a sample's end says about the broker's queue.
type signal uint8

const (
	silent     signal = iota // nothing is known
	served                   // the broker took the message out of the queue
	overloaded               // it refused the message, or said nothing in time
)

func judge(res *core.Result, err error) signal {
	if err == nil {
		if !res.Acked() {
			return silent // by a transport that cannot ask
		}
		return served
	}
	switch core.ClassOf(err) {
	case core.ClassBusy, core.ClassUnavailable, core.ClassTimeout, core.ClassNetwork:
		return overloaded
	}
	// Any other refusal is about the message, and comes out of the same queue.
	if be := (*core.BrokerError)(nil); errors.As(err, &be) {
		return served
	}
	return silent
}

// RouteChanged implements [core.RouteListener]: a broker to which no route leads
// any more is forgotten.
func (p *Pacer) RouteChanged(r *core.RouteReport) { p.brokers.RouteChanged(r) }
