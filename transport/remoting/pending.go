package remoting

import (
	"context"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// wait is everything that can end a request early: its context, its deadline and
// the producer's abort. One timer serves all its waits.
type wait struct {
	ctx      context.Context
	deadline time.Time
	aborted  <-chan struct{}
	timer    *time.Timer
	armed    bool
}

// arm starts the timer; now saves asking the clock again.
func (w *wait) arm(now time.Time) {
	if w.armed {
		return
	}
	w.armed = true
	if d := w.deadline.Sub(now); w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
}

// until waits for ready, which is closed or sent to. The error says what came first.
// What is ready by now needs no timer.
func (w *wait) until(ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	default:
	}
	if !w.armed {
		w.arm(time.Now())
	}
	select {
	case <-ready:
		return nil
	case <-w.ctx.Done():
		return core.ContextError(w.ctx)
	case <-w.aborted:
		return core.ErrAborted
	case <-w.timer.C:
		w.armed = false
		return core.ErrTimeout
	}
}

// call is one request on a connection and the place for its answer. While it is
// in the connection's table it is shared; whoever takes it out, under the
// connection's lock, owns its outcome: the reader, the writer of a one-way
// request, the end of the connection, or the caller that gives up. That makes it
// safe to use again, whatever raced with a timeout.
type call struct {
	wait
	done   chan struct{} // the outcome is there
	opaque int32
	send   bool // a send, whose success is decoded into resp
	oneway bool // complete when written
	reads  bool // the caller has the connection's read side

	// Guarded by the connection's lock while in its table.
	slot    int  // in the queue, from 1; 0 when not queued
	size    int  // of the frame
	lined   bool // in line for room in the queue, between before and after
	before  *call
	after   *call
	written bool // bytes may have left
	heard   uint64
	since   time.Time

	// The outcome.
	err    error
	code   int
	remark string
	resp   wire.SendResponse
	cmd    wire.Command
}

func newCall() *call { return &call{done: make(chan struct{}, 1)} }

// newCall takes a call from the pool.
func (c *Client) newCall(ctx context.Context, deadline time.Time, aborted <-chan struct{}) *call {
	cl := c.calls.Get().(*call)
	cl.ctx, cl.deadline, cl.aborted = ctx, deadline, aborted
	return cl
}

// release gives a call back that is in no table.
func (c *Client) release(cl *call) {
	if cl.armed {
		cl.timer.Stop()
		cl.armed = false
	}
	cl.ctx, cl.aborted, cl.err = nil, nil, nil
	cl.remark, cl.resp, cl.cmd = "", wire.SendResponse{}, wire.Command{}
	cl.send, cl.oneway, cl.written, cl.slot = false, false, false, 0
	c.calls.Put(cl)
}

// answer decodes what the peer said; a is only valid during the call.
func (cl *call) answer(addr string, code int, a *wire.Answer) {
	cl.code, cl.err = code, nil
	if _, stored := sendStatus(code); cl.send && stored {
		if err := a.SendResponse(&cl.resp); err != nil {
			cl.err = &AnswerError{Addr: addr, Err: err}
		}
		return
	}
	cmd, err := wire.ParseFrame(a.Frame())
	switch {
	case err != nil:
		cl.err = &AnswerError{Addr: addr, Err: err}
	case cl.send:
		cl.remark = cmd.Remark
	default:
		cmd.Body = append([]byte(nil), cmd.Body...)
		cl.cmd = cmd
	}
}

// frame is an encoded request. It has one owner at a time: the caller, the
// queue, the writer.
type frame struct{ b []byte }

// keepFrame is the largest buffer that goes back to the pool: a few large
// messages must not make every buffer large. A batch of usual size fits.
const keepFrame = 256 << 10

func (c *Client) newFrame() *frame { return c.frames.Get().(*frame) }

func (c *Client) recycle(f *frame) {
	if cap(f.b) <= keepFrame {
		f.b = f.b[:0]
		c.frames.Put(f)
	}
}
