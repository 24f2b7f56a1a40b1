package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// SendOption changes one call. Without options a call allocates nothing for them.
type SendOption interface{ apply(*Call) }

type timeoutOption time.Duration

func (o timeoutOption) apply(c *Call) {
	if d := time.Duration(o); d > 0 {
		c.deadline = c.start.Add(d)
	}
}

// WithTimeout sets the time of this call, all attempts included, instead of
// [Config].Timeout. A value that is not positive changes nothing.
func WithTimeout(d time.Duration) SendOption { return timeoutOption(d) }

type retryOption struct{ policy RetryPolicy }

func (o retryOption) apply(c *Call) {
	if !isNil(o.policy) {
		c.retry, c.ownRetry = o.policy, true
	}
}

// WithRetry sets the retry policy of this call. Nil changes nothing.
func WithRetry(policy RetryPolicy) SendOption { return retryOption{policy} }

// Send sends msg and waits for its outcome: the broker's acknowledgement or a
// *[SendError], which says what became of the message. It takes no longer than
// the call's time and obeys ctx at every wait.
func (p *Producer) Send(ctx context.Context, msg *Message, opts ...SendOption) (Result, error) {
	return p.one(ctx, Sync, msg, opts)
}

// SendOneway sends msg without an answer. A nil error means that the message was
// written to the broker's socket, not that it is stored: brokers drop one-way
// messages silently when they are busy.
func (p *Producer) SendOneway(ctx context.Context, msg *Message, opts ...SendOption) error {
	_, err := p.one(ctx, Oneway, msg, opts)
	return err
}

func (p *Producer) one(ctx context.Context, mode Mode, msg *Message, opts []SendOption) (Result, error) {
	g, err := p.enter(ctx, msg)
	if err != nil {
		return Result{}, err
	}
	defer p.inflight.leave(g)
	c := p.newCall(ctx, mode, opts)
	c.outs = c.one[:]
	c.outs[0].reset(c, msg, p.ids.take(c.start, 1))
	res, err := p.run(ctx, c)
	p.release(c)
	return res, err
}

// SendBatch sends several messages of one topic in one request, in this order,
// to one queue: all of them are stored or none. Batches are not compressed.
func (p *Producer) SendBatch(ctx context.Context, msgs []*Message, opts ...SendOption) (BatchResult, error) {
	if len(msgs) == 0 {
		return BatchResult{}, invalid("", "batch without messages")
	}
	for i, m := range msgs {
		switch {
		case m == nil:
			return BatchResult{}, invalid("", fmt.Sprintf("message %d of the batch is nil", i))
		case m.Topic != msgs[0].Topic:
			return BatchResult{}, invalid(msgs[0].Topic, fmt.Sprintf("message %d of the batch has topic %q, the first has %q", i, m.Topic, msgs[0].Topic))
		}
	}
	g, err := p.enter(ctx, msgs[0])
	if err != nil {
		return BatchResult{}, err
	}
	defer p.inflight.leave(g)
	c := p.newCall(ctx, Sync, opts)
	c.batch = true
	c.outs = c.manyOuts(len(msgs))
	first := p.ids.take(c.start, len(msgs))
	for i, m := range msgs {
		c.outs[i].reset(c, m, first.plus(i))
	}
	res, err := p.run(ctx, c)
	p.release(c)
	if err != nil {
		return BatchResult{}, err
	}
	b := BatchResult{shared: res, n: len(msgs), ids: splitOffsetIDs(res.OffsetMessageID, len(msgs))}
	b.shared.MessageID = first // whatever the transport says
	return b, nil
}

// What a call keeps for the next one: the places of so many messages of a batch,
// and so many bytes for properties.
const (
	keepMany       = 256
	keepProperties = 64 << 10
)

// manyOuts makes room for the messages of a batch, with the buffers of an earlier
// one.
func (c *Call) manyOuts(n int) []Outgoing {
	if n > keepMany {
		return make([]Outgoing, n)
	}
	c.many = slices.Grow(c.many, n)[:n]
	return c.many
}

// forget lets go of what belongs to a message.
func (o *Outgoing) forget() {
	o.msg, o.body, o.topic, o.encoded = nil, nil, "", nil
	clear(o.props)
}

// enter counts a send, if the producer runs and there is a message.
func (p *Producer) enter(ctx context.Context, msg *Message) (uint32, error) {
	switch {
	case msg == nil:
		return 0, invalid("", "message is nil")
	case ctx == nil:
		return 0, &SendError{Class: ClassInvalid, Topic: msg.Topic, Cause: errors.New("rocketmq: context is nil")}
	}
	// First count, then look: Shutdown changes the state before it waits, so
	// either it waits for this send or this send sees the new state.
	g := p.inflight.enter()
	if s := p.State(); s != StateRunning {
		p.inflight.leave(g)
		cause := ErrNotRunning
		if s == StateShutdown {
			cause = ErrClosed
		}
		return 0, &SendError{Class: ClassClosed, Topic: msg.Topic, Cause: cause}
	}
	return g, nil
}

func invalid(topic, reason string) error {
	return &SendError{Class: ClassInvalid, Topic: topic, Cause: fmt.Errorf("%w: %s", ErrInvalidMessage, reason)}
}

func (p *Producer) newCall(ctx context.Context, mode Mode, opts []SendOption) *Call {
	c := p.calls.Get().(*Call)
	c.mode = mode
	c.start = time.Now()
	c.deadline = c.start.Add(p.cfg.Timeout)
	c.retry = p.cfg.Retry
	for _, o := range opts {
		if o != nil {
			o.apply(c)
		}
	}
	if d, ok := ctx.Deadline(); ok && d.Before(c.deadline) {
		c.deadline = d
	}
	return c
}

// release clears a call and keeps it for the next one.
func (p *Producer) release(c *Call) {
	c.one[0].forget()
	for i := range c.many {
		c.many[i].forget()
	}
	if cap(c.properties) > keepProperties {
		c.properties = nil
	}
	c.many, c.outs, c.batch = c.many[:0], nil, false
	clear(c.slots)
	c.slots = c.slots[:0]
	clear(c.failures)
	c.failures = c.failures[:0]
	clear(c.tried)
	c.tried = c.tried[:0]
	c.attempts, c.certainty, c.misuse, c.denied, c.retry, c.ownRetry = 0, NotSent, nil, false, nil, false
	c.at, c.result = Attempt{}, Result{}
	c.selection, c.failure = Selection{}, Failure{}
	c.async = asyncSend{}
	c.callReport, c.attemptReport = CallReport{}, AttemptReport{}
	p.calls.Put(c)
}

// run takes a call through the whole chain to its one outcome.
func (p *Producer) run(ctx context.Context, c *Call) (Result, error) {
	res, err := p.callChain(ctx, c)
	return p.outcome(ctx, c, res, err)
}

func (p *Producer) outcome(ctx context.Context, c *Call, res *Result, err error) (Result, error) {
	if err != nil {
		err = c.failed(err)
		if errors.Is(err, ErrAborted) {
			p.undelivered.Add(1)
		}
	}
	if len(p.listeners.call) > 0 {
		c.callReport = CallReport{Call: c, Result: res, Err: err, Duration: time.Since(c.start)}
		p.listeners.callDone(ctx, &c.callReport)
	}
	if err != nil {
		return Result{}, err
	}
	return *res, nil
}
