package verdict

import (
	"math"
	"sync/atomic"
	"time"
)

// A time-out says that its attempt's time was too short, or that the broker is ill. Which of
// the two depends on how long the broker needs for others. One caller who gives its sends
// 80 ms at a broker that needs 100 ms must not make it look ill to those who are patient.

const (
	// Patience is enough time for every broker: one that is silent for so long is in
	// trouble, however long it needed before. It is the default cap of an attempt.
	Patience = time.Second
	// Unknown is how long a broker must have had of which, as of all others, no answer is
	// known yet.
	Unknown = 500 * time.Millisecond
)

// Need is how long a broker lately needed for its answers, estimated as TCP estimates round
// trips (RFC 6298): the mean, and four times the mean deviation from it, each of which follows
// the last answers. The zero value knows of no answer. It is safe for concurrent use.
type Need struct {
	// The mean in its upper half and the deviation in its lower, in microseconds; 0 for no
	// answer yet.
	estimate atomic.Uint64
}

// Answered notes how long an answer took. Of answers that come at the same moment some may
// not count.
func (n *Need) Answered(took time.Duration) {
	us := min(max(took.Microseconds(), 1), math.MaxUint32)
	old := n.estimate.Load()
	mean, deviation := unpack(old)
	if old == 0 {
		mean, deviation = us, us/2
	} else {
		off := us - mean
		mean += off / 8
		deviation += (max(off, -off) - deviation) / 4
	}
	n.estimate.CompareAndSwap(old, uint64(mean)<<32|uint64(deviation))
}

// Time is what the broker needs, at least a quarter more than the mean; 0 if that is not known.
func (n *Need) Time() time.Duration {
	mean, deviation := unpack(n.estimate.Load())
	return time.Duration(mean+max(4*deviation, mean/4)) * time.Microsecond
}

func unpack(estimate uint64) (mean, deviation int64) {
	return int64(estimate >> 32), int64(estimate & math.MaxUint32)
}

// Enough is how long a broker must have had before its silence counts against it: at least
// minWait, more if it or, where it never answered, another one needs more, and never more than
// [Patience] or minWait.
func Enough(minWait, need time.Duration) time.Duration {
	if need == 0 {
		need = Unknown
	}
	return max(minWait, min(need, Patience))
}
