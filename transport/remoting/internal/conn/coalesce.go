package conn

import (
	"sync/atomic"
	"time"
)

// Flush coalescing: when many answers are due and they come quickly, a frame waits for a
// few others before it is written. That costs its caller next to nothing, because the
// broker has work in its queue, and it saves both sides a system call and a wake-up.
// Answers are read by the same rule: the kernel wakes the goroutine that reads when a few
// of them are there.
//
// How many go together follows from how quickly answers come, because what comes back
// makes the callers send again. With few requests under way nothing waits.
const (
	// coalesceFor is how long frames are meant to wait for each other at the most.
	coalesceFor = 500 * time.Microsecond
	// duePerFrame is how many answers must be due for each frame that waits: the broker
	// never runs out of work for it.
	duePerFrame = 4
	// coalesceFrames and coalesceBytes are worth a system call of their own.
	coalesceFrames = 16
	coalesceBytes  = 32 << 10
	// flushDelay is after how long the flush timer ends the wait when the answers fail to
	// come.
	flushDelay = time.Millisecond
)

// batchTarget is how many frames are best written or read at a time, while so many answers
// are due and one comes each gap. 0 and 1 mean that none waits.
func batchTarget(due int, gap time.Duration) int {
	return min(due/duePerFrame, coalesceFrames, int(coalesceFor/max(gap, 1)))
}

// batchTarget is called with the lock held.
func (c *Conn) batchTarget() int {
	return batchTarget(len(c.table.underWay)-c.write.queue.requests, c.rate.gap())
}

// flushDue reports whether what is queued is to be written now. It is called with the
// lock held.
func (c *Conn) flushDue() bool {
	q := &c.write.queue
	if q.requests == 0 {
		return !q.empty() // replies do not wait
	}
	return q.requests >= c.batchTarget() || c.admission.bytes >= coalesceBytes
}

// readLowWater is how many bytes are in the socket when as many answers have come as are
// best read together. 1 means that the first byte is to be read at once.
func (c *Conn) readLowWater() int {
	c.mu.Lock()
	n := c.batchTarget()
	c.mu.Unlock()
	if n < 2 {
		return 1
	}
	return min((n-1)*c.rate.size+1, coalesceBytes) // the last one need not be whole
}

// flushTimer wakes the writer goroutine for frames that are being coalesced. The
// connection's lock guards it. An expiry that comes too late does no harm.
type flushTimer struct {
	t       *time.Timer
	running bool
}

func newFlushTimer() flushTimer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return flushTimer{t: t}
}

// c is where the timer fires.
func (f *flushTimer) c() <-chan time.Time { return f.t.C }

// start makes the timer fire after flushDelay, unless it runs already.
func (f *flushTimer) start() {
	if !f.running {
		f.running = true
		f.t.Reset(flushDelay)
	}
}

func (f *flushTimer) stop() {
	if f.running {
		f.running = false
		f.t.Stop()
	}
}

// fired notes that the timer's channel was received from.
func (f *flushTimer) fired() { f.running = false }

// answerRate is how quickly answers come on a connection, and how large they are. The
// means move by an eighth for each read.
type answerRate struct {
	meanGap atomic.Int64 // from one answer to the next, in ns
	size    int          // mean size of an answer, in bytes; only for the goroutine that reads
}

// rateWeight is the share of what is new in the means: one part of so many.
const rateWeight = 8

// reset makes the rate that of a connection on which nothing is known: so slow that
// nothing is coalesced.
func (a *answerRate) reset() { a.meanGap.Store(int64(flushDelay)) }

// gap is the mean time from one answer to the next.
func (a *answerRate) gap() time.Duration { return time.Duration(a.meanGap.Load()) }

// note says that some answers, of so many bytes in all, came in a time. Only the
// goroutine that reads calls it.
func (a *answerRate) note(took time.Duration, answers, bytes int) {
	if answers == 0 {
		return
	}
	each := int64(min(took, flushDelay)) / int64(answers)
	old := a.meanGap.Load()
	a.meanGap.Store(old + (each-old)/rateWeight)
	a.size += (bytes/answers - a.size) / rateWeight
}
