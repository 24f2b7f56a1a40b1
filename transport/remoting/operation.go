package remoting

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

var _ core.Recaller = (*Client)(nil)

// Recall implements [core.Recaller] with RECALL_MESSAGE (370), which brokers know from 5.3.2
// on (Java: MQClientAPIImpl.recallMessage). An older broker's answer is an error that
// wraps [core.ErrUnsupported].
func (c *Client) Recall(ctx context.Context, op *core.Operation, handle string) (string, error) {
	if err := c.usable(); err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", core.ContextError(ctx)
	}
	p, err := c.brokers.get(op.Addr())
	if err != nil {
		return "", err
	}
	answer, err := c.operate(ctx, op, p, conn.Ask, wire.Command{
		Code: wire.RecallMessage,
		Ext:  wire.Recall{Group: op.Group(), Topic: op.Target(), Handle: handle, BrokerName: op.Broker().Name}.Fields(),
	})
	if err != nil {
		return "", err
	}
	switch answer.Code {
	case codeNotSupported:
		be := answered(p, answer)
		return "", fmt.Errorf("%w: recall, by this broker: %w", core.ErrUnsupported, be)
	default:
		if err := answered(p, answer); err != nil {
			return "", err
		}
	}
	// Copied, since it is part of the whole header; what is longer is no id.
	id := answer.Ext.Get("msgId")
	return strings.Clone(id[:min(len(id), wire.MaxAnswerText)]), nil
}

// operate makes an operation's request. The operation is marked as written if bytes of the
// request may have left, and if the exchange panics.
func (c *Client) operate(ctx context.Context, op *core.Operation, p *peer, kind conn.Kind, cmd wire.Command) (wire.Command, error) {
	req := c.shared.NewRequest(ctx, op.Deadline(), op.Aborted())
	req.Kind = kind
	returned := false
	defer func() {
		if !returned {
			op.MarkWritten()
		}
	}()
	answer, err := c.askWith(req, p, cmd)
	returned = true
	if err == nil || req.Written() && !errors.Is(err, core.ErrConnect) {
		op.MarkWritten()
	}
	c.shared.FreeRequest(req)
	return answer, err
}
