package conn

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The read side is the right to read from the socket: leadership, in the words of the
// leader/follower pattern. On a busy connection the reader goroutine leads and hands out
// the answers. On a connection with one caller at a time that caller leads while it waits
// for its answer. This spares the switch to the reader goroutine and back, and two
// threads that Go wakes up each time to look for work.
//
//	┌───────────┐  some answers in a row      ┌─────────┐  a caller acquires it  ┌───────────┐
//	│ by reader │  with nothing under way     │ offered │ ─────────────────────▶ │ by caller │
//	│           │ ──────────────────────────▶ │         │                        │           │
//	│           │ ◀────────────────────────── │         │ ◀───────────────────── │           │
//	└───────────┘  no caller came for 10 ms   └────┬────┘  its answer came, and  └─────┬─────┘
//	      ▲                                        │       nothing is under way        │
//	      │                                        │                                   │
//	      │                another request came    │   something is under way, or      │
//	      │                                        ▼   the caller must wait elsewhere  │
//	      │  the reader goroutine wakes up  ┌─────────────┐                            │
//	      └──────────────────────────────── │ handed over │ ◀──────────────────────────┘
//	                                        └─────────────┘
//
//	any ── Close ──▶ ended
//
// In the state offered no goroutine reads. That is right only while no answer is due.
//
// The races, step by step:
//
// A second caller finds the first one leading, and the first one offers the read side
// again before the second one's request is in the table. No goroutine would read the
// second one's answer. So each request looks once more when it is put into the table,
// with the lock held: if the read side is offered then, the reader goroutine gets it.
//
// The first caller is done while the second one's request is in the table. With the lock
// held, the first caller sees that something is under way, and hands the read side over to
// the reader goroutine instead of offering it.
//
// The reader goroutine ends an unused offer while a caller acquires the read side. Both
// hold the lock and look at the state first. The second one finds it changed.
//
// The caller that leads has to wait for admission. The peer may wait for us to read before
// it reads, and then there is never room. So the caller hands the read side over before it
// waits.
//
// The peer hangs up while the read side is offered. No goroutine sees that for up to
// 20 ms. So a caller that leads looks into the socket before it writes, if the last read
// was some time ago. If the peer has hung up, nothing was sent.
//
// A frame is incomplete when the caller has read for long enough. The caller does not wait
// for the rest, because its own deadline may come first. So the reader goroutine gets the
// read side.
//
// The connection ends while a caller leads. The caller's next read fails, or its request
// is told of the end. It finds the state ended and leaves it so.

// readState says which goroutine reads.
type readState uint32

const (
	readByReader   readState = iota // the reader goroutine
	readOffered                     // none; the next caller may
	readByCaller                    // a caller, until its answer is there or it has read a few times
	readHandedOver                  // the reader goroutine, which has not woken up yet
	readEnded                       // none, for good
)

const (
	// offerAfter is after how many answers in a row without another request under way the
	// read side is offered.
	offerAfter = 8
	// offerFor is how long a connection stays without a reader when no caller comes.
	offerFor = 10 * time.Millisecond
	// lookAfter is how long ago the last read may be before a caller that leads looks
	// whether the peer has hung up: as long as a reader takes to wake up and notice.
	lookAfter = 100 * time.Microsecond
	// maxCallerReads is how many times a caller that leads reads, busyPoll long each.
	maxCallerReads = 4
	// probeEvery is for how many requests of callers that lead one finds out whether other
	// goroutines want its processor, which it keeps while it waits in the kernel. If they
	// do, the read side is not offered for the next probePenalty answers.
	probeEvery   = 32
	probePenalty = 256
)

// readSide is the state of the read side. State is changed with the connection's lock
// held, and may be read without: a caller that sees it is not offered needs no lock. The
// lock guards the rest.
type readSide struct {
	state    atomic.Uint32
	leader   *Request      // whose caller leads; nil unless readByCaller
	acquired uint64        // how often a caller acquired the read side
	wake     chan struct{} // to the reader goroutine; has a place for one, and is sent to on the way to readHandedOver
}

func newReadSide() readSide { return readSide{wake: make(chan struct{}, 1)} }

func (s *readSide) is(state readState) bool { return readState(s.state.Load()) == state }

func (s *readSide) to(state readState) { s.state.Store(uint32(state)) }

// offered reports whether the next caller may acquire the read side.
func (s *readSide) offered() bool { return s.is(readOffered) }

// leads reports whether the caller of r has the read side.
func (s *readSide) leads(r *Request) bool { return s.leader == r }

// The transitions. They are called with the lock held, in the state that they start from.

// offer: by reader to offered.
func (s *readSide) offer() { s.to(readOffered) }

// endOffer: offered to by reader. The reader goroutine calls it.
func (s *readSide) endOffer() { s.to(readByReader) }

// acquire: offered to by caller.
func (s *readSide) acquire(r *Request) {
	s.to(readByCaller)
	s.leader = r
	s.acquired++
}

// offerAgain: by caller to offered.
func (s *readSide) offerAgain() {
	s.leader = nil
	s.to(readOffered)
}

// recall: offered to handed over. The reader goroutine is woken.
func (s *readSide) recall() { s.wakeReader() }

// handOver: by caller to handed over. The reader goroutine is woken.
func (s *readSide) handOver() {
	s.leader = nil
	s.wakeReader()
}

func (s *readSide) wakeReader() {
	s.to(readHandedOver)
	s.wake <- struct{}{} // there is room: the last one was received before the read side was offered
}

// resume: handed over to by reader. The reader goroutine calls it when it has woken up.
func (s *readSide) resume() {
	if s.is(readHandedOver) {
		s.to(readByReader)
	}
}

// end: any state to ended. A caller that leads finds out by its next read.
func (s *readSide) end() {
	s.leader = nil
	s.to(readEnded)
}

// ReadLoop is the reader goroutine. It returns when the connection has ended.
func (c *Conn) ReadLoop() {
	returned := false
	defer func() {
		if !returned {
			c.Close(endedGoroutine("Read"))
		}
	}()
	for {
		if c.worthOffering() && !c.offerReadSide() {
			break
		}
		if err := c.readFrame(); err != nil {
			c.Close(c.explain(err))
			break
		}
	}
	returned = true
}

// worthOffering reports whether a caller had better read than the reader goroutine: there
// was one caller at a time lately, its answers come quickly, and nothing of a next frame
// is there. Only the reader goroutine calls it, while it leads.
func (c *Conn) worthOffering() bool {
	s := c.stream
	return s.aloneInARow >= offerAfter && s.betweenFrames() && c.rate.gap() < flushDelay/2 &&
		c.socket != nil && !s.oneProcessor
}

// offerReadSide offers the read side to callers, and waits until the reader goroutine has
// it back. It returns false if the connection has ended.
func (c *Conn) offerReadSide() bool {
	c.stream.aloneInARow = 0
	c.mu.Lock()
	if c.phase == phaseEnded || len(c.table.underWay) > 0 {
		alive := c.phase != phaseEnded
		c.mu.Unlock()
		return alive
	}
	c.read.offer()
	seen := c.read.acquired
	c.mu.Unlock()
	timer := time.NewTimer(offerFor)
	defer timer.Stop()
	for {
		select {
		case <-c.read.wake:
			c.mu.Lock()
			c.read.resume()
			c.mu.Unlock()
			return true
		case <-c.ended:
			return false
		case <-timer.C:
		}
		c.mu.Lock()
		unused := c.read.offered() && c.read.acquired == seen
		if unused {
			c.read.endOffer()
		}
		seen = c.read.acquired
		c.mu.Unlock()
		if unused {
			return true
		}
		timer.Reset(offerFor)
	}
}

// acquireReadSide makes the caller of r the leader if the read side is offered. A request
// that has not the time for it makes the reader goroutine lead.
func (c *Conn) acquireReadSide(r *Request) bool {
	if !c.read.offered() || r.oneway() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.read.offered() {
		return false
	}
	if time.Until(r.deadline) < maxCallerReads*busyPoll {
		c.read.recall()
		return false
	}
	c.read.acquire(r)
	return true
}

// submitAndRead is submit for a request whose caller leads, which then reads its answer.
// What is not there after a few reads is left to the reader goroutine: only that one waits
// for the rest of a frame, and a caller that waits elsewhere can be called off.
func (c *Conn) submitAndRead(r *Request, f *Frame) error {
	s := c.stream
	if time.Since(s.lastRead) > lookAfter {
		if _, err := c.readOnce(0); err != nil {
			c.shared.FreeFrame(f)
			return ErrStale
		}
	}
	err := c.submit(r, f)
	if err == nil && c.stillLeads(r) && s.probe() {
		for n := 0; n < maxCallerReads && len(r.done) == 0; n++ {
			if ready, err := c.readOnce(busyPoll); !ready || err != nil {
				break
			}
		}
	}
	c.mu.Lock()
	if c.read.leads(r) {
		if len(c.table.underWay) == 0 && s.betweenFrames() {
			c.read.offerAgain()
		} else {
			c.read.handOver()
		}
	}
	c.mu.Unlock()
	return err
}

// stillLeads reports whether the caller of r leads: waiting for admission ends that.
func (c *Conn) stillLeads(r *Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read.leads(r)
}

// readOnce reads once for a caller that leads, and handles what came. It waits for
// limit at most. Ready says that a whole frame was there. An error has ended the connection.
func (c *Conn) readOnce(limit time.Duration) (ready bool, err error) {
	s := c.stream
	s.mode, s.limit = readWithin, limit
	ready, err = s.frames.Fill()
	if err == wire.ErrNoRoom {
		err = nil // the reader goroutine waits for it
	}
	for more := ready; more && err == nil; more = s.frames.Buffered() {
		err = c.readFrame()
	}
	s.mode = readUntilReady
	if err != nil {
		c.Close(c.explain(err))
	}
	return ready, err
}

// probe counts the requests of callers that lead, and now and then lets other goroutines
// run. It returns false if they wanted the processor: then the caller must not keep it.
func (s *stream) probe() bool {
	if s.callerReads++; s.callerReads%probeEvery != 0 {
		return true
	}
	return s.probed(letOthersRun())
}

// probed notes how long other goroutines ran in a probe.
func (s *stream) probed(took time.Duration) bool {
	if took < quickYield {
		return true
	}
	s.aloneInARow = -probePenalty
	return false
}

// letOthersRun gives the processor to other goroutines. It returns for how long they had it.
func letOthersRun() time.Duration {
	start := time.Now()
	runtime.Gosched()
	return time.Since(start)
}
