package remoting

import (
	"context"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// ask sends any request but a send to a peer and returns its answer, whatever
// its code. It ends with ctx and within limit; the latter is [core.ErrTimeout].
func (c *Client) ask(ctx context.Context, p *peer, cmd wire.Command, limit time.Duration) (wire.Command, error) {
	if ctx.Err() != nil {
		return wire.Command{}, core.ContextError(ctx)
	}
	cl := c.newCall(ctx, time.Now().Add(limit), nil)
	defer c.release(cl)
	cmd.Language, cmd.Version, cmd.Serialization = wire.LanguageGo, wire.CurrentVersion, c.ser
	for stale := 0; ; stale++ {
		cn, err := p.connect(&cl.wait)
		if err == nil {
			cl.opaque = c.opaque.Add(1)
			cmd.Opaque = cl.opaque
			f := c.newFrame()
			if f.b, err = wire.AppendCommand(f.b[:0], &cmd); err != nil {
				c.recycle(f)
				return wire.Command{}, err
			}
			err = cn.do(cl, f)
		}
		switch {
		case err == nil:
			return cl.cmd, nil
		case err == errStale && stale < maxStale:
			err = p.renew(cn, &cl.wait)
		case err == errStale:
			err = &ConnectError{Addr: p.addr, Err: errStale}
		}
		if err == core.ErrTimeout {
			err = fmt.Errorf("%s: %w", p.addr, err)
		}
		if err != nil {
			return wire.Command{}, err
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
