package remoting

import "time"

// A lone caller reads its own answer: that spares the switch to the reader and
// back, and two threads that Go wakes up to look for work. So the reader lends the
// connection's read side when for some time nobody was waiting after each answer.
// Nobody reads an idle connection then, so it takes the read side back as soon as
// no call has come for a while.
const (
	// lendAfter is for how many answers in a row there was nobody else.
	lendAfter = 8
	// lendFor is how long a connection stays without a reader.
	lendFor = 10 * time.Millisecond
	// lookAfter is after how long a borrower looks whether the peer has hung up
	// before it sends: as long as it takes a reader to wake up and notice.
	lookAfter = 100 * time.Microsecond
	// askEvery is for how many calls of borrowers one finds out whether others want
	// its processor, which it keeps while it waits in the kernel. If they do, the
	// read side is not lent for the next wantedFor answers.
	askEvery  = 32
	wantedFor = 256
)

// lend gives the read side to callers, and takes it back when it is needed. It
// reports whether the connection lives.
func (s *stream) lend() bool {
	cn := s.cn
	s.solo = 0
	cn.mu.Lock()
	if err := cn.err; err != nil || len(cn.pending) > 0 {
		cn.mu.Unlock()
		return err == nil
	}
	cn.lent.Store(true)
	cn.mu.Unlock()
	timer := time.NewTimer(lendFor)
	defer timer.Stop()
	for {
		select {
		case <-cn.turn:
			return true
		case <-cn.over:
			return false
		case <-timer.C:
			if cn.unused() {
				return true
			}
			timer.Reset(lendFor)
		}
	}
}

// unused takes the read side back if no caller has used it since the last time.
func (cn *conn) unused() bool {
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if cn.used || !cn.lent.Load() {
		cn.used = false
		return false
	}
	cn.lent.Store(false)
	return true
}

// borrow gives the read side to a caller, if it is there to be had. A call that
// has no time for it makes it the reader's.
func (cn *conn) borrow(cl *call) bool {
	if !cn.lent.Load() || cl.oneway {
		return false
	}
	cn.mu.Lock()
	defer cn.mu.Unlock()
	if !cn.lent.Load() || cn.err != nil {
		return false
	}
	cn.lent.Store(false)
	if time.Until(cl.deadline) < lendRounds*linger {
		cn.turn <- struct{}{}
		return false
	}
	cn.used = true
	return true
}

// lendRounds is how many times a borrower reads at most.
const lendRounds = 4

// doOwn is do for a call whose caller has the read side. What is not there in the
// time that a reader lingers is the reader's: only it waits for the rest of a frame,
// and a caller that waits elsewhere can be called off.
func (cn *conn) doOwn(cl *call, f *frame) error {
	s := cn.stream
	if time.Since(s.last) > lookAfter {
		if _, err := s.readFor(0); err != nil {
			cn.c.recycle(f)
			return errStale
		}
	}
	err := cn.submit(cl, f)
	if cl.reads && err == nil && s.calm() {
		for round := 0; round < lendRounds && len(cl.done) == 0; round++ {
			if ready, err := s.readFor(linger); !ready || err != nil {
				break
			}
		}
	}
	cn.mu.Lock()
	cn.giveBack(cl)
	cn.mu.Unlock()
	return err
}

// calm reports whether a borrower may wait in the kernel.
func (s *stream) calm() bool {
	if s.calls++; s.calls%askEvery != 0 || giveWay() < calm {
		return true
	}
	s.solo = -wantedFor
	return false
}

// readFor reads once for a borrower and handles what came; limit is how long it
// waits. An error has ended the connection.
func (s *stream) readFor(limit time.Duration) (ready bool, err error) {
	s.borrowed, s.limit = true, limit
	ready, err = s.r.Fill()
	for more := ready; more && err == nil; more = s.r.Buffered() {
		err = s.next()
	}
	s.borrowed = false
	if err != nil {
		s.cn.fail(explain(err, s.cn.c.cfg.FrameTimeout))
	}
	return ready, err
}

// giveBack leaves the read side, if the call's caller has it, to the next one or to
// the reader if there is something for it. It is called with the lock held.
func (cn *conn) giveBack(cl *call) {
	if !cl.reads {
		return
	}
	cl.reads = false
	switch {
	case cn.err != nil:
		// Nobody reads any more.
	case len(cn.pending) == 0 && cn.stream.got == cn.stream.used && !cl.lined:
		cn.lent.Store(true)
	default:
		cn.turn <- struct{}{} // there is room: only who has the read side can give it
	}
}
