package remoting

import (
	"time"

	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

// sweep closes connections that are not needed: those to brokers of no known route
// that no group keeps and that had no send since the last sweep, those without any traffic for the idle
// time, and those to name servers that are no longer listed. It forgets
// addresses likewise. Connections in use to name servers that are given by a DNS name are opened
// anew now and then. Only the heartbeat goroutine calls it.
func (c *Client) sweep(now time.Time) {
	wanted := c.wanted()
	offline := func(p *peer) bool { return p.broker && !wanted[p.addr] || !p.broker && !c.names.has(p.addr) }
	for _, cn := range c.open() {
		usage := cn.Usage()
		needed := cn.needed(usage, now, offline(cn.peer), c.cfg.IdleTimeout)
		quiet := cn.quiet(usage)
		cn.note(usage, now)
		if !needed && cn.CloseIdle(conn.ErrUnneeded) {
			c.log.Debug("idle connection closed", "addr", cn.peer.addr)
		} else if !quiet && !cn.peer.broker && now.Sub(cn.opened) >= nameAge && isName(cn.peer.addr) {
			c.spawn(func() { cn.peer.reopen(cn.Conn) })
		}
	}
	for _, t := range []*table{&c.brokers, &c.servers} {
		for _, p := range t.list() {
			if offline(p) && !t.drop(p) {
				p.unuse()
			}
		}
	}
}

// needed reports whether a connection is to stay open. Offline says that nothing leads
// to its address any more: heartbeats do not keep it then.
func (cn *connection) needed(usage conn.Usage, now time.Time, offline bool, idleTimeout time.Duration) bool {
	switch {
	case usage.InFlight > 0:
		return true
	case usage.Retired:
		return false
	case offline && usage.Sent == cn.seen.Sent:
		return false
	}
	return !cn.quiet(usage) || now.Sub(cn.idleSince) < idleTimeout
}

// quiet reports whether there was no traffic since the last sweep.
func (cn *connection) quiet(usage conn.Usage) bool {
	return usage.InFlight == 0 && usage.BytesIn == cn.seen.BytesIn
}

// note remembers the usage for the next sweep.
func (cn *connection) note(usage conn.Usage, now time.Time) {
	if !cn.quiet(usage) {
		cn.idleSince = now
	}
	cn.seen = usage
}
