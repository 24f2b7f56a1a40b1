package embedded

import (
	"log/slog"
	"sync"
	"sync/atomic"
)

// buffers counts what the connections of a cluster hold of frames that are not complete and of
// answers that are not read. A connection tells it with conn.holds.
type buffers struct {
	limit int64
	total atomic.Int64
	mu    sync.Mutex // held by who looks for the largest
}

// heldBytes is what one connection holds: the buffers of its reader goroutine, and its answers.
type heldBytes struct{ in, out atomic.Int64 }

func (h *heldBytes) sum() int64 { return h.in.Load() + h.out.Load() }

// holds says that a part of what the connection holds has now n bytes. While all connections
// together hold too much the largest one is closed, be it this one or another. The caller holds no
// lock.
func (c *conn) holds(part *atomic.Int64, n int) {
	if c.ended() {
		n = 0 // its goroutines are about to find out
	}
	delta := int64(n) - part.Swap(int64(n))
	b := &c.node.cluster.buffers
	if delta == 0 || b.total.Add(delta) <= b.limit || delta < 0 {
		return
	}
	for _, victim := range c.node.cluster.largest() {
		victim.conn.node.log.Log(c.node.cluster.ctx, slog.LevelWarn, "too many bytes are buffered: the connection that holds most is closed",
			"peer", victim.conn.remote.String(), "conn", victim.conn.id, "bytes", victim.bytes)
	}
}

// holder is a connection and what it held.
type holder struct {
	conn  *conn
	bytes int64
}

// largest closes the connections that hold most until the others are within the limit.
func (c *Cluster) largest() (closed []holder) {
	b := &c.buffers
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.total.Load() > b.limit {
		var most holder
		for _, n := range c.nodes() {
			for _, conn := range n.connections() {
				if held := conn.held.sum(); held > most.bytes {
					most = holder{conn, held}
				}
			}
		}
		if most.conn == nil {
			break
		}
		if !most.conn.ended() {
			closed = append(closed, most)
		}
		most.conn.close()
		// One that had been closed may have been told to hold something since.
		b.total.Add(-most.conn.held.in.Swap(0) - most.conn.held.out.Swap(0))
	}
	return closed
}

// nodes are all servers.
func (c *Cluster) nodes() []*node {
	out := make([]*node, 0, len(c.servers)+len(c.brokers))
	for _, s := range c.servers {
		out = append(out, s.node)
	}
	for _, b := range c.brokers {
		out = append(out, b.node)
	}
	return out
}
