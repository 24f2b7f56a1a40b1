package embedded

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// flushAt is how many bytes of answers wait at most for more of them while requests keep coming.
	flushAt = 256 << 10
	// holdAt is how many bytes of answers may wait while another goroutine is stuck in a write;
	// beyond it the connection reads no more requests.
	holdAt = 1 << 20
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
	flushing bool // a goroutine is in flush
	closed   bool

	asks asks

	// Of the reader goroutine: the request in hand and a buffer for its answer.
	cmd     wire.Command
	scratch []byte
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
	})
}

// serve reads requests until the stream ends.
func (c *conn) serve() {
	defer c.close()
	r := wire.NewReader(gatedReader{c}, wire.MaxFrame)
	for {
		if !r.Buffered() {
			c.flush()
		}
		frame, err := r.Next()
		if err != nil {
			c.trouble(err)
			return
		}
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
		c.dispatch()
	}
}

// gatedReader reads from the socket unless the server is to read nothing. A read that was under
// way when reading was stopped keeps what it got until reading goes on.
type gatedReader struct{ c *conn }

func (r gatedReader) Read(p []byte) (int, error) {
	g := &r.c.node.reading
	if !g.wait(r.c.done) {
		return 0, net.ErrClosed
	}
	n, err := r.c.nc.Read(p)
	if err == nil && !g.wait(r.c.done) {
		return 0, net.ErrClosed
	}
	return n, err
}

// trouble logs why the stream ended, unless that was the peer's or our own doing.
func (c *conn) trouble(err error) {
	level := slog.LevelDebug
	if errors.Is(err, wire.ErrFrame) || errors.Is(err, wire.ErrDecode) {
		level = slog.LevelWarn
	} else if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return
	}
	c.node.log.Log(c.node.cluster.ctx, level, "connection ended", "peer", c.remote.String(), "conn", c.id, "error", err)
}

// dispatch handles the request in c.cmd on the reader goroutine. Its body is valid until then.
func (c *conn) dispatch() {
	cl := c.node.cluster
	rules := cl.script.rules(c.cmd.Code)
	if recorded := cl.records.on(); recorded || rules.any() {
		req := newRequest(c, &c.cmd)
		if recorded {
			cl.records.add(req)
		}
		if act := rules.decide(req); act.run != nil {
			act.run(newExchange(c, &c.cmd))
			return
		}
	}
	r := c.node.handle(c, &c.cmd)
	if r.later || c.cmd.IsOneway() {
		return
	}
	var err error
	if c.scratch, err = appendReply(c.scratch[:0], c.form(&c.cmd), c.cmd.Opaque, &r); err != nil {
		c.unanswered(c.cmd.Code, err)
		return
	}
	c.send(c.scratch)
	if cap(c.scratch) > 2*flushAt {
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
	for len(c.out) > holdAt && c.flushing && !c.closed {
		c.room.Wait()
	}
	full := false
	if !c.closed {
		c.out = append(c.out, b...)
		full = len(c.out) >= flushAt
	}
	c.mu.Unlock()
	if full {
		c.flush()
	}
}

// sendNow queues bytes and writes them, unless another goroutine is writing: that one takes them along.
func (c *conn) sendNow(b []byte) {
	c.mu.Lock()
	if !c.closed {
		c.out = append(c.out, b...)
	}
	c.mu.Unlock()
	c.flush()
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
		c.out = c.spare[:0]
		c.mu.Unlock()
		_, err := c.nc.Write(b)
		c.mu.Lock()
		if cap(b) <= 2*flushAt {
			c.spare = b
		} else {
			c.spare = nil
		}
		c.room.Broadcast()
		if err != nil {
			c.mu.Unlock()
			c.close()
			c.mu.Lock()
		}
	}
	c.flushing = false
	c.room.Broadcast()
	c.mu.Unlock()
}
