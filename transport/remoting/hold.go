package remoting

import (
	"sync/atomic"
	"time"
)

// When many answers are due and they come quickly, a frame that waits for a few
// others costs its caller next to nothing, because the broker has work in its
// queue, and saves both sides a system call and a wake-up. How long frames may
// wait follows from the pace of the answers: what comes back makes the callers
// send again.
const (
	// holdMost is how long a frame is meant to wait for others at the most.
	holdMost = 200 * time.Microsecond
	// holdShare is how many answers must be due for each frame that waits: the
	// broker never runs out of work for it.
	holdShare = 8
	// holdFrames and holdBytes are worth a system call of their own.
	holdFrames = 16
	holdBytes  = 32 << 10
	// holdAlarm ends the wait when the answers fail to come.
	holdAlarm = time.Millisecond
)

// enough reports whether what is queued is to be written now. It is called with
// the lock held.
func (cn *conn) enough() bool {
	n := cn.waiting
	if n == 0 {
		return cn.head < len(cn.queue) // answers to the peer's requests
	}
	due := len(cn.pending) - n
	want := min(int64(due/holdShare), holdFrames, int64(holdMost)/max(cn.pace.gap.Load(), 1))
	return int64(n) >= want || cn.bytes >= holdBytes
}

// alarm makes the writer come if nobody else writes what is queued. It is called
// with the lock held.
func (cn *conn) alarm() {
	if !cn.armed {
		cn.armed = true
		cn.timer.Reset(holdAlarm)
	}
}

// pace is how quickly answers come on a connection.
type pace struct {
	gap atomic.Int64 // mean time from one answer to the next, in ns
}

// paceWeight is the weight of what is new in the mean: an eighth.
const paceWeight = 8

// slow is the pace of a connection of which nothing is known: nobody waits.
func (p *pace) slow() { p.gap.Store(int64(holdAlarm)) }

// note says that n answers came in the time d.
func (p *pace) note(d time.Duration, n int) {
	if n > 0 {
		each := int64(min(d, holdAlarm)) / int64(n)
		old := p.gap.Load()
		p.gap.Store(old + (each-old)/paceWeight)
	}
}
