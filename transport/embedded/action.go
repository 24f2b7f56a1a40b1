package embedded

import (
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Action is what becomes of a request. The zero Action is [Pass]. An Action may be returned for
// any number of requests.
type Action struct {
	run func(*exchange)
}

// exchange is a request under a fault rule and what is known of its answer. One goroutine has
// it at a time.
type exchange struct {
	conn *conn
	cmd  *wire.Command
	// handled says that rep is the answer; before, the request has had no effect.
	handled bool
	rep     reply
}

// newExchange copies the command: an action may outlive the frame.
func newExchange(c *conn, cmd *wire.Command) *exchange {
	own := *cmd
	own.Body = slices.Clone(cmd.Body)
	return &exchange{conn: c, cmd: &own}
}

func (x *exchange) do(a Action) {
	if a.run == nil {
		x.handle()
		x.answer()
		return
	}
	a.run(x)
}

// handle does what a real server would, once.
func (x *exchange) handle() {
	if !x.handled {
		x.rep = x.conn.node.answer(x.conn, x.cmd)
		x.handled = true
	}
}

// frame encodes the answer. Ok is false if none is due.
func (x *exchange) frame(opaque int32) (b []byte, ok bool) {
	if x.rep.later || x.cmd.IsOneway() {
		return nil, false
	}
	b, err := appendReply(nil, x.conn.form(x.cmd), opaque, &x.rep)
	if err != nil {
		x.conn.unanswered(x.cmd.Code, err)
		return nil, false
	}
	return b, true
}

func (x *exchange) answer() {
	if b, ok := x.frame(x.cmd.Opaque); ok {
		x.conn.sendNow(b)
	}
}

// command is the answer as a command, for [Edit].
func (x *exchange) command() wire.Command {
	b, err := appendReply(nil, wire.RocketMQ, x.cmd.Opaque, &x.rep)
	if err == nil {
		var c wire.Command
		if c, err = wire.ParseFrame(b[4:]); err == nil {
			return c
		}
	}
	return wire.Command{Code: int(x.rep.code), Remark: x.rep.remark}
}

// Pass treats the request as a real server would; after [StoreThen] it sends the answer that is
// already known. A rule that returns Pass leaves the decision to the rules before it.
func Pass() Action { return Action{} }

// Reply answers with a code and a remark. The request has no effect.
//
// In StoreThen(Reply(code, "")) a code that stands for a stored message (0, 10, 11, 12) keeps the
// fields of the answer to a send, as the answers of real brokers do (Java
// SendMessageProcessor.handlePutMessageResult).
func Reply(code rocketmq.ResponseCode, remark string) Action {
	return Action{func(x *exchange) {
		if x.rep.stored && acknowledges(code) {
			x.rep.code, x.rep.remark = code, remark
		} else {
			x.rep, x.handled = refuse(code, remark), true
		}
		x.answer()
	}}
}

// acknowledges reports whether an answer with the code says that the message is stored.
func acknowledges(code rocketmq.ResponseCode) bool {
	switch code {
	case rocketmq.CodeSuccess, rocketmq.CodeFlushDiskTimeout, rocketmq.CodeSlaveNotAvailable, rocketmq.CodeFlushSlaveTimeout:
		return true
	}
	return false
}

// ReplyWith answers with the code, remark, fields and body of cmd. The request has no effect.
func ReplyWith(cmd wire.Command) Action {
	rep := reply{code: rocketmq.ResponseCode(cmd.Code), remark: cmd.Remark, ext: slices.Clone(cmd.Ext), body: slices.Clone(cmd.Body)}
	return Action{func(x *exchange) {
		x.rep, x.handled = rep, true
		x.answer()
	}}
}

// Edit treats the request as a real server would and lets fn change the answer before it is
// sent. Fn runs on the connection's goroutine; opaque, version and serialization stay as they
// are whatever it does to them.
func Edit(fn func(answer *wire.Command)) Action {
	return Action{func(x *exchange) {
		x.handle()
		if x.rep.later {
			return
		}
		cmd := x.command()
		fn(&cmd)
		x.rep = reply{code: rocketmq.ResponseCode(cmd.Code), remark: cmd.Remark, ext: cmd.Ext, body: cmd.Body}
		x.answer()
	}}
}

// Delay does then after d. Other requests of the connection are not held up. The request has no
// effect before, see [StoreThen].
func Delay(d time.Duration, then Action) Action {
	return Action{func(x *exchange) {
		x.conn.node.cluster.after(d, func() { x.do(then) })
	}}
}

// Hang never answers. The request has no effect and others of the connection go on.
func Hang() Action { return Action{func(*exchange) {}} }

// StoreThen lets the request have its effect now and leaves the answer to then:
// StoreThen(Delay(d, Pass())) is a late answer, StoreThen(Reply(1, "")) a wrong one and
// StoreThen(Reply(10, "")) that of a broker that could not flush in time, see [Reply].
func StoreThen(then Action) Action {
	return Action{func(x *exchange) {
		x.handle()
		x.do(then)
	}}
}

// Cut closes the connection without an answer. The request has no effect; answers to earlier
// requests are sent first.
func Cut() Action {
	return Action{func(x *exchange) {
		x.conn.flush()
		x.conn.close()
	}}
}

// StoreThenCut lets the request have its effect and loses the answer with the connection: the
// case in which a client that sends again makes a duplicate.
func StoreThenCut() Action { return StoreThen(Cut()) }

// CutAfter lets the request have its effect, sends the first n bytes of the answer and closes
// the connection. A frame's length takes four bytes.
func CutAfter(n int) Action {
	return Action{func(x *exchange) {
		x.handle()
		if b, ok := x.frame(x.cmd.Opaque); ok {
			x.conn.sendNow(b[:min(max(n, 0), len(b))])
		}
		x.conn.close()
	}}
}

// Garbage writes b in place of an answer and leaves the connection open. The request has no effect.
func Garbage(b []byte) Action {
	b = slices.Clone(b)
	return Action{func(x *exchange) { x.conn.sendNow(b) }}
}

// Duplicate answers twice.
func Duplicate() Action {
	return Action{func(x *exchange) {
		x.handle()
		if b, ok := x.frame(x.cmd.Opaque); ok {
			x.conn.sendNow(append(b, b...))
		}
	}}
}

// wrongOpaqueBit makes an opaque that no client has reached by counting from zero.
const wrongOpaqueBit = 1 << 30

// WrongOpaque answers under a number that belongs to no request.
func WrongOpaque() Action {
	return Action{func(x *exchange) {
		x.handle()
		if b, ok := x.frame(x.cmd.Opaque ^ wrongOpaqueBit); ok {
			x.conn.sendNow(b)
		}
	}}
}

// AnswerTo answers under the number of another request.
func AnswerTo(opaque int32) Action {
	return Action{func(x *exchange) {
		x.handle()
		if b, ok := x.frame(opaque); ok {
			x.conn.sendNow(b)
		}
	}}
}

// Trickle sends the answer byte by byte, one each interval. Answers to other requests of the
// connection come after it.
func Trickle(interval time.Duration) Action {
	return Action{func(x *exchange) {
		x.handle()
		if b, ok := x.frame(x.cmd.Opaque); ok {
			first := x.conn.claim()
			x.conn.node.cluster.spawn(func() { x.conn.trickle(b, interval, first) })
		}
	}}
}

// claim writes what is queued and takes the right to write, unless another goroutine has it.
func (c *conn) claim() bool {
	c.flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flushing {
		return false
	}
	c.flushing = true
	return true
}

// trickle writes b slowly. It keeps the right to write, as flush does.
func (c *conn) trickle(b []byte, interval time.Duration, claimed bool) {
	if !claimed {
		c.mu.Lock()
		for c.flushing && !c.closed {
			c.room.Wait()
		}
		c.flushing = true
		c.mu.Unlock()
	}
	t := time.NewTicker(max(interval, 1))
	defer t.Stop()
	for i := range b {
		if !c.node.paused.wait(c.done) {
			break
		}
		if c.write(b[i:i+1]) != nil {
			break
		}
		select {
		case <-t.C:
			continue
		case <-c.done:
		}
		break
	}
	c.mu.Lock()
	c.flushing = false
	c.room.Broadcast()
	c.mu.Unlock()
	c.flush()
}
