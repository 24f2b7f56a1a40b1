package remoting

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

const (
	keepAlive = 15 * time.Second

	backoffFirst  = 50 * time.Millisecond
	backoffMost   = 800 * time.Millisecond
	backoffJitter = 0.2
)

// backoff is the pause after n failed dials in a row: 50 ms, doubling to 800 ms,
// each ±20 %, so that many clients that lost one broker do not dial it in step,
// and a broker that is back is met within a second.
func backoff(n int) time.Duration {
	d := backoffMost
	if n < 6 {
		d = min(d, backoffFirst<<(n-1))
	}
	return time.Duration(float64(d) * (1 - backoffJitter + 2*backoffJitter*rand.Float64()))
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

// run dials and tells everyone who waits.
func (p *peer) run(d *dialing) {
	c := p.c
	cn, err := p.open()
	p.mu.Lock()
	p.dialing = nil
	if err != nil {
		c.count.dialFailures.Add(1)
		p.failed(err)
		if p.failures == 1 {
			c.log.Warn("cannot connect", "addr", p.addr, "err", err)
		}
		d.err = &ConnectError{Addr: p.addr, Err: err}
	} else {
		c.count.dials.Add(1)
		if p.dialed {
			c.count.reconnects.Add(1)
		}
		p.dialed = true
		d.conn = cn
		p.cur.Store(cn)
	}
	p.mu.Unlock()
	close(d.done)
	if cn == nil {
		return
	}
	c.log.Debug("connected", "addr", p.addr)
	if reason := cn.Reason(); reason != nil {
		p.lost(cn, reason) // it went before it was in place
		return
	}
	if p.broker {
		c.beatOn(p)
	}
}

// open dials and starts the connection's goroutines.
func (p *peer) open() (*conn.Conn, error) {
	c := p.c
	ctx, cancel := context.WithTimeout(c.life, c.cfg.ConnectTimeout)
	defer cancel()
	nc, err := c.cfg.Dial(ctx, "tcp", p.addr)
	if err != nil {
		if c.life.Err() != nil {
			err = core.ErrClosed
		}
		return nil, err
	}
	cn := c.shared.New(nc, p.addr, p)
	if !c.start(p, cn) {
		nc.Close()
		return nil, core.ErrClosed
	}
	return cn, nil
}
