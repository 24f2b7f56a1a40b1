package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// Send sends msg and waits for its outcome: the broker's acknowledgement or a
// *[SendError], which says what became of the message. It takes no longer than
// the call's time and obeys ctx at every wait.
func (p *Producer) Send(ctx context.Context, msg *Message, opts ...SendOption) (Result, error) {
	return p.one(ctx, Sync, msg, opts)
}

// SendOneway sends msg without an answer. A nil error means that the message was
// written to the broker's socket, not that it is stored: brokers drop one-way
// messages silently when they are busy, or refuse them. A broker that is known to refuse the
// client's credentials, because it refused a heartbeat, gets none: the send fails with
// [ClassAuth].
func (p *Producer) SendOneway(ctx context.Context, msg *Message, opts ...SendOption) error {
	_, err := p.one(ctx, Oneway, msg, opts)
	return err
}

func (p *Producer) one(ctx context.Context, mode Mode, msg *Message, opts []SendOption) (Result, error) {
	g, err := p.enter(ctx, msg)
	if err != nil {
		return Result{}, p.refuse(ctx, mode, err, msg)
	}
	defer p.inflight.leave(g)
	e := p.engine
	var c *Call
	returned := false
	defer unlessReturned(&returned, func() { p.exited(ctx, mode, c, msg) })
	c = e.newCall(ctx, mode, msg)
	res, err := e.run(ctx, c, c.applyOptionsIn(ctx, opts))
	returned = true
	e.release(c)
	return res, err
}

// refuse gives a call that never began its outcome: nothing is counted in, and no step runs,
// but listeners hear of it.
func (p *Producer) refuse(ctx context.Context, mode Mode, why error, msgs ...*Message) error {
	if ctx == nil {
		ctx = context.Background()
	}
	e := p.engine
	c := e.calls.Get().(*Call)
	c.mode, c.batch = mode, len(msgs) != 1
	c.start = time.Now()
	c.served = e.policies.Load().none
	c.deadline = c.start
	c.retry = c.served.policy.Retry
	c.certainty = NotSent
	c.outs = c.manyOuts(max(1, len(msgs)))
	first := e.ids.take(c.start, len(c.outs))
	for i := range c.outs {
		msg := &Message{}
		if i < len(msgs) && msgs[i] != nil {
			msg = msgs[i]
		}
		c.outs[i].reset(c, msg, first.plus(i))
	}
	_, err := e.outcome(ctx, c, nil, why)
	e.release(c)
	return err
}

// exited gives a call its outcome under which a step, a listener or something else of the
// user's ended the goroutine. There is no call yet where the policy source did.
func (p *Producer) exited(ctx context.Context, mode Mode, c *Call, msgs ...*Message) {
	if c == nil {
		_ = p.refuse(ctx, mode, &SendError{Class: ClassPlugin, Certainty: NotSent, Topic: msgs[0].Topic, Cause: errGoexit}, msgs...)
		return
	}
	if !c.told {
		_, _ = p.engine.outcome(ctx, c, nil, c.exit())
	}
}

// exit is the error of a call whose goroutine ended.
func (c *Call) exit() error {
	certainty := MaybeStored
	if !c.begun {
		certainty = NotSent
	}
	return &SendError{Class: ClassPlugin, Certainty: certainty, Topic: c.Message().Topic, MessageID: c.MessageID(), Cause: errGoexit}
}

// SendBatch sends several messages of one topic in one request, in this order, to one queue.
// RocketMQ's brokers store all of them or none. Where a broker stored some of them only, the
// error has a *[BatchError] as its cause and the result tells what became of each. Batches are not
// compressed.
func (p *Producer) SendBatch(ctx context.Context, msgs []*Message, opts ...SendOption) (BatchResult, error) {
	err := checkBatch(msgs)
	var g uint32
	if err == nil {
		g, err = p.enter(ctx, msgs[0])
	}
	if err != nil {
		err = p.refuse(ctx, Sync, err, msgs...)
		return BatchResult{}, err
	}
	defer p.inflight.leave(g)
	e := p.engine
	var c *Call
	returned := false
	defer unlessReturned(&returned, func() { p.exited(ctx, Sync, c, msgs...) })
	c = e.newCall(ctx, Sync, msgs[0])
	c.batch = true
	c.outs = c.manyOuts(len(msgs))
	first := e.ids.take(c.start, len(msgs))
	for i, m := range msgs {
		c.outs[i].reset(c, m, first.plus(i))
	}
	res, err := e.run(ctx, c, c.applyOptionsIn(ctx, opts))
	returned = true
	b := BatchResult{shared: res, n: len(msgs), answer: c.answer}
	if c.partly {
		b.shared = c.result
	} else if err != nil {
		b = BatchResult{}
	}
	e.release(c)
	if b.n > 0 {
		b.shared.MessageID = first // whatever the transport says
	}
	return b, err
}

// checkBatch finds what makes messages no batch.
func checkBatch(msgs []*Message) error {
	if len(msgs) == 0 {
		return invalid("", "batch without messages")
	}
	for i, m := range msgs {
		switch {
		case m == nil:
			return invalid("", fmt.Sprintf("message %d of the batch is nil", i))
		case m.Topic != msgs[0].Topic:
			return invalid(msgs[0].Topic, fmt.Sprintf("message %d of the batch has topic %s, the first has %s",
				i, words.Quote(m.Topic), words.Quote(msgs[0].Topic)))
		}
	}
	return nil
}

// manyOuts makes room for the messages of a batch, with the memory of an earlier one.
func (c *Call) manyOuts(n int) []Outgoing {
	if n > keepMany {
		return make([]Outgoing, n)
	}
	c.many = slices.Grow(c.many, n)[:n]
	return c.many
}

// enter counts a send, if the producer runs and there is a message.
func (p *Producer) enter(ctx context.Context, msg *Message) (uint32, error) {
	switch {
	case msg == nil:
		return 0, invalid("", "message is nil")
	case ctx == nil:
		return 0, &SendError{Class: ClassInvalid, Certainty: NotSent, Topic: msg.Topic, Cause: errors.New("rocketmq: context is nil")}
	}
	g, err := p.admit()
	if err != nil {
		return 0, &SendError{Class: ClassClosed, Certainty: NotSent, Topic: msg.Topic, Cause: err}
	}
	return g, nil
}

// admit counts something under way, if the producer runs. It counts first and looks at the
// state second. Shutdown changes the state first and waits second. So either Shutdown waits
// for what was counted, or what was counted sees the new state.
func (p *Producer) admit() (uint32, error) {
	g := p.inflight.enter()
	if s := p.State(); s != StateRunning {
		p.inflight.leave(g)
		if s == StateShutdown {
			return 0, ErrClosed
		}
		return 0, ErrNotRunning
	}
	return g, nil
}

func invalid(topic, reason string) error {
	return &SendError{
		Class: ClassInvalid, Certainty: NotSent, Topic: topic, Cause: fmt.Errorf("%w: %s", ErrInvalidMessage, reason),
	}
}

// newCall makes a call of one message, by the policy of its topic.
func (e *engine) newCall(ctx context.Context, mode Mode, msg *Message) *Call {
	c := e.calls.Get().(*Call)
	c.mode = mode
	c.start = time.Now()
	c.served = e.policies.Load().serve(msg.Topic)
	c.deadline = c.start.Add(c.served.policy.Timeout)
	c.retry = c.served.policy.Retry
	c.certainty = NotSent
	c.outs = c.one[:]
	c.outs[0].reset(c, msg, e.ids.take(c.start, 1))
	return c
}

// applyOptionsIn applies the options, and shortens the deadline to that of ctx.
func (c *Call) applyOptionsIn(ctx context.Context, opts []SendOption) (err error) {
	if len(opts) > 0 {
		err = c.applyOptions(opts)
	}
	if d, ok := ctx.Deadline(); ok && d.Before(c.deadline) {
		c.deadline = d
	}
	return err
}

// release clears a call and keeps its memory for the next one.
func (e *engine) release(c *Call) {
	c.kept.clear()
	c.current = current{}
	e.calls.Put(c)
}

// run takes a call through the whole chain to its one outcome. A call that is wrong from the
// start has only the outcome.
func (e *engine) run(ctx context.Context, c *Call, wrong error) (Result, error) {
	if wrong == nil {
		wrong = c.served.err
	}
	if wrong == nil {
		wrong = e.supported(c)
	}
	if wrong == nil && c.half {
		wrong = c.prepareHalf()
	}
	if wrong != nil {
		return e.outcome(ctx, c, nil, wrong)
	}
	c.begun = true
	res, err := c.served.policy.call(ctx, c)
	return e.outcome(ctx, c, res, err)
}

// partial is the error of a batch of which a broker refused some messages.
func (c *Call) partial() error {
	cause := c.answer.partial()
	return &SendError{
		Class: ClassOf(cause), Certainty: MaybeStored, Topic: c.Message().Topic, MessageID: c.MessageID(), Stop: StopFinal, Cause: cause,
	}
}

// report is a copy of a result for listeners: what one writes into it is nobody's result.
func (c *Call) report(res *Result) *Result {
	if res == nil {
		return nil
	}
	c.reported = *res
	return &c.reported
}

// outcome ends a call: it makes the error whole, counts, and tells the listeners.
func (e *engine) outcome(ctx context.Context, c *Call, res *Result, err error) (Result, error) {
	switch {
	case err != nil:
		err = c.failed(err)
		if errors.Is(err, ErrAborted) {
			e.producer.undelivered.Add(1)
		}
	case c.answer.refused > 0:
		c.result, c.partly = *res, true
		res, err = nil, c.partial()
	}
	c.told = true
	e.totals.call(c, err)
	if ls := &c.served.policy.listeners; len(ls.call) > 0 {
		c.callReport = CallReport{Call: c, Result: c.report(res), Err: err, Duration: time.Since(c.start)}
		ls.callDone(ctx, &c.callReport)
	}
	if err != nil {
		return Result{}, err
	}
	return *res, nil
}
