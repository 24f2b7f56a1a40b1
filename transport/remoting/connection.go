package remoting

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A peer owns its connections: it hears of their first frame, their end, and what the
// broker asks on them. The connection holds no lock then.
var _ conn.Owner = (*peer)(nil)

// connection is an open connection in the client's list.
type connection struct {
	*conn.Conn
	peer   *peer
	opened time.Time

	// The heartbeat goroutine's own: the traffic at the last sweep, and since when there
	// has been none.
	seen      conn.Usage
	idleSince time.Time
}

// newConnShared makes what the client's connections have in common.
func (c *Client) newConnShared() *conn.Shared {
	return conn.NewShared(conn.Config{
		WriteTimeout: c.cfg.WriteTimeout, FrameTimeout: c.cfg.FrameTimeout, MaxQueuedBytes: c.cfg.MaxQueuedBytes,
		Stored: func(code int) bool { _, stored := sendStatus(code); return stored },
		Go:     c.spawn, Log: c.log,
	})
}

// What a producer reads is small: answers of some hundred bytes, in batches some more, and
// routes. Only what brokers ask can hold a message. A connection has 64 KiB for what it reads.
// Larger frames share memory: those of all brokers have room for one of the greatest length,
// and those of name servers have room of their own, lest brokers keep routes away. A frame that
// finds no room waits for it.
const (
	brokerFrames = wire.MaxFrame
	serverFrames = 8 << 20
)

// start adds a connection to the list and begins to read and write, unless the client is
// shut down.
func (c *Client) start(p *peer, cn *conn.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load() != stateRunning {
		return false
	}
	now := time.Now()
	c.conns[cn] = &connection{Conn: cn, peer: p, opened: now, idleSince: now}
	c.wg.Add(2)
	go func() {
		defer c.wg.Done()
		cn.ReadLoop()
	}()
	go func() {
		defer c.wg.Done()
		cn.WriteLoop()
	}()
	return true
}

// forget takes an ended connection off the list.
func (c *Client) forget(cn *conn.Conn) {
	c.mu.Lock()
	delete(c.conns, cn)
	c.mu.Unlock()
}

// open lists the open connections.
func (c *Client) open() []*connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*connection, 0, len(c.conns))
	for _, cn := range c.conns {
		out = append(out, cn)
	}
	return out
}

// FirstFrame notes that the peer speaks the protocol.
func (p *peer) FirstFrame() { p.proven() }

// Ending forgets a connection that ends.
func (p *peer) Ending(cn *conn.Conn, reason error, failed int) {
	p.lost(cn, p.explained(cn, reason), failed)
	p.c.forget(cn)
	if unwanted(reason) {
		p.c.count.lost.Add(1) // here, so that a caller who learns of the end finds it counted
	}
}

// Ended logs the end of a connection that was not the client's wish. Of a peer that hangs up
// again and again the first line is a warning, the others are for debugging.
func (p *peer) Ended(cn *conn.Conn, reason error, failed int) {
	if !unwanted(reason) {
		return
	}
	level := slog.LevelWarn
	if p.often() {
		level = slog.LevelDebug
	}
	p.c.log.Log(context.Background(), level, "connection lost", "addr", p.addr, "err", p.explained(cn, reason), "calls", failed)
}

// unwanted reports whether a connection ended by the peer's doing or for its silence.
func unwanted(reason error) bool {
	return !errors.Is(reason, conn.ErrUnneeded) && !errors.Is(reason, core.ErrClosed)
}
