package remoting

import (
	"sync/atomic"
	"time"
)

// When many answers are due and they come quickly, a frame that waits for a few
// others costs its caller next to nothing, because the broker has work in its
// queue, and saves both sides a system call and a wake-up. So does an answer that
// waits for a few others in the socket. How long they may wait follows from the
// pace of the answers: what comes back makes the callers send again.
const (
	// holdMost is how long frames are meant to wait for each other at the most.
	holdMost = 500 * time.Microsecond
	// holdShare is how many answers must be due for each frame that waits: the
	// broker never runs out of work for it.
	holdShare = 4
	// holdFrames and holdBytes are worth a system call of their own.
	holdFrames = 16
	holdBytes  = 32 << 10
	// holdAlarm ends the wait when the answers fail to come.
	holdAlarm = time.Millisecond
)

// company is how many frames it is good to have together, on their way out or in;
// it may be none. It is called with the lock held.
func (cn *conn) company() int {
	due := len(cn.pending) - cn.waiting
	return int(min(int64(due/holdShare), holdFrames, int64(holdMost)/max(cn.pace.gap.Load(), 1)))
}

// enough reports whether what is queued is to be written now. It is called with
// the lock held.
func (cn *conn) enough() bool {
	if cn.waiting == 0 {
		return cn.head < len(cn.queue) // answers to the peer's requests
	}
	return cn.waiting >= cn.company() || cn.bytes >= holdBytes
}

// alarm makes the writer come if nobody else writes what is queued. It is called
// with the lock held.
func (cn *conn) alarm() {
	if !cn.armed {
		cn.armed = true
		cn.timer.Reset(holdAlarm)
	}
}

// pace is how quickly answers come on a connection, and how large they are.
type pace struct {
	gap  atomic.Int64 // mean time from one answer to the next, in ns
	size int          // mean size of an answer, in bytes; the reader's own
}

// paceWeight is the weight of what is new in the means: an eighth.
const paceWeight = 8

// slow is the pace of a connection of which nothing is known: nobody waits.
func (p *pace) slow() { p.gap.Store(int64(holdAlarm)) }

// note says that n answers of so many bytes came in the time d.
func (p *pace) note(d time.Duration, n, bytes int) {
	if n > 0 {
		each := int64(min(d, holdAlarm)) / int64(n)
		old := p.gap.Load()
		p.gap.Store(old + (each-old)/paceWeight)
		p.size += (bytes/n - p.size) / paceWeight
	}
}

// gathering is how many bytes are in the socket when as many answers have come as
// should: 1 if the first that comes is to be read at once.
func (cn *conn) gathering() int {
	cn.mu.Lock()
	n := cn.company()
	cn.mu.Unlock()
	if n < 2 {
		return 1
	}
	return min((n-1)*cn.pace.size+1, holdBytes) // the last one need not be whole
}
