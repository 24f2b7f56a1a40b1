package selector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/internal/random"
	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

// The defaults of a [PowerOfTwoConfig].
const (
	DefaultDecay   = 3 * time.Second
	DefaultPenalty = time.Second
)

// PowerOfTwoConfig configures a selector by latency and load. Zero values mean the defaults.
//
// It can be decoded from YAML, JSON and environment variables; the tags have the names.
// Durations are text there, such as "1.5s".
type PowerOfTwoConfig struct {
	// Decay is the time in which what was learnt of a latency fades to about a third (1/e), 3 s
	// by default, from 10 ms to an hour. After a longer latency a broker gets less until that
	// has faded: with a time of Decay*ln(x), about, where it was x times as slow as the others.
	Decay time.Duration `json:"decay" yaml:"decay" env:"DECAY"`
	// Penalty is the latency that a failed attempt counts as at least, 1 s by default, from 1
	// ms to an hour: a broker that refuses at once must not look fast. It is also what each
	// attempt under way costs at a broker of which nothing is known, so that a new broker is
	// tried with one attempt first.
	Penalty time.Duration `json:"penalty" yaml:"penalty" env:"PENALTY"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *PowerOfTwoConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is not zero, with durations as text.
func (c PowerOfTwoConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// withDefaults fills the zero values and reports everything that is wrong.
func (c PowerOfTwoConfig) withDefaults() (PowerOfTwoConfig, error) {
	if c.Decay == 0 {
		c.Decay = DefaultDecay
	}
	if c.Penalty == 0 {
		c.Penalty = DefaultPenalty
	}
	return c, errors.Join(
		plausible.Named("Decay", plausible.Time(c.Decay, 10*plausible.Moment, time.Hour)),
		plausible.Named("Penalty", plausible.Time(c.Penalty, plausible.Moment, time.Hour)),
	)
}

// NewPowerOfTwo makes a selector that looks at two random brokers and takes the one of the
// better rank (see the package comment), of equal ones the one of the lower cost, and there a
// random queue. It reports all mistakes in cfg at once.
//
// The cost is the broker's latency times the attempts that would be under way. The latency is
// a peak estimate, as Finagle's and Linkerd's: a longer one counts at once, shorter ones count
// slowly. So a broker that slows down gets less with the first slow answer, and more again as
// [PowerOfTwoConfig].Decay says. To look at two and not at all keeps many producers from
// running to the same best broker together.
//
// What counts: answers by their latency, also those that refuse a message; lost and refused
// connections and answers such as SYSTEM_BUSY as the penalty at least; a time-out as the time
// that it took, so that a caller's short time makes no broker look ill. What does not:
// attempts that a hook vetoed or the caller cancelled, and one-way sends.
//
// Where all brokers answer alike, their shares are alike in the long run, and over some
// seconds they differ, because a single slow answer moves load to the others. How many queues
// a broker has does not change its share. Where none has answered yet it is a random broker.
// A pick costs two looks, whatever the number of brokers, and one at each where both ail.
//
// What is learnt is shared by the selectors of all topics and producers that share this
// factory. Brokers to which no route leads are forgotten.
func NewPowerOfTwo(cfg PowerOfTwoConfig) (core.SelectorFactory, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("selector power of two: %w", err)
	}
	return &powerOfTwo{
		cfg: cfg, loads: newLoads("power of two"),
		decay: decay{float64(cfg.Decay) / float64(time.Millisecond), time.Now()},
	}, nil
}

type powerOfTwo struct {
	cfg   PowerOfTwoConfig
	loads *loads
	decay decay
}

// Describe implements [core.Describer].
func (f *powerOfTwo) Describe() core.Description {
	return core.Description{Summary: "of two random brokers the one with less latency and fewer attempts under way", Settings: []core.Setting{
		{Name: "latency fades to 1/e in", Value: f.cfg.Decay.String()},
		{Name: "a failure counts as", Value: f.cfg.Penalty.String() + " at least"},
		preference,
	}}
}

// RouteChanged implements [core.RouteListener].
func (f *powerOfTwo) RouteChanged(r *core.RouteReport) { f.loads.table.RouteChanged(r) }

// ForTopic implements [core.SelectorFactory].
func (f *powerOfTwo) ForTopic(string) core.QueueSelector {
	s := &powerSelector{shared: f}
	s.brokers.make = f.loads.of
	return s
}

type powerSelector struct {
	shared  *powerOfTwo
	brokers perRoute[loaded]
}

// Select implements [core.QueueSelector].
func (s *powerSelector) Select(_ context.Context, sel *core.Selection) (int, error) {
	at := s.brokers.of(sel.Route())
	now := s.shared.decay.now()
	var least choice
	offer := func(i int) {
		least.offer(i, rankOf(sel, at.groups[i].queues[0]), s.cost(at.loads[i], now), 1)
	}
	n := len(at.groups)
	first := random.IntN(n)
	if offer(first); n > 1 {
		second := random.IntN(n - 1)
		if second >= first {
			second++
		}
		offer(second)
	}
	if least.rank != fresh && n > 2 {
		least = choice{}
		for i := range n {
			offer(i)
		}
	}
	s.shared.loads.take(sel.Call(), at.loads[least.index])
	return at.groups[least.index].any(), nil
}

// cost is what one attempt more at a broker costs, in seconds times attempts.
func (s *powerSelector) cost(l *load, now uint32) float64 {
	under := float64(max(0, l.inFlight.Load()))
	if latency := l.latency.seconds(&s.shared.decay, now); latency > 0 {
		return latency * (under + 1)
	}
	return s.shared.cfg.Penalty.Seconds() * under
}

// AttemptDone implements [core.AttemptListener].
func (s *powerSelector) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	l, old := s.shared.loads.done(r.Attempt)
	if old {
		s.brokers.forget()
	}
	if r.Abandoned {
		return
	}
	latency := r.Latency
	switch verdict.Of(ctx, r.Result, r.Err, r.Written) {
	case verdict.Nothing:
		return
	case verdict.Failed:
		latency = max(latency, s.shared.cfg.Penalty)
	}
	l.latency.observe(&s.shared.decay, s.shared.decay.now(), latency)
}
