package breaker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// Breakers has a circuit breaker for each broker. A broker's breaker is made
// when an attempt first goes to it and dropped when no route leads to it any
// more. It is safe for concurrent use, also by several producers at once, which
// then share what they learn. An attempt costs it one allocation.
type Breakers struct {
	cfg     Config
	base    time.Time // the clock's zero; on the monotonic clock
	brokers *perbroker.Table[broker]
	changes changes
}

var (
	_ core.AttemptInterceptor = (*Breakers)(nil)
	_ core.HealthView         = (*Breakers)(nil)
	_ core.RouteListener      = (*Breakers)(nil)
)

// New makes breakers, all closed. It reports all mistakes in cfg at once.
func New(cfg Config) (*Breakers, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("breaker: %w", err)
	}
	b := &Breakers{cfg: cfg, base: time.Now()}
	b.brokers = perbroker.New(func(name string) *broker { return newBroker(b, name) })
	return b, nil
}

// Step places the breakers around each attempt, in the stage that protects
// brokers, under the name "breaker".
func (b *Breakers) Step() core.Step {
	return core.AttemptStep("breaker", core.AttemptProtect, b)
}

// InterceptAttempt implements [core.AttemptInterceptor]. A refusal wraps
// [core.ErrCircuitOpen] and names the broker.
func (b *Breakers) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (res *core.Result, err error) {
	br := b.brokers.Get(at.Broker().Name)
	done, refused := br.current.Load().two.Allow()
	if refused != nil && !at.LastResort() {
		b.deliver()
		return nil, br.refusal
	}
	// Deferred, so that it runs exactly once on every path, a panic and
	// runtime.Goexit below included: a probe whose end is never told would keep
	// the breaker half-open for ever.
	outcome := errNothing
	defer func() {
		switch {
		case done != nil:
			done(outcome)
		case outcome == nil:
			br.close()
		}
		b.deliver()
	}()
	start := time.Since(b.base)
	res, err = next(ctx, at)
	outcome = b.judge(ctx, br, at, start, res, err)
	return res, err
}

// judge says what to tell gobreaker.
func (b *Breakers) judge(ctx context.Context, br *broker, at *core.Attempt, start time.Duration, res *core.Result, err error) error {
	if err != nil && !at.Entered() {
		return errNothing // a veto further in, whatever its error looks like
	}
	v := verdict.Of(ctx, res, err, at.Written())
	if v == verdict.Nothing {
		return errNothing
	}
	if err == nil || answered(err) {
		br.alive.Store(int64(time.Since(b.base)))
	}
	switch {
	case v == verdict.Served:
		return nil
	case v == verdict.Answered, b.ignored(err):
		return errNothing
	case v == verdict.Failed:
		return errFailed
	}
	switch waited := time.Since(b.base) - start; {
	case waited < b.cfg.MinWait:
		return errNothing
	case b.cfg.HangAfter >= 0 && waited >= b.cfg.HangAfter && time.Duration(br.alive.Load()) <= start:
		return errHung
	default:
		return errFailed
	}
}

// answered reports whether the broker said something, whatever it said.
func answered(err error) bool {
	var be *core.BrokerError
	return errors.As(err, &be)
}

func (b *Breakers) ignored(err error) (ignored bool) {
	defer b.keepPanic("Ignore", func() { ignored = false })
	return b.cfg.Ignore(err)
}

func (b *Breakers) trip(c Counts) (trip bool) {
	defer b.keepPanic("Trip", func() { trip = DefaultTrip(c) })
	return b.cfg.Trip(c)
}

// keepPanic is deferred around the user's functions: their panic must not touch
// the send, which has its outcome already.
func (b *Breakers) keepPanic(function string, instead func()) {
	if v := recover(); v != nil {
		b.cfg.Logger.Error("breaker's function panicked", "function", function, "panic", v)
		instead()
	}
}

func (b *Breakers) deliver() { b.changes.deliver(b.changed) }

func (b *Breakers) changed(c change) {
	log := b.cfg.Logger.Info
	if c.to == Open {
		log = b.cfg.Logger.Warn
	}
	log("circuit breaker changed", "broker", c.broker, "from", c.from.String(), "to", c.to.String())
	defer b.keepPanic("OnStateChange", func() {})
	b.cfg.OnStateChange(c.broker, c.from, c.to)
}

// Health implements [core.HealthView]: down while the breaker refuses, good
// otherwise, also when it is half-open and wants a probe.
func (b *Breakers) Health(name string) core.Health {
	if br := b.brokers.Find(name); br != nil {
		return br.health()
	}
	return core.HealthGood
}

// RouteChanged implements [core.RouteListener].
func (b *Breakers) RouteChanged(r *core.RouteReport) { b.brokers.RouteChanged(r) }

// Status describes one breaker.
type Status struct {
	Broker string
	State  State
	Since  time.Time // of the last change, or of the breaker's making
	Counts Counts    // since then, within the window
}

// States describes the breakers now, by broker name.
func (b *Breakers) States() []Status {
	defer b.deliver()
	all := b.brokers.All()
	out := make([]Status, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[name].status())
	}
	return out
}
