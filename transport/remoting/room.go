package remoting

import "time"

// line is a list of calls that wait for room in a connection's queue, first come,
// first served. Each is woken when there is room for it and not before: where all
// are woken for each write, most of a hundred thousand wake up for nothing.
type line struct{ first, last *call }

func (l *line) push(cl *call) {
	cl.lined, cl.before, cl.after = true, l.last, nil
	if l.last == nil {
		l.first = cl
	} else {
		l.last.after = cl
	}
	l.last = cl
}

func (l *line) remove(cl *call) {
	if cl.before == nil {
		l.first = cl.after
	} else {
		cl.before.after = cl.after
	}
	if cl.after == nil {
		l.last = cl.before
	} else {
		cl.after.before = cl.before
	}
	cl.lined, cl.before, cl.after = false, nil, nil
}

// admit counts a call's frame as queued, and waits until there is room for it.
// It is called with the lock held, which it gives back while it waits.
func (cn *conn) admit(cl *call) error {
	switch {
	case cn.err != nil || cn.retired:
		return errStale
	case cn.line.first == nil && cn.roomy():
		cn.bytes += cl.size
		return nil
	}
	cn.line.push(cl)
	cn.giveBack(cl) // who does not read lets the peer wait, and that may be us
	cn.mu.Unlock()
	err := cl.until(cl.done)
	cn.mu.Lock()
	if err != nil {
		return cn.leave(cl, err)
	}
	cl.since = time.Now()
	switch {
	case cn.err != nil:
		return errStale
	case cn.retired:
		cn.release(cl.size)
		return errStale
	}
	return nil
}

// roomy reports whether one more frame may be queued, of whatever size.
func (cn *conn) roomy() bool { return cn.bytes < cn.c.cfg.MaxQueuedBytes }

// leave ends the wait of a call for room, with its reason. The room that it may
// have been given at the same moment goes to the next one.
func (cn *conn) leave(cl *call, why error) error {
	if cl.lined {
		cn.line.remove(cl)
		return why
	}
	<-cl.done
	if cn.err == nil {
		cn.release(cl.size)
	}
	return why
}

// release gives queued bytes back, to those who wait for them. It is called with
// the lock held.
func (cn *conn) release(n int) {
	cn.bytes -= n
	for cn.line.first != nil && cn.roomy() {
		cn.summon()
	}
}

// summon lets the first in line go on. It is called with the lock held.
func (cn *conn) summon() {
	cl := cn.line.first
	cn.line.remove(cl)
	cn.bytes += cl.size
	cl.done <- struct{}{}
}

// dismiss lets everybody in line go on: there is nothing to wait for any more. It
// is called with the lock held.
func (cn *conn) dismiss() {
	for cn.line.first != nil {
		cn.summon()
	}
}
