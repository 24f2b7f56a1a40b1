package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// DefaultMinWait is the default of [Config].MinWait.
const DefaultMinWait = verdict.MinWait

// Config configures a [Latency]. Its zero value is Java 5.x.
type Config struct {
	// Table has the numbers; the zero table means [Java5].
	Table Table
	// MinWait is how long a broker must have had before a time-out counts as
	// its failure, 50 ms by default: a caller's own short deadline proves nothing.
	MinWait time.Duration
}

// Latency judges brokers by the latency and the failures of attempts.
//
// After a failure a broker is [core.HealthDown], after a slow answer
// [core.HealthSuspect], each for the table's time; then it is good again until
// the next attempt shows what it is. A success during the time of a failure
// makes it suspect at least, and good with a table that overwrites.
//
// What counts: answers by their latency; lost and refused connections, time-outs
// and answers such as SYSTEM_BUSY as failures. What does not: attempts that a
// hook vetoed or the caller cancelled, and one-way sends, which prove nothing.
// Unlike in Java, an answer that blames the message, the topic or the
// credentials is an answer, not a failure: a producer's bad message must not
// isolate a broker.
//
// It forgets brokers to which no route leads. It is safe for concurrent use,
// also by several producers at once.
type Latency struct {
	table   Table
	minWait time.Duration
	base    time.Time // times are kept as nanoseconds since then, on the monotonic clock
	brokers *perbroker.Table[broker]
}

var (
	_ core.HealthView      = (*Latency)(nil)
	_ core.AttemptListener = (*Latency)(nil)
	_ core.RouteListener   = (*Latency)(nil)
)

// broker is what is known of one broker. The fields may be a step apart from
// each other while they are updated; the next outcome settles that.
type broker struct {
	until   atomic.Int64 // since base; leave it alone until then
	failed  atomic.Bool  // until comes from a failure that no success followed
	latency atomic.Int64 // of the last outcome
}

// NewLatency makes a view that knows no broker yet. It reports all mistakes in
// cfg at once.
func NewLatency(cfg Config) (*Latency, error) {
	if cfg.Table.LatencyMax == nil && cfg.Table.NotAvailable == nil {
		cfg.Table = Java5()
	}
	if cfg.MinWait == 0 {
		cfg.MinWait = DefaultMinWait
	}
	err := cfg.Table.check()
	if cfg.MinWait < 0 {
		err = errors.Join(err, fmt.Errorf("MinWait is negative: %v", cfg.MinWait))
	}
	if err != nil {
		return nil, fmt.Errorf("latency health: %w", err)
	}
	return &Latency{
		table: cfg.Table, minWait: cfg.MinWait, base: time.Now(),
		brokers: perbroker.New(func(string) *broker { return new(broker) }),
	}, nil
}

// Health implements [core.HealthView].
func (l *Latency) Health(name string) core.Health {
	b := l.brokers.Find(name)
	if b == nil {
		return core.HealthGood
	}
	return b.health(l)
}

func (b *broker) health(l *Latency) core.Health {
	until := b.until.Load()
	switch {
	case until == 0 || time.Since(l.base) >= time.Duration(until):
		return core.HealthGood
	case b.failed.Load():
		return core.HealthDown
	default:
		return core.HealthSuspect
	}
}

// AttemptDone implements [core.AttemptListener].
func (l *Latency) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	if r.Abandoned {
		return
	}
	v := verdict.Of(ctx, r.Result, r.Err, r.Written)
	if v == verdict.Nothing || v == verdict.TimedOut && r.Latency < l.minWait {
		return
	}
	failed := v == verdict.Failed || v == verdict.TimedOut
	latency := r.Latency
	if failed {
		latency = l.table.Isolation
	}
	b := l.brokers.Get(r.Attempt.Queue().Broker)
	b.latency.Store(int64(r.Latency))
	b.failed.Store(failed)
	l.leaveAlone(b, l.table.Lookup(latency))
}

// leaveAlone keeps the broker out for d (Java: FaultItem.updateNotAvailableDuration).
func (l *Latency) leaveAlone(b *broker, d time.Duration) {
	if d == 0 {
		if l.table.Overwrite && b.until.Load() != 0 {
			b.until.Store(0)
		}
		return
	}
	now := time.Since(l.base)
	until := int64(now + min(d, math.MaxInt64-now))
	for {
		old := b.until.Load()
		if !l.table.Overwrite && old >= until || b.until.CompareAndSwap(old, until) {
			return
		}
	}
}

// RouteChanged implements [core.RouteListener].
func (l *Latency) RouteChanged(r *core.RouteReport) { l.brokers.RouteChanged(r) }

// Status is what a [Latency] knows of one broker.
type Status struct {
	Broker  string
	Health  core.Health
	Latency time.Duration // of the last attempt that counted
	Left    time.Duration // until it is good again; zero if it is
}

// Snapshot is what is known of each broker, by name.
func (l *Latency) Snapshot() []Status {
	all := l.brokers.All()
	out := make([]Status, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b := all[name]
		out = append(out, Status{
			Broker: name, Health: b.health(l), Latency: time.Duration(b.latency.Load()),
			Left: max(0, time.Duration(b.until.Load())-time.Since(l.base)),
		})
	}
	return out
}
