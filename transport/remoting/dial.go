package remoting

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/random"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

const (
	keepAlive = 15 * time.Second

	backoffFirst = 100 * time.Millisecond
	backoffMost  = 800 * time.Millisecond

	// settled is how long a connection must have lasted for its end to say nothing about the
	// next one. What ends earlier counts as a dial that failed, also after a frame: a peer can
	// answer heartbeats and hang up on sends.
	settled = time.Second
)

// backoff is the pause after n failures in a row: 100, 400, then 800 ms, or up to a half less,
// by chance. So many clients that lost one broker do not dial it in step, and a
// broker that is back is met within 800 ms.
func backoff(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	d := backoffFirst
	for ; n > 1 && d < backoffMost; n-- {
		d *= 4
	}
	d = min(d, backoffMost)
	return d - time.Duration(random.Int64N(int64(d/2+1)))
}

// dialing is a dial under way; conn and err are set before done is closed.
type dialing struct {
	done chan struct{}
	conn *conn.Conn
	err  error
}

// dial returns a connection that appeared meanwhile, the dial to wait for, or
// why there is none. The dial belongs to the peer: a caller that leaves does not
// take it away from the others.
func (p *peer) dial() (*conn.Conn, *dialing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if cn := p.cur.Load(); cn != nil {
		return cn, nil, nil
	}
	if p.gone {
		return nil, nil, conn.ErrStale
	}
	p.used = true
	if p.dialing != nil {
		return nil, p.dialing, nil
	}
	if p.failures > 0 {
		if left := time.Until(p.until); left > 0 {
			return nil, nil, &ConnectError{Addr: p.addr, Err: fmt.Errorf("next dial in %v, after: %w", left.Round(time.Millisecond), p.why)}
		}
	}
	d := &dialing{done: make(chan struct{})}
	if !p.c.spawn(func() { p.run(d) }) {
		return nil, nil, &ConnectError{Addr: p.addr, Err: core.ErrClosed}
	}
	p.dialing = d
	return nil, d, nil
}

// run dials, tells everyone who waits, and begins the connection with a heartbeat.
func (p *peer) run(d *dialing) {
	p.open(d)
	if d.conn == nil {
		return
	}
	p.c.log.Debug("connected", "addr", p.addr)
	if reason := d.conn.Reason(); reason != nil {
		p.lost(d.conn, p.explained(d.conn, reason), 0) // it went before it was in place
		return
	}
	if p.broker {
		p.c.beatOn(p, false)
	}
}

// open dials and tells everyone who waits, also if a function of the program's ends the
// goroutine.
func (p *peer) open(d *dialing) {
	defer p.dialEnded(d)
	p.establish(d)
}

// establish makes a connection of a new dial and starts its goroutines. Conn or err is set in
// d, also if a function of the program's ends the goroutine.
func (p *peer) establish(d *dialing) {
	c := p.c
	ctx, cancel := context.WithTimeout(c.life, c.cfg.ConnectTimeout)
	defer cancel()
	if p.broker {
		if c.allowed(p.addr, &d.err); d.err != nil {
			return
		}
	}
	var nc net.Conn
	c.dialUser(ctx, p.addr, &nc, &d.err)
	if d.err == nil && c.tls != nil {
		certified := p.addr
		if !p.broker {
			certified = c.names.certified(p.addr)
		}
		c.secure(ctx, certified, &nc, &d.err)
	}
	if d.err != nil {
		if c.life.Err() != nil {
			d.err = core.ErrClosed
		}
		return
	}
	cn := c.shared.New(nc, p.addr, p, p.frames)
	if !c.start(p, cn) {
		nc.Close()
		d.err = core.ErrClosed
		return
	}
	d.conn = cn
}

// dialEnded puts the new connection in place, or notes the failure.
func (p *peer) dialEnded(d *dialing) {
	c, why := p.c, d.err
	p.mu.Lock()
	p.dialing = nil
	news := false
	if why != nil {
		c.count.dialFailures.Add(1)
		news, p.told = !p.told, true
		p.failed(why)
		d.err = &ConnectError{Addr: p.addr, Err: why}
	} else {
		c.count.dials.Add(1)
		if p.dialed {
			c.count.reconnects.Add(1)
		}
		p.dialed, p.told = true, false
		p.cur.Store(d.conn)
	}
	p.mu.Unlock()
	close(d.done)
	if news {
		c.log.Warn("cannot connect", "addr", p.addr, "err", why)
	}
}
