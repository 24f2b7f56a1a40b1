package remoting

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// codeNotSupported is REQUEST_CODE_NOT_SUPPORTED, codeGoAway GO_AWAY.
const (
	codeNotSupported = int(rocketmq.CodeRequestCodeNotSupported)
	codeGoAway       = int(rocketmq.CodeGoAway)
)

// maxStale is how many connections a request looks past that ended before it was on them.
const maxStale = 3

// sendStatus maps the codes that mean stored.
func sendStatus(code int) (core.SendStatus, bool) {
	switch rocketmq.ResponseCode(code) {
	case rocketmq.CodeSuccess:
		return core.SendOK, true
	case rocketmq.CodeFlushDiskTimeout:
		return core.FlushDiskTimeout, true
	case rocketmq.CodeSlaveNotAvailable:
		return core.SlaveNotAvailable, true
	case rocketmq.CodeFlushSlaveTimeout:
		return core.FlushSlaveTimeout, true
	}
	return 0, false
}

// RoundTrip sends the attempt's call to its broker; see [core.Transport].
//
// A broker that answers GO_AWAY (code 1500, a proxy that shuts down) gets the
// request once more, on a new connection; one that does not know the short form
// of a send gets the long one, now and from then on. Both are invisible.
//
// at.MarkWritten is called after the request's exchange on a connection, or if that panics,
// and never earlier. Only then is it known whether the kernel took a byte of the request, and
// a mark cannot be taken back. No other code looks at the attempt meanwhile.
func (c *Client) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, core.ContextError(ctx)
	}
	req := c.shared.NewRequest(ctx, at.SendBy(), at.Aborted())
	req.AnswerBy = at.Deadline()
	if req.Kind = conn.Send; !at.WantsAnswer() {
		req.Kind = conn.Oneway
	}
	res, err := c.roundTrip(req, at)
	c.shared.FreeRequest(req) // not after a panic: then the connection may still know it
	return res, err
}

// roundTrip is RoundTrip with a request of its own.
func (c *Client) roundTrip(req *conn.Request, at *core.Attempt) (*core.Result, error) {
	var refusal *core.BrokerError // that was followed by another request
	for goneAway := false; ; {
		sent, err := c.sendOnce(req, at)
		switch {
		case err != nil && refusal != nil && !sent.written:
			// What the broker said is still all that happened to the message.
			return nil, fmt.Errorf("%w (once more: %w)", refusal, err)
		case err != nil:
			return nil, err
		case req.Kind == conn.Oneway:
			res := at.Result()
			res.Status, res.Queue = core.Written, at.Queue()
			return res, nil
		}
		status, stored := sendStatus(req.Answer.Code)
		switch {
		case stored:
			return result(&req.Answer.Sent, at, status), nil
		case req.Answer.Code == codeGoAway && !goneAway:
			goneAway, refusal = true, refused(&req.Answer, at.Addr())
			c.count.goAways.Add(1)
			sent.peer.retire(sent.conn, errGoAway, true)
		case req.Answer.Code == codeNotSupported && (sent.code == wire.SendMessageV2 || sent.code == wire.SendReplyMessageV2):
			sent.peer.legacy.Store(true)
			refusal = refused(&req.Answer, at.Addr())
			refusal.Class = core.ClassUnavailable // of this form of the request; another try may help
		default:
			return nil, refused(&req.Answer, at.Addr())
		}
		// The broker has refused the request, so the next one has all the time that is left.
		req.Reset(at.Deadline())
	}
}

// sentOn says how a request went out.
type sentOn struct {
	peer    *peer
	conn    *conn.Conn
	code    int  // of the request
	written bool // bytes may have left
}

// sendOnce sends the attempt's request once. It dials if there is no connection, and looks
// past connections that ended before the request was on them.
func (c *Client) sendOnce(req *conn.Request, at *core.Attempt) (s sentOn, err error) {
	for stale := 0; ; stale++ {
		if s.peer, err = c.brokers.get(at.Addr()); err != nil {
			return s, err
		}
		if s.conn, err = s.peer.connect(&req.Wait); err == nil {
			// An answered send hears for itself what the broker thinks of it.
			if denied := s.peer.denied.Load(); denied != nil && req.Kind == conn.Oneway {
				return s, fmt.Errorf("the broker refused a heartbeat: %w", denied)
			}
			s.code = s.peer.sendCode(at.Call())
			s.written, err = c.sendOn(s.peer, s.conn, req, at, s.code)
		}
		if err != conn.ErrStale {
			return s, err
		}
		if stale == maxStale {
			return s, &ConnectError{Addr: at.Addr(), Err: conn.ErrStale}
		}
		if err := s.peer.renew(s.conn, &req.Wait); err != nil {
			return s, err
		}
	}
}

// sendCode is the request code of a send to this broker. A reply has codes of its own.
func (p *peer) sendCode(call *core.Call) int {
	legacy, reply := p.legacy.Load(), call.Outgoing().Reply()
	switch {
	case call.Batch():
		return wire.SendBatchMessage
	case reply && legacy:
		return wire.SendReplyMessage
	case reply:
		return wire.SendReplyMessageV2
	case legacy:
		return wire.SendMessage
	default:
		return wire.SendMessageV2
	}
}

var errGoAway = errors.New("the broker asked to go away")

// sendOn sends the attempt on one connection. Written reports whether bytes may have left;
// the attempt is marked then, and if the exchange panics.
func (c *Client) sendOn(p *peer, cn *conn.Conn, req *conn.Request, at *core.Attempt, code int) (written bool, err error) {
	req.Opaque = c.opaque.Add(1)
	f := c.shared.NewFrame()
	if f.B, err = c.appendSend(f.B, at, code, req.Opaque, req.Kind == conn.Oneway); err != nil {
		c.shared.FreeFrame(f)
		if errors.As(err, new(*SignError)) || errors.Is(err, core.ErrUnsupported) {
			return false, err
		}
		return false, fmt.Errorf("%w: %w", core.ErrInvalidMessage, err)
	}
	returned := false
	defer func() {
		if !returned || written {
			at.MarkWritten()
		}
	}()
	err = p.exchange(cn, req, f)
	returned, written = true, req.Written() && !errors.Is(err, core.ErrConnect)
	return written, err
}

// result fills the attempt's result from the answer.
func result(r *wire.SendResponse, at *core.Attempt, status core.SendStatus) *core.Result {
	res := at.Result()
	res.Status = status
	res.MessageID = at.Call().MessageID()
	if len(r.MsgID) > maxOffsetID*at.Call().Len() {
		boundID(r)
	}
	res.OffsetMessageID = r.MsgID
	res.Queue = core.Queue{Broker: at.Queue().Broker, ID: r.QueueID}
	res.QueueOffset = r.QueueOffset
	if at.Call().Type() == core.TransactionMessage {
		res.TransactionID = r.TransactionID // brokers of 5.x give every message one
	}
	res.RegionID, res.TraceOn, res.RecallHandle = r.RegionID, r.TraceOn, r.RecallHandle
	if at.Call().Batch() {
		setOffsetIDs(at, res, r.MsgID)
	}
	return res
}

// maxOffsetID is the greatest length of an offset message id, with the comma behind it: those of
// RocketMQ have 32 bytes, or 56 with IPv6.
const maxOffsetID = 64

// boundID drops an id that is too long, and the memory that it is in.
func boundID(r *wire.SendResponse) {
	r.MsgID, r.RegionID, r.RecallHandle = "", strings.Clone(r.RegionID), strings.Clone(r.RecallHandle)
	r.TransactionID = strings.Clone(r.TransactionID)
}

// refused is an answer that is no success.
func refused(a *conn.Answer, addr string) *core.BrokerError {
	return refusal.Of(rocketmq.ResponseCode(a.Code), a.Remark, addr)
}
