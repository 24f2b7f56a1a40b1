package limit

import (
	"math"
	"time"

	"golang.org/x/time/rate"

	"github.com/liftoff-mq/liftoff/internal/fifo"
)

// bucket is what is kept for one topic. The lock of its Rate guards it.
type bucket struct {
	parent  *Rate
	tokens  *rate.Limiter // used as arithmetic alone: who waits stands in line
	line    fifo.List[turn]
	waiting int         // messages of those in line
	timer   *time.Timer // rings when the first of them has its turn; nil before the first wait
}

// turn is a call that waits. It is in its bucket's line until it has its turn or gives up.
type turn struct {
	n     int           // messages
	ready chan struct{} // has room for one
	node  fifo.Node[turn]
}

func (r *Rate) newBucket() *bucket {
	return &bucket{parent: r, tokens: rate.NewLimiter(rate.Limit(r.cfg.PerSecond), r.cfg.Burst)}
}

// take takes n tokens if n are there, or all that the bucket can hold. What is missing then is
// a debt, which time has to fill before there are tokens again.
func (b *bucket) take(now time.Time, n int) bool {
	part := b.part(n)
	if !b.tokens.AllowN(now, part) {
		return false
	}
	for n -= part; n > 0; n -= part {
		part = b.part(n)
		b.tokens.ReserveN(now, part)
	}
	return true
}

// part is how many of n tokens the bucket can hold at once.
func (b *bucket) part(n int) int { return min(n, b.tokens.Burst()) }

// after is how long a call that came now would wait behind those in line.
func (b *bucket) after(now time.Time, n int) time.Duration {
	return b.until(now, b.waiting+b.part(n))
}

// until is how long it takes until so many tokens have come in, those that are there included.
func (b *bucket) until(now time.Time, tokens int) time.Duration {
	seconds := (float64(tokens) - b.tokens.TokensAt(now)) / float64(b.tokens.Limit())
	if seconds >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(math.Ceil(max(seconds, 0) * float64(time.Second)))
}

// queue puts a call at the end of the line.
func (b *bucket) queue(t *turn, now time.Time) {
	b.line.Push(&t.node, t)
	b.waiting += t.n
	if b.line.Len() == 1 {
		b.advance(now)
	}
}

// advance lets those pass whose turn it is, and sets the timer for the next.
func (b *bucket) advance(now time.Time) {
	for b.line.Len() > 0 && b.take(now, b.line.First().n) {
		t := b.line.First()
		b.line.Remove(&t.node)
		b.waiting -= t.n
		t.ready <- struct{}{}
	}
	if b.line.Len() == 0 {
		return // the timer may still ring, and finds nobody
	}
	// Rounding may leave the smallest part of a token missing.
	d := max(b.until(now, b.part(b.line.First().n)), time.Microsecond)
	if b.timer == nil {
		b.timer = time.AfterFunc(d, b.ring)
	} else {
		b.timer.Reset(d)
	}
}

// ring runs on the timer's goroutine.
func (b *bucket) ring() {
	b.parent.mu.Lock()
	defer b.parent.mu.Unlock()
	b.advance(time.Now())
}

// idle reports whether the bucket is as good as new.
func (b *bucket) idle(now time.Time) bool {
	return b.line.Len() == 0 && b.tokens.TokensAt(now) >= float64(b.tokens.Burst())
}
