package limit

import (
	"context"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/internal/perbroker"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// Adaptive bounds the attempts under way at each broker by a limit that follows what the
// broker can do.
//
// A broker that works on all it has answers as quickly as it can. Once it has more than it
// can work on, the rest waits in its queue, and every answer takes longer by that wait. So the
// limit is judged by the answers' time, a round at a time. A round ends with the 8th answer to
// attempts that began in it, or with the first one after a second. What counts is the quickest of
// them: a queue that empties now and then is none.
//
//   - Up to [AdaptiveConfig].Target, or half as long again, beyond the quickest answer that is
//     known is soon enough. Then the limit grows by its square root, if at least half of it was
//     in use.
//   - Beyond that it shrinks to the part that would have been soon enough, at most by half.
//   - An attempt that the broker did not serve (busy, unavailable, no or a lost connection, no
//     answer in the time that others' answers take) halves it, once for all attempts under way.
//   - It stays between Min and Max, and starts at 32, or at the nearer of the two.
//
// The quickest answer may become wrong: the broker has moved, or has a slower disk. So it is
// measured anew every 10 s. For 50 ms, or twice the time of an answer, a quarter of what was
// under way before is let in, unless that was less than Min: the broker's queue runs empty
// then. Producers that share a broker do it at the same time, as far as the clocks of their
// machines agree, because the queue does not run empty while others fill it. Each broker has a
// moment of its own.
//
// One-way attempts take room and teach nothing. So do attempts that the caller cancelled, those
// that a hook vetoed, and refusals that blame the message.
//
// It is safe for concurrent use, also by several producers at once, which then share room and
// what they learn; address and network tell brokers apart ([core.Broker]). It has no
// goroutine, and costs an attempt that finds room no allocation. It forgets a broker to which no
// route leads any more.
//
// The idea is that of TCP Vegas and of Netflix' concurrency-limits: keep the queue short by the
// time that it costs.
type Adaptive struct {
	cfg     AdaptiveConfig
	guard   *guard
	brokers *perbroker.Table[follower]
}

var (
	_ core.AttemptInterceptor = (*Adaptive)(nil)
	_ core.RouteListener      = (*Adaptive)(nil)
	_ core.BrokerReporter     = (*Adaptive)(nil)
	_ core.Describer          = (*Adaptive)(nil)
)

// NewAdaptive makes an adaptive limit that knows no broker yet. It reports all mistakes in cfg
// at once.
func NewAdaptive(cfg AdaptiveConfig) (*Adaptive, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("limit: adaptive: %w", err)
	}
	a := &Adaptive{cfg: cfg, guard: newGuard("brokers whose adaptive limit was reached")}
	a.brokers = perbroker.New(func(at core.Broker) *follower {
		start := min(max(firstLimit, a.cfg.Min), a.cfg.Max)
		return &follower{gate: a.guard.newGate(at, start), cfg: &a.cfg, size: float64(start), phase: phaseOf(at.Addr), begun: time.Now()}
	})
	return a, nil
}

// Step places the limit in the protect stage of attempt scope, under the name
// "limit.adaptive", outside of a breaker and within a bulkhead.
func (a *Adaptive) Step() core.Step {
	return core.AttemptStep("limit.adaptive", core.AttemptProtect, a).After("limit.bulkhead?").Before("breaker?")
}

// InterceptAttempt implements [core.AttemptInterceptor]. An attempt that does not get in
// fails with an [*Error].
func (a *Adaptive) InterceptAttempt(ctx context.Context, at *core.Attempt, next core.AttemptHandler) (res *core.Result, err error) {
	b := a.brokers.Get(at.Broker())
	number, err := a.guard.enter(ctx, at, &b.gate)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	end, says := start, nothing
	// Deferred, so that the room comes back on every path, a panic and runtime.Goexit
	// below included.
	defer func() { b.done(number, says, end.Sub(start), end) }()
	res, err = next(ctx, at)
	end = time.Now()
	says = b.judge(ctx, at, res, err, end.Sub(start))
	return res, err
}

// RouteChanged implements [core.RouteListener].
func (a *Adaptive) RouteChanged(r *core.RouteReport) { a.brokers.RouteChanged(r) }

// signal is what an attempt's end says about its broker's load.
type signal uint8

const (
	nothing    signal = iota
	served            // the broker stored the message, and how long that took counts
	overloaded        // it refused the message, or said nothing in time
)

// judge says what an attempt's end means.
func (f *follower) judge(ctx context.Context, at *core.Attempt, res *core.Result, err error, took time.Duration) signal {
	if at.Call().Mode() == core.Oneway || err != nil && !at.Entered() {
		return nothing
	}
	switch verdict.Of(ctx, res, err, at.Written()) {
	case verdict.Served:
		f.need.Answered(took)
		return served
	case verdict.Failed:
		return overloaded
	case verdict.TimedOut:
		if took >= verdict.Enough(verdict.MinWait, f.need.Time()) {
			return overloaded
		}
	}
	return nothing
}
