package remoting

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// ask sends any request but a send to a peer and returns its answer, whatever
// its code. It ends with ctx and within limit; the latter is [core.ErrTimeout].
func (c *Client) ask(ctx context.Context, p *peer, cmd wire.Command, limit time.Duration) (wire.Command, error) {
	if ctx.Err() != nil {
		return wire.Command{}, core.ContextError(ctx)
	}
	req := c.shared.NewRequest(ctx, time.Now().Add(limit), nil)
	answer, err := c.askWith(req, p, cmd)
	c.shared.FreeRequest(req)
	return answer, err
}

// askWith is ask with a request of its own. A peer that answers GO_AWAY gets the request once
// more, on a new connection, as a send does; if that request does not leave, the answer is what
// the peer said. A heartbeat is not repeated: each new connection begins with one, and a peer
// that says GO_AWAY to all of them must not be dialed without end.
func (c *Client) askWith(req *conn.Request, p *peer, cmd wire.Command) (wire.Command, error) {
	until := req.Deadline()
	answer, cn, err := c.askOnce(req, p, cmd)
	if err != nil || answer.Code != codeGoAway {
		return answer, err
	}
	c.count.goAways.Add(1)
	p.retire(cn, errGoAway, true)
	if cmd.Code == wire.HeartBeat {
		return answer, nil
	}
	req.Reset(until)
	again, cn, err := c.askOnce(req, p, cmd)
	if err != nil && cn == nil {
		return answer, nil
	}
	return again, err
}

// askOnce makes the request once, on the connection that it returns: nil if no byte of the
// request has left. It looks past connections that ended before the request was on them. What
// brokers say in a body is dropped unless the request wants it.
func (c *Client) askOnce(req *conn.Request, p *peer, cmd wire.Command) (wire.Command, *conn.Conn, error) {
	req.Body = req.Body || !p.broker
	for stale := 0; ; stale++ {
		var written *conn.Conn
		cn, err := p.connect(&req.Wait)
		if err == nil {
			req.Opaque = c.opaque.Add(1)
			f, bad := c.newFrame(req, p, &cmd)
			if bad != nil {
				return wire.Command{}, nil, bad
			}
			if err = p.exchange(cn, req, f); req.Written() && !errors.Is(err, core.ErrConnect) {
				written = cn
			}
		}
		switch {
		case err == nil:
			return req.Answer.Command, cn, nil
		case err == conn.ErrStale && stale < maxStale:
			if err = p.renew(cn, &req.Wait); err == nil {
				p, err = c.peers(p.broker).get(p.addr) // the peer may have been dropped as unused
			}
		case err == conn.ErrStale:
			err = &ConnectError{Addr: p.addr, Err: conn.ErrStale}
		}
		if err == core.ErrTimeout {
			err = fmt.Errorf("%s: %w", p.addr, err)
		}
		if err != nil {
			return wire.Command{}, written, err
		}
	}
}

// answered turns an answer that is no success into an error.
func answered(p *peer, cmd wire.Command) error {
	if cmd.Code == int(rocketmq.CodeSuccess) {
		return nil
	}
	return refusal.Of(rocketmq.ResponseCode(cmd.Code), wire.TrimRemark(cmd.Remark), p.addr)
}
