package embedded

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// flushAt is how many bytes of answers wait at most for more of them while requests keep coming.
	flushAt = 256 << 10
	// holdAt is how many bytes of answers may wait while another goroutine is stuck in a write;
	// beyond it the connection reads no more requests.
	holdAt = 1 << 20
	// keepAt is the size up to which a connection keeps the buffers of its answers for later ones.
	keepAt = 64 << 10
)

// conn is one accepted connection. Its reader goroutine handles requests one after the other;
// answers are collected and written when no further request is waiting, so that a burst of
// sends costs one system call each way.
type conn struct {
	id     uint64
	node   *node
	nc     net.Conn
	remote netip.AddrPort
	local  netip.AddrPort
	done   chan struct{} // closed by close

	once sync.Once

	mu       sync.Mutex
	room     sync.Cond // out became shorter, or the connection closed
	out      []byte    // answers not yet handed to a write
	spare    []byte
	writing  int  // bytes of the buffer that is being written
	flushing bool // a goroutine is in flush
	closed   bool
	late     []func() []byte // answers that are made when there is room for them
	later    bool            // a goroutine is in answerLate

	asks asks
	held heldBytes

	// Of the reader goroutine: what it reads with, the request in hand and a buffer for its answer;
	// when the frame that is not complete began, and whether reads have a deadline for it.
	reader  *wire.Reader
	cmd     wire.Command
	scratch []byte
	began   time.Time
	limited bool
}

func newConn(n *node, id uint64, nc net.Conn) *conn {
	c := &conn{id: id, node: n, nc: nc, remote: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr()), done: make(chan struct{})}
	c.room.L = &c.mu
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// close ends the connection without an answer. Idempotent.
func (c *conn) close() {
	c.once.Do(func() {
		close(c.done)
		c.mu.Lock()
		c.closed = true
		c.out = nil
		c.room.Broadcast()
		c.mu.Unlock()
		_ = c.nc.Close() // nothing depends on how the close went
		c.holds(&c.held.in, 0)
		c.holds(&c.held.out, 0)
	})
}

// serve reads requests until the stream ends.
func (c *conn) serve() {
	defer func() { c.holds(&c.held.in, 0) }() // also what was added after the close
	defer c.close()
	c.reader = wire.NewReader(gatedReader{c}, wire.MaxFrame)
	for !c.ended() {
		if !c.reader.Buffered() {
			c.flush()
		}
		frame, err := c.reader.Next()
		if err != nil {
			c.trouble(err)
			return
		}
		c.began = time.Time{}
		// What arrived before a pause is handled after it, as by a process that was stopped.
		if !c.node.paused.wait(c.done) {
			return
		}
		if c.cmd, err = wire.ParseFrame(frame); err != nil {
			c.trouble(err)
			return
		}
		if c.cmd.IsResponse() {
			c.asks.answered(&c.cmd)
			continue
		}
		c.dispatch(len(frame) - len(c.cmd.Body))
	}
}

// gatedReader reads from the socket unless the server is to read nothing. A read that was under
// way when reading was stopped keeps what it got until reading goes on.
type gatedReader struct{ c *conn }

func (r gatedReader) Read(p []byte) (int, error) {
	c, g := r.c, &r.c.node.reading
	c.holdsIn()
	for {
		stopped := g.isShut()
		if !g.wait(c.done) {
			return 0, net.ErrClosed
		}
		c.limitRead(stopped)
		n, err := c.nc.Read(p)
		timeout := n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
		if timeout && g.isShut() {
			continue // the time that the server does not read is not the peer's
		}
		if timeout {
			return 0, fmt.Errorf("%w: %d bytes of a frame after %v", errStalled, c.reader.Pending(), c.node.cluster.cfg.StallTimeout)
		}
		if err == nil && !g.wait(c.done) {
			return 0, net.ErrClosed
		}
		return n, err
	}
}

// holdsIn tells what the reader goroutine holds.
func (c *conn) holdsIn() { c.holds(&c.held.in, c.reader.Size()+cap(c.scratch)) }

// errStalled is a peer that does not go on.
var errStalled = errors.New("peer has stalled")

// limitRead gives the next read the deadline of the frame that has begun, and none between frames.
// Afresh gives that frame its whole time again.
func (c *conn) limitRead(afresh bool) {
	limit := c.node.cluster.cfg.StallTimeout
	switch {
	case limit < 0:
	case c.reader.Pending() == 0:
		if c.limited {
			c.limited = false
			_ = c.nc.SetReadDeadline(time.Time{}) // of a connection that is closed; then the read says so
		}
	case c.began.IsZero() || afresh:
		c.began, c.limited = time.Now(), true
		_ = c.nc.SetReadDeadline(c.began.Add(limit))
	}
}

// write writes to the socket; a peer that does not read in time has stalled.
func (c *conn) write(b []byte) error {
	if limit := c.node.cluster.cfg.StallTimeout; limit > 0 {
		_ = c.nc.SetWriteDeadline(time.Now().Add(limit))
	}
	_, err := c.nc.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.trouble(fmt.Errorf("%w: it does not read its answers", errStalled))
	}
	return err
}

// trouble logs why the stream ended, unless that was the peer's or our own doing.
func (c *conn) trouble(err error) {
	level := slog.LevelDebug
	if errors.Is(err, wire.ErrFrame) || errors.Is(err, wire.ErrDecode) || errors.Is(err, errStalled) {
		level = slog.LevelWarn
	} else if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return
	}
	c.node.log.Log(c.node.cluster.ctx, level, "connection ended", "peer", c.remote.String(), "conn", c.id, "error", err)
}

// dispatch handles the request in c.cmd on the reader goroutine. Its body is valid until then.
// Header is the length of what came with the body.
func (c *conn) dispatch(header int) {
	cl := c.node.cluster
	rules := cl.script.rules(c.cmd.Code)
	if recorded := cl.records.on(); recorded || rules.any() {
		req := newRequest(c, &c.cmd)
		req.header = header
		if recorded {
			cl.records.add(req)
		}
		if act := rules.decide(req); act.run != nil {
			act.run(newExchange(c, &c.cmd))
			return
		}
	}
	r := c.node.answer(c, &c.cmd)
	if r.later || c.cmd.IsOneway() {
		return
	}
	var err error
	if c.scratch, err = appendReply(c.scratch[:0], c.form(&c.cmd), c.cmd.Opaque, &r); err != nil {
		c.unanswered(c.cmd.Code, err)
		return
	}
	c.holdsIn()
	c.send(c.scratch)
	if cap(c.scratch) > keepAt {
		c.scratch = nil
	}
}

// form is that of the answer to cmd.
func (c *conn) form(cmd *wire.Command) wire.Serialization {
	if c.node.cluster.cfg.AnswerJSON {
		return wire.JSON
	}
	return cmd.Serialization
}

// unanswered gives up on an answer that has no form on the wire: the client is better off with
// a closed connection than with silence.
func (c *conn) unanswered(code int, err error) {
	c.node.log.Warn("answer cannot be encoded", "code", code, "conn", c.id, "error", err)
	c.close()
}

// send queues bytes and, on the reader goroutine, leaves their write to its loop. Other
// goroutines call sendNow.
func (c *conn) send(b []byte) {
	c.mu.Lock()
	c.waitRoom()
	full := c.put(b)
	n := c.outBytes()
	c.mu.Unlock()
	c.holds(&c.held.out, n)
	if full {
		c.flush()
	}
}

// sendNow queues bytes and writes them, unless another goroutine is writing: that one takes them along.
func (c *conn) sendNow(b []byte) {
	c.mu.Lock()
	c.put(b)
	n := c.outBytes()
	c.mu.Unlock()
	c.holds(&c.held.out, n)
	c.flush()
}

// sendLater is sendNow for an answer that is made when the peer has read enough of the ones before,
// so that a peer that does not read costs the memory of a few. Make is called in any case, unless
// the cluster is closed, and returns nil for no answer. It returns at once.
func (c *conn) sendLater(make func() []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = append(c.late, make)
	if !c.later {
		c.later = true
		c.node.cluster.spawn(c.answerLate)
	}
}

// answerLate makes and sends the late answers, one after the other.
func (c *conn) answerLate() {
	for {
		c.mu.Lock()
		c.waitRoom()
		if len(c.late) == 0 {
			c.later, c.late = false, nil
			c.mu.Unlock()
			return
		}
		next := c.late[0]
		c.late[0] = nil
		c.late = c.late[1:]
		c.mu.Unlock()
		if b := next(); b != nil {
			c.sendNow(b)
		}
	}
}

// waitRoom waits while too many answers wait to be written. The caller holds the lock.
func (c *conn) waitRoom() {
	for len(c.out) > holdAt && c.flushing && !c.closed {
		c.room.Wait()
	}
}

// put queues bytes and reports whether they are enough for a write. The caller holds the lock.
func (c *conn) put(b []byte) (full bool) {
	if !c.closed {
		c.out = append(c.out, b...)
	}
	return len(c.out) >= flushAt
}

// outBytes is what the buffers of answers take. The caller holds the lock.
func (c *conn) outBytes() int {
	if c.closed {
		return 0
	}
	return cap(c.out) + cap(c.spare) + c.writing
}

// flush writes what is queued. While a write is under way in another goroutine it returns at once.
func (c *conn) flush() {
	c.mu.Lock()
	if c.flushing {
		c.mu.Unlock()
		return
	}
	c.flushing = true
	for len(c.out) > 0 && !c.closed {
		c.mu.Unlock()
		if !c.node.paused.wait(c.done) {
			c.mu.Lock()
			break
		}
		c.mu.Lock()
		b := c.out
		c.out, c.spare = c.spare[:0], nil
		c.writing = cap(b)
		c.mu.Unlock()
		err := c.write(b)
		c.mu.Lock()
		c.writing = 0
		if cap(b) <= keepAt {
			c.spare = b
		}
		n := c.outBytes()
		c.room.Broadcast()
		c.mu.Unlock()
		c.holds(&c.held.out, n)
		if err != nil {
			c.close()
		}
		c.mu.Lock()
	}
	c.flushing = false
	c.room.Broadcast()
	c.mu.Unlock()
}
