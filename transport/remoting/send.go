package remoting

import (
	"context"
	"errors"
	"fmt"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// codeNotSupported is REQUEST_CODE_NOT_SUPPORTED, codeGoAway GO_AWAY.
const (
	codeNotSupported = int(rocketmq.CodeRequestCodeNotSupported)
	codeGoAway       = int(rocketmq.CodeGoAway)
)

// maxStale is how many connections that went away under its hands a request
// looks past.
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
func (c *Client) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, core.ContextError(ctx)
	}
	cl := c.newCall(ctx, at.Deadline(), at.Aborted())
	defer c.release(cl)
	cl.send, cl.oneway = true, !at.WantsAnswer()

	var refused *core.BrokerError // the GO_AWAY that was followed
	for stale := 0; ; {
		p, err := c.brokers.get(at.Addr())
		if err != nil {
			return nil, err
		}
		cn, err := p.connect(&cl.wait)
		code := wire.SendMessageV2
		if err == nil {
			if at.Call().Batch() {
				code = wire.SendBatchMessage
			} else if p.legacy.Load() {
				code = wire.SendMessage
			}
			err = c.sendOn(cn, cl, at, code)
		}
		if cl.written {
			at.MarkWritten()
		}
		switch {
		case err == errStale:
			if stale++; stale > maxStale {
				return nil, &ConnectError{Addr: at.Addr(), Err: errStale}
			}
			if err := p.renew(cn, &cl.wait); err != nil {
				return nil, err
			}
			continue
		case err != nil && refused != nil && !cl.written:
			// What the broker said is still all that happened to the message.
			return nil, fmt.Errorf("%w (once more: %w)", refused, err)
		case err != nil:
			return nil, err
		case cl.oneway:
			res := at.Result()
			res.Status, res.Queue = core.Written, at.Queue()
			return res, nil
		}
		status, stored := sendStatus(cl.code)
		switch {
		case stored:
			return cl.result(at, status), nil
		case cl.code == codeGoAway && refused == nil:
			refused = cl.refusal(at.Addr())
			c.count.goAways.Add(1)
			p.retire(cn, errGoAway, false)
		case cl.code == codeNotSupported && code == wire.SendMessageV2:
			p.legacy.Store(true)
		default:
			return nil, cl.refusal(at.Addr())
		}
		cl.written = false
	}
}

var errGoAway = errors.New("the broker asked to go away")

// sendOn sends the call on one connection.
func (c *Client) sendOn(cn *conn, cl *call, at *core.Attempt, code int) error {
	cl.opaque = c.opaque.Add(1)
	f := c.newFrame()
	var err error
	if f.b, err = c.appendSend(f.b[:0], at, code, cl.opaque, cl.oneway); err != nil {
		c.recycle(f)
		return fmt.Errorf("%w: %w", core.ErrInvalidMessage, err)
	}
	return cn.do(cl, f)
}

// appendSend encodes the attempt's request.
func (c *Client) appendSend(dst []byte, at *core.Attempt, code int, opaque int32, oneway bool) ([]byte, error) {
	call := at.Call()
	out := call.Outgoing()
	flags, err := sysFlag(out)
	if err != nil {
		return dst, err
	}
	properties, err := out.Form(appendProperties)
	if err != nil {
		return dst, err
	}
	req := wire.SendRequest{
		Group: call.Group(), Topic: out.Topic(),
		DefaultTopic: c.cfg.CreateTopicKey, DefaultTopicQueueNums: c.cfg.DefaultTopicQueueNums,
		QueueID: at.Queue().ID, SysFlag: flags, BornTimestamp: call.Start().UnixMilli(), Flag: out.Flag(),
		Properties: properties, MaxReconsumeTimes: -1, BrokerName: at.Queue().Broker,
	}
	var flag int32
	if oneway {
		flag = wire.FlagOneway
	}
	if !call.Batch() {
		return wire.AppendSend(dst, c.ser, code, opaque, flag, &req, nil, out.Body())
	}

	// Each message of a batch has its own properties. Those of the request a broker
	// appends to every one of them, so it says only whether to wait for the store.
	// An id of the batch, which Java 5 sends, would replace the ids of its messages.
	size := 0
	for o := range call.All() {
		if properties, err = o.Form(appendProperties); err != nil {
			return dst, err
		}
		size += wire.BatchSize(len(o.Body()), len(properties))
	}
	var props [16]byte
	req.Properties = props[:0]
	if v, ok := out.Property(rocketmq.PropertyWait); ok {
		req.Properties = wire.AppendProperty(req.Properties, rocketmq.PropertyWait, v)
	}
	req.Batch, req.Flag = true, 0
	dst, err = wire.AppendSendHead(dst, c.ser, code, opaque, flag, &req, nil, size)
	if err != nil {
		return dst, err
	}
	for o := range call.All() {
		properties, _ = o.Form(appendProperties) // made above
		if dst, err = wire.AppendBatchMessage(dst, o.Flag(), o.Body(), properties); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// result fills the attempt's result from the answer.
func (cl *call) result(at *core.Attempt, status core.SendStatus) *core.Result {
	res, r := at.Result(), &cl.resp
	res.Status = status
	res.MessageID = at.Call().MessageID()
	res.OffsetMessageID = r.MsgID
	res.Queue = core.Queue{Broker: at.Queue().Broker, ID: r.QueueID}
	res.QueueOffset = r.QueueOffset
	res.RegionID, res.TraceOn, res.RecallHandle = r.RegionID, r.TraceOn, r.RecallHandle
	if at.Call().Batch() {
		setOffsetIDs(at, res, r.MsgID)
	}
	return res
}

// refusal is an answer that is no success.
func (cl *call) refusal(addr string) *core.BrokerError {
	return refusal.Of(rocketmq.ResponseCode(cl.code), wire.TrimRemark(cl.remark), addr)
}
