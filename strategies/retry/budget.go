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

// Budget is a bucket of tokens: a retry takes one, a call that succeeded puts
// ratio of one back, up to burst (the scheme of gRPC's retry throttling). So at
// steady state retries are at most ratio times the successes, and when a cluster
// fails altogether they end after burst. It has no clock. It is safe for
// concurrent use and allocates nothing.
type Budget struct {
	tokens atomic.Int64 // in millionths
	gain   int64
	full   int64
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
	b := &Budget{gain: int64(ratio*token + 0.5), full: int64(burst) * token}
	b.tokens.Store(b.full)
	return b, nil
}

// Withdraw implements [core.RetryBudget].
func (b *Budget) Withdraw() bool {
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

// Deposit implements [core.RetryBudget]. With a full budget, the usual case, it
// only reads.
func (b *Budget) Deposit() {
	for {
		now := b.tokens.Load()
		if now >= b.full || b.tokens.CompareAndSwap(now, min(now+b.gain, b.full)) {
			return
		}
	}
}

// Left is the number of retries that the budget would grant now.
func (b *Budget) Left() int { return int(b.tokens.Load() / token) }
