package remoting

import (
	"fmt"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Every request of the client is encoded in this file, so that a signer sees each of them.

// Signer signs requests, for clusters with access control. It is asked last, when the
// request is whole: nothing is added or changed after it.
//
// Sign gets the request's header fields and its body, and returns the fields to add, such as
// the access key and the signature. It must not change or keep either. It is called for
// every request of the client - sends, heartbeats, routes, recalls - on the goroutine that
// sends it, by several goroutines at once, so it must not block. An error fails the request before anything of it
// is sent; a send then fails with [core.ClassAuth]. A panic is such an error.
type Signer interface {
	Sign(r SignRequest) (wire.Fields, error)
}

// SignRequest is a request as a [Signer] sees it.
type SignRequest struct {
	Code   int         // the request's code
	Addr   string      // of the server that it goes to
	Fields wire.Fields // in the order of the header
	Body   []byte
}

// SignError is a request that its signer could not sign. Nothing of it was sent.
type SignError struct{ Err error }

// Error gives the cause.
func (e *SignError) Error() string { return "sign request: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *SignError) Unwrap() error { return e.Err }

// ErrorClass is ClassAuth.
func (e *SignError) ErrorClass() core.Class { return core.ClassAuth }

// head is what a frame says besides its fields and its body.
type head struct {
	code   int
	addr   string // of the server that it goes to
	opaque int32
	oneway bool
}

func (h *head) flag() int32 {
	if h.oneway {
		return wire.FlagOneway
	}
	return 0
}

// encodeSend appends a send as a frame. Its body is body or, of a batch, what the batch's
// messages make. Its fields are its own, then those of all requests, then the signer's.
func (c *Client) encodeSend(dst []byte, h head, send *wire.SendRequest, body []byte, batch *core.Call) ([]byte, error) {
	extra := c.same
	if c.cfg.Signer != nil {
		if batch != nil {
			// A signer sees the whole body, so it is put together first.
			whole := c.shared.NewFrame()
			defer c.shared.FreeFrame(whole)
			var err error
			if whole.B, err = appendBatch(whole.B, batch); err != nil {
				return dst, err
			}
			body, batch = whole.B, nil
		}
		fields, err := send.Fields(h.code, c.same)
		if err != nil {
			return dst, err
		}
		signature, err := c.sign(h, fields, body)
		if err != nil {
			return dst, err
		}
		if extra = signature; len(c.same) > 0 {
			extra = slices.Concat(c.same, signature)
		}
	}
	if batch == nil {
		return wire.AppendSend(dst, c.ser, h.code, h.opaque, h.flag(), send, extra, body)
	}
	dst, err := wire.AppendSendHead(dst, c.ser, h.code, h.opaque, h.flag(), send, extra, batchSize(batch))
	if err != nil {
		return dst, err
	}
	return appendBatch(dst, batch)
}

// encodeCommand appends any other request as a frame.
func (c *Client) encodeCommand(dst []byte, h head, fields wire.Fields, body []byte) ([]byte, error) {
	if len(c.same) > 0 {
		fields = slices.Concat(fields, c.same)
	}
	if c.cfg.Signer != nil {
		extra, err := c.sign(h, fields, body)
		if err != nil {
			return dst, err
		}
		fields = append(fields[:len(fields):len(fields)], extra...)
	}
	return wire.AppendCommand(dst, &wire.Command{
		Code: h.code, Language: wire.LanguageGo, Version: wire.CurrentVersion, Opaque: h.opaque, Flag: h.flag(),
		Ext: fields, Body: body, Serialization: c.ser,
	})
}

// sign asks the signer for the fields to add, and keeps its panic.
func (c *Client) sign(h head, fields wire.Fields, body []byte) (extra wire.Fields, err error) {
	defer func() {
		if v := recover(); v != nil {
			extra, err = nil, &SignError{fmt.Errorf("the signer panicked: %v", v)}
		}
	}()
	extra, err = c.cfg.Signer.Sign(SignRequest{Code: h.code, Addr: h.addr, Fields: fields, Body: body})
	if err != nil {
		return nil, &SignError{err}
	}
	return extra, nil
}

// batchSize is the length of what appendBatch appends. The form of the properties is that of
// a broker's store, whose size core knows.
func batchSize(call *core.Call) int {
	size := 0
	for o := range call.All() {
		size += wire.BatchSize(len(o.Body()), o.PropertiesSize())
	}
	return size
}

// appendBatch appends a batch's body: its messages, each with its own properties.
func appendBatch(dst []byte, call *core.Call) ([]byte, error) {
	for o := range call.All() {
		properties, err := o.Form(appendProperties)
		if err != nil {
			return dst, err
		}
		if dst, err = wire.AppendBatchMessage(dst, o.Flag(), o.Body(), properties); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendSend encodes the attempt's request.
func (c *Client) appendSend(dst []byte, at *core.Attempt, code int, opaque int32, oneway bool) ([]byte, error) {
	call := at.Call()
	out := call.Outgoing()
	flags, err := sysFlag(out)
	if err != nil {
		return dst, err
	}
	if call.Type() == core.TransactionMessage {
		flags |= rocketmq.SysTransactionPrepared
	}
	send := wire.SendRequest{
		Group: call.Group(), Topic: out.Topic(),
		DefaultTopic: c.cfg.CreateTopicKey, DefaultTopicQueueNums: c.cfg.DefaultTopicQueueNums,
		QueueID: at.Queue().ID, SysFlag: flags, BornTimestamp: call.Start().UnixMilli(), Flag: out.Flag(),
		UnitMode: c.cfg.UnitMode, MaxReconsumeTimes: -1, BrokerName: at.Queue().Broker,
	}
	if rocketmq.IsRetryTopic(out.Topic()) {
		if send.ReconsumeTimes, send.MaxReconsumeTimes, err = reconsumeTimes(out); err != nil {
			return dst, err
		}
	}
	h := head{code: code, addr: at.Addr(), opaque: opaque, oneway: oneway}
	if !call.Batch() {
		if send.Properties, err = out.Form(appendProperties); err != nil {
			return dst, err
		}
		return c.encodeSend(dst, h, &send, out.Body(), nil)
	}
	// The properties of the request itself a broker appends to every message, so they say
	// only whether to wait for the store. An id of the batch, which Java 5 sends, would
	// replace the ids of its messages.
	var wait [16]byte
	send.Properties, send.Batch, send.Flag = wait[:0], true, 0
	if v, ok := out.Property(rocketmq.PropertyWait); ok {
		send.Properties = wire.AppendProperty(send.Properties, rocketmq.PropertyWait, v)
	}
	return c.encodeSend(dst, h, &send, nil, call)
}

// newFrame encodes a request that is no send.
func (c *Client) newFrame(req *conn.Request, p *peer, cmd *wire.Command) (*conn.Frame, error) {
	f := c.shared.NewFrame()
	var err error
	f.B, err = c.encodeCommand(f.B, head{code: cmd.Code, addr: p.addr, opaque: req.Opaque, oneway: req.Kind == conn.Oneway}, cmd.Ext, cmd.Body)
	if err != nil {
		c.shared.FreeFrame(f)
		return nil, err
	}
	return f, nil
}
