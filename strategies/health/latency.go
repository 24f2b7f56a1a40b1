package health

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// DefaultMinWait is the default of [Config].MinWait.
const DefaultMinWait = verdict.MinWait

// Config configures a [Latency]. Its zero value is Java 5.x.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type Config struct {
	// Table has the numbers; one without steps has those of [Java5].
	Table Table `json:"table" yaml:"table" envPrefix:"TABLE_"`
	// MinWait is how long a broker must have had at least before a time-out counts as its
	// failure, 50 ms by default. It must have had longer than it needs for others, too: the end
	// of a caller's own short time proves nothing. What it needs is estimated from its last
	// answers, as TCP estimates round trips. Where no answer is known it is 500 ms, and never
	// more than 1 s.
	MinWait time.Duration `json:"minWait" yaml:"minWait" env:"MIN_WAIT"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

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
// also by several producers at once, of one cluster or of several: it tells brokers apart by
// address and network ([core.Broker]).
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
	_ core.BrokerReporter  = (*Latency)(nil)
	_ core.Describer       = (*Latency)(nil)
)

// broker is what is known of one broker. The fields may be a step apart from
// each other while they are updated; the next outcome settles that.
type broker struct {
	until   atomic.Int64 // since base; leave it alone until then
	failed  atomic.Bool  // until comes from a failure that no success followed
	latency atomic.Int64 // of the last outcome
	need    verdict.Need // of the messages that it stored
}

// NewLatency makes a view that knows no broker yet. It reports all mistakes in
// cfg at once.
func NewLatency(cfg Config) (*Latency, error) {
	if cfg.Table.LatencyMax == nil && cfg.Table.NotAvailable == nil {
		java := Java5()
		cfg.Table.LatencyMax, cfg.Table.NotAvailable = java.LatencyMax, java.NotAvailable
		if cfg.Table.Isolation == 0 {
			cfg.Table.Isolation = java.Isolation
		}
	}
	if cfg.MinWait == 0 {
		cfg.MinWait = DefaultMinWait
	}
	err := cfg.Table.check()
	err = errors.Join(err, plausible.Named("MinWait", plausible.Time(cfg.MinWait, plausible.Moment, plausible.Day)))
	if err != nil {
		return nil, fmt.Errorf("latency health: %w", err)
	}
	cfg.Table.LatencyMax, cfg.Table.NotAvailable = slices.Clone(cfg.Table.LatencyMax), slices.Clone(cfg.Table.NotAvailable)
	return &Latency{
		table: cfg.Table, minWait: cfg.MinWait, base: time.Now(),
		brokers: perbroker.New(func(core.Broker) *broker { return new(broker) }),
	}, nil
}

// Health implements [core.HealthView].
func (l *Latency) Health(b core.Broker) core.Health {
	known := l.brokers.Find(b)
	if known == nil {
		return core.HealthGood
	}
	return known.health(l)
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
	if v == verdict.Nothing {
		return
	}
	b := l.brokers.Get(r.Attempt.Broker())
	switch v {
	case verdict.Served:
		b.need.Answered(r.Latency)
	case verdict.TimedOut:
		if r.Latency < l.enough(b) {
			return
		}
	}
	failed := v == verdict.Failed || v == verdict.TimedOut
	latency := r.Latency
	if failed {
		latency = l.table.Isolation
	}
	b.latency.Store(int64(r.Latency))
	b.failed.Store(failed)
	l.leaveAlone(b, l.table.Lookup(latency))
}

// enough is how long a broker must have had before a time-out counts. A broker that never
// answered is taken to need what the slowest of the others needs.
func (l *Latency) enough(b *broker) time.Duration {
	need := b.need.Time()
	if need == 0 {
		for _, other := range l.brokers.All() {
			need = max(need, other.need.Time())
		}
	}
	return verdict.Enough(l.minWait, need)
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
	Broker  string // its name
	Addr    string // its address, which tells it apart from others of that name
	Health  core.Health
	Latency time.Duration // of the last attempt that counted
	Left    time.Duration // until it is good again; zero if it is
}

func (b *broker) status(l *Latency, at core.Broker) Status {
	return Status{
		Broker: at.Name, Addr: at.Addr, Health: b.health(l), Latency: time.Duration(b.latency.Load()),
		Left: max(0, time.Duration(b.until.Load())-time.Since(l.base)),
	}
}

// Snapshot is what is known of each broker, by name and address.
func (l *Latency) Snapshot() []Status {
	out := []Status{}
	for at, b := range l.brokers.All() {
		out = append(out, b.status(l, at))
	}
	return out
}

// BrokerReport implements [core.BrokerReporter].
func (l *Latency) BrokerReport(b core.Broker) []core.Setting {
	known := l.brokers.Find(b)
	if known == nil {
		return nil
	}
	s := known.status(l, b)
	return []core.Setting{
		{Name: "latency health", Value: s.Health.String()},
		{Name: "latency of the last attempt", Value: s.Latency.String()},
		{Name: "left alone for", Value: s.Left.Round(time.Millisecond).String()},
	}
}

// Describe implements [core.Describer].
func (l *Latency) Describe() core.Description {
	var steps []string
	for i, d := range l.table.NotAvailable {
		if d > 0 {
			steps = append(steps, fmt.Sprintf("%v:%v", l.table.LatencyMax[i], d))
		}
	}
	quick := "leaves the time as it is"
	if l.table.Overwrite {
		quick = "ends the time"
	}
	return core.Description{Summary: "latency fault tolerance", Settings: []core.Setting{
		{Name: "left alone after a failure", Value: l.table.Lookup(l.table.Isolation).String()},
		{Name: "left alone after an answer of latency:time", Value: strings.Join(steps, " ")},
		{Name: "a quick answer", Value: quick},
		{Name: "time-outs count from", Value: l.minWait.String() + ", if the broker lately needed less"},
	}}
}
