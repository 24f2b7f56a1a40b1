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
)

// lend gives the read side to callers, and takes it back when it is needed. It
// reports whether the connection lives.
func (s *stream) lend() bool {
	cn := s.cn
	s.solo = 0
	cn.mu.Lock()
	if cn.err != nil || len(cn.pending) > 0 {
		cn.mu.Unlock()
		return cn.err == nil
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

// borrow gives the read side to the caller of the only call under way, if it is
// there to be had. Any other call that waits for an answer makes it the reader's.
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
	if len(cn.pending) > 1 || time.Until(cl.deadline) < lendRounds*linger {
		cn.turn <- struct{}{}
		return false
	}
	cn.used = true
	return true
}

// lendRounds is how many times a borrower reads at most.
const lendRounds = 4

// readOwn reads until the call's answer is there. What is not there in the time
// that a reader lingers is the reader's: only it waits for the rest of a frame, and
// a caller that waits elsewhere can be called off.
func (s *stream) readOwn(cl *call) {
	s.borrowed = true
	for round := 0; round < lendRounds && len(cl.done) == 0; round++ {
		ready, err := s.r.Fill()
		if !ready && err == nil {
			break
		}
		for ready && err == nil {
			err = s.next()
			ready = s.r.Buffered()
		}
		if err != nil {
			s.cn.fail(explain(err, s.cn.c.cfg.FrameTimeout))
			break
		}
	}
	s.borrowed = false
	s.giveBack()
}

// giveBack leaves the read side to the next lone caller, or to the reader if there
// is something for it.
func (s *stream) giveBack() {
	cn := s.cn
	cn.mu.Lock()
	defer cn.mu.Unlock()
	switch {
	case cn.err != nil:
		// Nobody reads any more.
	case len(cn.pending) == 0 && s.got == s.used:
		cn.lent.Store(true)
	default:
		cn.turn <- struct{}{} // there is room: only who has the read side can give it
	}
}
