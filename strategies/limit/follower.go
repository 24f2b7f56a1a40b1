package limit

import (
	"hash/fnv"
	"math"
	"time"

	"github.com/liftoff-mq/liftoff/strategies/internal/verdict"
)

const (
	// firstLimit is the limit of a broker that is not known yet.
	firstLimit = 32
	// roundAnswers and roundTime end a round: enough answers to see whether the queue ever
	// emptied, or a second, where there are few.
	roundAnswers = 8
	roundTime    = time.Second
	// measureEvery is how often the quickest answer is measured, and measureTime is how long at
	// least that takes: other producers, whose clocks differ by a little, measure then too.
	measureEvery = 10 * time.Second
	measureTime  = 50 * time.Millisecond
	// measurePart is the part of what was under way that is let in meanwhile.
	measurePart = 4
)

// follower is what is kept for one broker: its gate, and what its limit follows. The lock of
// the gate guards all but need.
type follower struct {
	gate
	cfg  *AdaptiveConfig
	need verdict.Need

	size     float64       // the limit, with what is lost in rounding
	base     time.Duration // the quickest answer; 0 before the first
	measured int64         // the turn in which it was measured
	phase    time.Duration // of the turns
	// resume is the limit after the round that measures; 0 in any other round.
	resume float64

	// Of the round:
	begun    time.Time
	least    time.Duration // that it lasts
	after    uint64        // the last attempt before it
	answers  int           // so far
	quickest time.Duration // of them
}

// done ends an attempt that was let in.
func (f *follower) done(number uint64, says signal, took time.Duration, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.under--
	switch {
	case number <= f.after: // it tells of a limit that is no longer so
	case says == overloaded:
		f.round(f.size/2, now)
	case says == served:
		f.answered(max(took, 1), now)
	}
	f.admit()
}

// answered counts an answer, and decides when it ends the round.
func (f *follower) answered(took time.Duration, now time.Time) {
	if f.answers == 0 || took < f.quickest {
		f.quickest = took
	}
	f.answers++
	if lasted := now.Sub(f.begun); lasted < roundTime && (f.answers < roundAnswers || lasted < f.least) {
		return
	}
	switch {
	case f.resume > 0:
		f.base, f.measured = f.quickest, f.turn(now)
		f.round(f.resume, now)
		return
	case f.base == 0:
		f.base, f.measured = f.quickest, f.turn(now)
	default:
		f.base = min(f.base, f.quickest)
	}
	if f.turn(now) != f.measured {
		f.measure(now)
		return
	}
	f.round(f.next(), now)
}

// turn numbers the times between measurements. Producers that share a broker have to measure at
// the same time: the queue does not run empty while others fill it. They agree on the time of
// day and on the broker's address, which says when its turn begins. So it is the turn of one
// broker at a time, and the messages go to the others.
func (f *follower) turn(now time.Time) int64 {
	return (now.UnixNano() + int64(f.phase)) / int64(measureEvery)
}

// phaseOf spreads the turns of brokers over the time between two measurements.
func phaseOf(addr string) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(addr)) // it has no errors
	return time.Duration(h.Sum64() % uint64(measureEvery))
}

// next is the limit of the next round.
func (f *follower) next() float64 {
	soon := f.base + max(f.cfg.Target, f.base/2)
	switch {
	case f.quickest > soon:
		return f.size * max(float64(soon)/float64(f.quickest), 0.5)
	case 2*f.peak >= f.limit:
		return f.size + math.Sqrt(f.size)
	}
	return f.size
}

// round begins a round with a limit of size, or the nearest that is allowed.
func (f *follower) round(size float64, now time.Time) {
	f.size = min(max(size, float64(f.cfg.Min)), float64(f.cfg.Max))
	f.resume, f.least = 0, 0
	f.begin(int(f.size), now)
}

// measure begins a round that lets the broker's queue run empty.
func (f *follower) measure(now time.Time) {
	f.resume, f.least = f.size, max(measureTime, 2*f.quickest)
	limit := f.limit
	if f.peak >= f.cfg.Min {
		limit = f.peak / measurePart
	}
	f.begin(max(limit, 1), now)
}

func (f *follower) begin(limit int, now time.Time) {
	f.limit, f.peak = limit, 0
	f.begun, f.after, f.answers = now, f.entered, 0
}
