package retry

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
)

// The numbers that suit most producers: retries up to a tenth of the calls that
// succeed, and 100 at once after a quiet time.
const (
	DefaultRatio = 0.1
	DefaultBurst = 100
)

// OutageBurst is how many retries a [Budget] grants at once while no broker is left that is
// not known to be down. It lets a thousand messages a second, or three hundred callers,
// outlast a broker that is busy for 300 ms and has no other beside it; and at a thousand
// messages a second it keeps a cluster that is gone for 10 s below 1.2 requests a message.
const OutageBurst = 1500

// Budget is a bucket of tokens: a retry takes one, a call that succeeded puts
// ratio of one back, up to burst (the scheme of gRPC's retry throttling). So at
// steady state retries are at most ratio times the successes.
//
// Retries in an outage ([core.Failure].Outage) have a bucket of their own, which holds at most
// [OutageBurst] and gets what the first one has no room for. A broker that goes away fails everything that
// was under way to it, and all of that may be retried elsewhere: for this burst is large.
// Where every broker is down, or the only one that may take the message, so many retries would
// be nothing but a flood. And what keeps asking for its own dead broker, by a sharding key,
// must not use up the retries of messages that another broker would take.
//
// A budget has no clock. It is safe for concurrent use and allocates nothing.
type Budget struct {
	usual, outage bucket
	gain          int64 // what a success puts back, in millionths
}

var _ core.RetryBudget = (*Budget)(nil)

const token = 1_000_000

const maxBurst = 1_000_000_000

// NewBudget makes a full budget. Ratio is between 0 and 1, burst at least 1.
func NewBudget(ratio float64, burst int) (*Budget, error) {
	var errs []error
	if !(ratio >= 0 && ratio <= 1) {
		errs = append(errs, fmt.Errorf("ratio %v is not between 0 and 1", ratio))
	}
	if burst < 1 || burst > maxBurst {
		errs = append(errs, fmt.Errorf("burst %d is not between 1 and %d", burst, maxBurst))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("retry budget: %w", err)
	}
	b := &Budget{gain: int64(ratio*token + 0.5)}
	b.usual.fill(burst)
	b.outage.fill(min(burst, OutageBurst))
	return b, nil
}

// Withdraw implements [core.RetryBudget].
func (b *Budget) Withdraw(f *core.Failure) bool {
	if f.Outage {
		return b.outage.take()
	}
	return b.usual.take()
}

// Deposit implements [core.RetryBudget]. With a full budget, the usual case, it
// only reads.
func (b *Budget) Deposit() {
	if !b.usual.put(b.gain) {
		b.outage.put(b.gain)
	}
}

// Left is the number of retries that the budget would grant now, as long as a broker works.
func (b *Budget) Left() int { return b.usual.left() }

// LeftInOutage is the number of retries that it would grant now in an outage.
func (b *Budget) LeftInOutage() int { return b.outage.left() }

// bucket holds tokens, counted in millionths.
type bucket struct {
	tokens atomic.Int64
	full   int64
}

func (b *bucket) fill(burst int) {
	b.full = int64(burst) * token
	b.tokens.Store(b.full)
}

func (b *bucket) take() bool {
	for {
		now := b.tokens.Load()
		if now < token {
			return false
		}
		if b.tokens.CompareAndSwap(now, now-token) {
			return true
		}
	}
}

// put reports whether there was room.
func (b *bucket) put(gain int64) bool {
	for {
		now := b.tokens.Load()
		if now >= b.full {
			return false
		}
		if b.tokens.CompareAndSwap(now, min(now+gain, b.full)) {
			return true
		}
	}
}

func (b *bucket) left() int { return int(b.tokens.Load() / token) }
