package embedded

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// half is one direction of an in-memory connection: a bounded buffer between a writer and a
// reader. Waiting is by sync.Cond, which testing/synctest takes for durable.
type half struct {
	limit int

	mu       sync.Mutex
	changed  sync.Cond // of everything below
	buf      []byte    // unread bytes are buf[lo:]
	lo       int
	readEnd  deadline
	writeEnd deadline
	noRead   bool // the reader's side closed
	noWrite  bool // the writer's side closed
}

func newHalf(limit int) *half {
	h := &half{limit: limit}
	h.changed.L = &h.mu
	return h
}

// deadline of one operation. Its half's lock guards it.
type deadline struct {
	timer  *time.Timer
	passed bool
	turn   int // of the last setting: an older timer changes nothing
}

func (h *half) set(d *deadline, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.turn++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		h.changed.Broadcast()
		return
	}
	turn := d.turn
	d.timer = time.AfterFunc(wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if d.turn == turn {
			d.passed = true
			h.changed.Broadcast()
		}
	})
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.noRead:
			return 0, net.ErrClosed
		case h.readEnd.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(h.buf) > h.lo:
			n := copy(p, h.buf[h.lo:])
			h.lo += n
			if h.lo == len(h.buf) {
				h.buf, h.lo = h.buf[:0], 0
			}
			h.changed.Broadcast()
			return n, nil
		case h.noWrite:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := 0
	for {
		switch {
		case h.noWrite:
			return done, net.ErrClosed
		case h.writeEnd.passed:
			return done, os.ErrDeadlineExceeded
		case h.noRead:
			return done, syscall.EPIPE
		case done == len(p):
			return done, nil
		}
		if room := h.limit - (len(h.buf) - h.lo); room > 0 {
			n := min(room, len(p)-done)
			if h.lo > 0 && len(h.buf)+n > cap(h.buf) {
				h.buf = h.buf[:copy(h.buf, h.buf[h.lo:])]
				h.lo = 0
			}
			h.buf = append(h.buf, p[done:done+n]...)
			done += n
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

// close ends one side and says whether it was open.
func (h *half) close(side *bool, d *deadline) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if *side {
		return false
	}
	*side = true
	d.turn++
	if d.timer != nil {
		d.timer.Stop()
	}
	if side == &h.noRead {
		h.buf, h.lo = nil, 0
	}
	h.changed.Broadcast()
	return true
}

// memConn is one end of an in-memory connection.
type memConn struct {
	in, out       *half
	local, remote net.Addr
}

func (c *memConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err != nil && err != io.EOF {
		err = c.fail("read", err)
	}
	return n, err
}

func (c *memConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = c.fail("write", err)
	}
	return n, err
}

// Close lets the peer read what was written; its writes fail from now on.
func (c *memConn) Close() error {
	open := c.out.close(&c.out.noWrite, &c.out.writeEnd)
	c.in.close(&c.in.noRead, &c.in.readEnd)
	if !open {
		return c.fail("close", net.ErrClosed)
	}
	return nil
}

func (c *memConn) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.in.set(&c.in.readEnd, t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.out.set(&c.out.writeEnd, t)
	return nil
}

func (c *memConn) SetDeadline(t time.Time) error {
	c.in.set(&c.in.readEnd, t)
	c.out.set(&c.out.writeEnd, t)
	return nil
}
