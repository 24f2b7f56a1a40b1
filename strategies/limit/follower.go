package limit

import (
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
	// measureEvery is how old the quickest answer may become.
	measureEvery = 10 * time.Second
	// measurePart is the part of what was under way that is let in while it is measured. A
	// limit that keeps the answers soon enough holds less than that in the broker's queue.
	measurePart = 4
)

// follower is what is kept for one broker: its gate, and what its limit follows. The lock of
// the gate guards all but need.
type follower struct {
	gate
	cfg  *AdaptiveConfig
	need verdict.Need

	size  float64       // the limit, with what is lost in rounding
	base  time.Duration // the quickest answer; 0 before the first
	based time.Time     // when it was measured
	// resume is the limit after the round that measures; 0 in any other round.
	resume float64

	// Of the round:
	begun    time.Time
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
		f.round(max(f.size, f.resume)/2, now)
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
	if f.answers < roundAnswers && now.Sub(f.begun) < roundTime {
		return
	}
	switch {
	case f.resume > 0:
		f.base, f.based = f.quickest, now
		f.round(f.resume, now)
		return
	case f.base == 0 || f.peak <= f.cfg.Min:
		f.base, f.based = f.quickest, now
	default:
		f.base = min(f.base, f.quickest)
	}
	if now.Sub(f.based) >= measureEvery {
		f.measure(now)
		return
	}
	f.round(f.next(), now)
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
	f.resume = 0
	f.begin(int(f.size), now)
}

// measure begins a round that lets the broker's queue run empty.
func (f *follower) measure(now time.Time) {
	f.resume = f.size
	f.begin(max(f.peak/measurePart, 1), now)
}

func (f *follower) begin(limit int, now time.Time) {
	f.limit, f.peak = limit, f.under
	f.begun, f.after, f.answers = now, f.entered, 0
}
