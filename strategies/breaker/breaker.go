package breaker

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// Breakers has a circuit breaker for each broker. A broker's breaker is made
// when an attempt first goes to it and dropped when no route leads to it any
// more. It is safe for concurrent use, also by several producers at once, which
// then share what they learn. They may be of several clusters: address and network tell
// brokers apart ([core.Broker]), not a name. An attempt costs it one allocation.
type Breakers struct {
	cfg     Config
	base    time.Time // the clock's zero; on the monotonic clock
	brokers *perbroker.Table[broker]
	changes changes

	ownTrip, ownIgnore bool // functions of the user's, for the description
}

var (
	_ core.AttemptInterceptor   = (*Breakers)(nil)
	_ core.OperationInterceptor = (*Breakers)(nil)
	_ core.HealthView           = (*Breakers)(nil)
	_ core.RouteListener        = (*Breakers)(nil)
	_ core.BrokerReporter       = (*Breakers)(nil)
	_ core.Describer            = (*Breakers)(nil)
)

// New makes breakers, all closed. It reports all mistakes in cfg at once.
func New(cfg Config) (*Breakers, error) {
	b := &Breakers{base: time.Now(), ownTrip: cfg.Trip != nil, ownIgnore: cfg.Ignore != nil}
	var err error
	if b.cfg, err = cfg.withDefaults(); err != nil {
		return nil, fmt.Errorf("breaker: %w", err)
	}
	b.brokers = perbroker.New(func(at core.Broker) *broker { return newBroker(b, at) })
	return b, nil
}

// Step places the breakers around each attempt and each operation, in the stage that
// protects brokers, under the name "breaker".
func (b *Breakers) Step() core.Step {
	return core.AttemptStep("breaker", core.AttemptProtect, b)
}

// InterceptAttempt implements [core.AttemptInterceptor]. A refusal wraps
// [core.ErrCircuitOpen] and names the broker.
func (b *Breakers) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (res *core.Result, err error) {
	br := b.brokers.Get(at.Broker())
	done, refused := br.current.Load().two.Allow()
	if refused != nil && !at.LastResort() {
		b.deliver()
		return nil, br.refusal
	}
	// Deferred, so that it runs exactly once on every path, a panic and
	// runtime.Goexit below included: a probe whose end is never told would keep
	// the breaker half-open for ever.
	outcome := errNothing
	defer func() { b.end(br, done, outcome) }()
	start := time.Since(b.base)
	res, err = next(ctx, at)
	if err == nil || at.Entered() { // else it is a veto further in, whatever its error looks like
		outcome = b.judge(br, verdict.Of(ctx, res, err, at.Written()), err, start, at.Cap())
	}
	return res, err
}

// InterceptOperation implements [core.OperationInterceptor]. An operation counts as an attempt
// does. It passes an open breaker: no other broker can carry it out, so a refusal could only
// turn a doubtful operation into a failed one.
func (b *Breakers) InterceptOperation(ctx context.Context, op *core.Operation, next core.OperationHandler) (err error) {
	if op.Addr() == "" {
		return next(ctx, op) // placed in message scope, where there is no broker yet
	}
	br := b.brokers.Get(op.Broker())
	done, _ := br.current.Load().two.Allow()
	outcome := errNothing
	defer func() { b.end(br, done, outcome) }()
	start := time.Since(b.base)
	switch err = next(ctx, op); {
	case err == nil:
		outcome = b.judge(br, verdict.Served, nil, start, math.MaxInt64)
	case op.Entered():
		outcome = b.judge(br, verdict.OfError(ctx, err, op.Written()), err, start, math.MaxInt64)
	}
	return err
}

// end tells the broker's breaker what came of what it let through. There is no done where
// the breaker was asked in vain, as for a last resort or an operation.
func (b *Breakers) end(br *broker, done func(error), outcome error) {
	switch {
	case done != nil:
		done(outcome)
	case outcome == nil:
		br.close()
	}
	b.deliver()
}

// judge says what to tell gobreaker. Most is how long an attempt may take where another broker
// is left. An answer after that came only because its attempt had nowhere else to go, such as
// one with a sharding key: to all others the broker is as good as silent, so it is no success.
func (b *Breakers) judge(br *broker, v verdict.Verdict, err error, start, most time.Duration) error {
	if v == verdict.Nothing {
		return errNothing
	}
	now := time.Since(b.base)
	waited := now - start
	if err == nil || verdict.Said(err) {
		br.alive.Store(int64(now))
	}
	switch {
	case v == verdict.Served:
		br.need.Answered(waited)
		if waited > most {
			return errNothing
		}
		return nil
	case v == verdict.Answered, b.ignored(err):
		return errNothing
	case v == verdict.Failed:
		return errFailed
	}
	switch {
	case waited < b.enough(br):
		return errNothing
	case b.cfg.HangAfter >= 0 && waited >= b.cfg.HangAfter && time.Duration(br.alive.Load()) <= start:
		return errHung
	default:
		return errFailed
	}
}

// enough is how long a broker must have had before a time-out counts. A broker that never
// answered is taken to need what the slowest of the others needs.
func (b *Breakers) enough(br *broker) time.Duration {
	need := br.need.Time()
	if need == 0 {
		for _, other := range b.brokers.All() {
			need = max(need, other.need.Time())
		}
	}
	return verdict.Enough(b.cfg.MinWait, need)
}

func (b *Breakers) ignored(err error) (ignored bool) {
	defer b.keepPanic("Ignore", func() { ignored = false })
	return b.cfg.Ignore(err)
}

// trip asks the user's rule. It runs under gobreaker's lock, so a panic is logged later.
func (b *Breakers) trip(c Counts) (trip bool) {
	defer func() {
		if v := recover(); v != nil {
			trip = DefaultTrip(c)
			b.changes.push(change{panicked: v})
		}
	}()
	return b.cfg.Trip(c)
}

// Health implements [core.HealthView]: down while the breaker refuses, good
// otherwise, also when it is half-open and wants a probe.
func (b *Breakers) Health(at core.Broker) core.Health {
	if br := b.brokers.Find(at); br != nil {
		return br.health()
	}
	return core.HealthGood
}

// RouteChanged implements [core.RouteListener].
func (b *Breakers) RouteChanged(r *core.RouteReport) { b.brokers.RouteChanged(r) }
