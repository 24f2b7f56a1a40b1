package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Batch collects the messages of separate calls, which wait in message scope, to
// send them in one request. It is for interceptors that put many small sends
// together, such as hooks/accumulate. Messages are copied when they are added: a
// caller that leaves early may change its own at once.
//
// The life of a batch is Add and Drop, then Send or Go, then Outcome for each
// call, then Release. One goroutine at a time may use it, but for Outcome and
// Leave, which many may call at once.
//
// What goes through the rest of the chain is a call of its own with all the
// messages, or the one message in plain form. It has the mode of the first call
// added, the latest deadline and the policy of the first call; its slots are
// empty. The calls themselves see none of its attempts.
type Batch struct {
	p        *Producer
	outs     []Outgoing
	msgs     []Message
	data     []byte     // the messages' bodies, one after the other
	props    []Property // what interceptors set in them, likewise
	places   []place    // of the two
	size     int
	mode     Mode
	served   *served // of the first call: all have its policy
	start    time.Time
	deadline time.Time

	sent, ended bool
	attempts    int
	queue       Queue // of the last attempt
	broker      Broker
	res         Result
	answer      batchAnswer
	err         *SendError
}

// place says where a message's body and properties lie, and what it takes in the batch.
type place struct{ body, bodyEnd, props, propsEnd, size int }

// NewBatch makes an empty batch.
func (p *Producer) NewBatch() *Batch { return p.batches.Get().(*Batch) }

// Add adds the message of c as it would go on the wire now. It reports false, and
// adds nothing, if the batch's encoded size would pass limit bytes, or if the policy of c
// is another than the batch's: policies may be replaced while a batch fills. An empty batch
// takes any message. An error means that the message cannot be sent at all.
//
// The call must be of the same producer and mode, and no batch itself.
func (b *Batch) Add(c *Call, limit int) (ok bool, err error) {
	n := len(b.outs)
	if c.batch || c.engine.producer != b.p || n > 0 && c.mode != b.mode {
		return false, fmt.Errorf("%w: only single calls of one producer and mode make a batch", ErrContract)
	}
	if c.misuse != nil {
		return false, c.misuse
	}
	defer c.thaw()
	if err := c.freeze(); err != nil {
		return false, err
	}
	from := &c.outs[0]
	size := from.batchSize()
	if n > 0 && (b.size+size > limit || c.served.policy != b.served.policy) {
		return false, nil
	}
	b.outs = append(b.outs, Outgoing{id: from.id, topic: from.topic, codec: from.codec, size: from.size, joined: true})
	b.msgs = append(b.msgs, from.msg.copied())
	at := place{body: len(b.data), props: len(b.props), size: size}
	b.data = append(b.data, from.body...)
	b.props = append(b.props, from.props...)
	at.bodyEnd, at.propsEnd = len(b.data), len(b.props)
	b.places = append(b.places, at)
	b.size += size
	if n == 0 {
		b.mode, b.start, b.served = c.mode, c.start, c.served
	}
	if c.deadline.After(b.deadline) {
		b.deadline = c.deadline
	}
	c.place = n
	return true, nil
}

// copied is a message that shares nothing the user may change but its body, which
// a batch copies for itself.
func (m *Message) copied() Message {
	out := *m
	out.Keys, out.Properties = slices.Clone(m.Keys), maps.Clone(m.Properties)
	if m.Queue != nil {
		q := *m.Queue
		out.Queue = &q
	}
	return out
}

// Drop takes the message of c out again, before Send. It reports whether it was
// in. The others keep their order.
func (b *Batch) Drop(c *Call) bool {
	i := b.index(c)
	if i < 0 {
		return false
	}
	// Its bytes stay in data, unused.
	b.size -= b.places[i].size
	b.places = slices.Delete(b.places, i, i+1)
	b.msgs = slices.Delete(b.msgs, i, i+1)
	b.outs = slices.Delete(b.outs, i, i+1)
	return true
}

// index finds a call's message: at the place where it was put, or further in
// front if others were dropped since.
func (b *Batch) index(c *Call) int {
	id := c.MessageID()
	for i := min(c.place, len(b.outs)-1); i >= 0; i-- {
		if b.outs[i].id == id {
			return i
		}
	}
	return -1
}

// Len is the number of messages in the batch.
func (b *Batch) Len() int { return len(b.outs) }

// Size is the encoded size of the batch in bytes.
func (b *Batch) Size() int { return b.size }

// Send sends what is in the batch through next, the handler that the interceptor
// was given, until the latest of the calls' deadlines. A single message goes in
// its plain form. An empty batch sends nothing.
func (b *Batch) Send(ctx context.Context, next Handler) {
	if len(b.outs) == 0 {
		return
	}
	e := b.p.engine
	c := e.calls.Get().(*Call)
	c.mode, c.batch, c.outs = b.mode, len(b.outs) > 1, b.outs
	c.start, c.deadline, c.certainty = b.start, b.deadline, NotSent
	c.served, c.retry = b.served, b.served.policy.Retry
	for i := range b.outs {
		o, at := &b.outs[i], b.places[i]
		o.call, o.msg = c, &b.msgs[i]
		o.body = b.data[at.body:at.bodyEnd:at.bodyEnd]
		o.props = b.props[at.props:at.propsEnd:at.propsEnd]
		o.msg.Body = o.body
	}
	b.sent = true
	res, err := b.run(ctx, c, next)
	b.attempts, b.queue, b.broker = c.attempts, c.at.queue, c.at.broker
	if err == nil {
		b.res, b.answer = *res, c.answer
	} else {
		b.err = c.failed(err).(*SendError)
		if c.misuse != nil && errors.Is(err, c.misuse) {
			b.err.Cause = fmt.Errorf("%w: a step that changes messages belongs outside of the one that puts them together", b.err.Cause)
		}
	}
	b.ended = true
	e.release(c)
}

// run calls next. The chain below recovers its steps' panics, but what is left of
// core after them has nobody above on this goroutine.
func (b *Batch) run(ctx context.Context, c *Call, next Handler) (res *Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			res, err = nil, &SendError{
				Class: ClassPlugin, Certainty: MaybeStored, Topic: c.Message().Topic, MessageID: c.MessageID(),
				Cause: panicError("batch", v),
			}
		}
	}()
	if err := b.p.engine.supported(c); err != nil {
		return nil, err
	}
	res, err = next(ctx, c)
	return checkContract("batch handler", res, err)
}

// Go is Send on a goroutine of the producer's, which calls done at its end, also
// if a step ends the goroutine. Shutdown waits for it. At least one call whose
// message is in the batch must be under way when Go is called.
func (b *Batch) Go(ctx context.Context, next Handler, done func()) {
	p := b.p
	g := p.batching.enter()
	p.workers.run(taskFunc(func() {
		defer p.batching.leave(g)
		defer done()
		b.Send(ctx, next)
	}))
}

// Outcome says after Send what became of the message of c. The result belongs to
// the call.
func (b *Batch) Outcome(c *Call) (*Result, error) {
	i := b.index(c)
	switch {
	case i < 0:
		return nil, fmt.Errorf("%w: message %v is not in the batch", ErrContract, c.MessageID())
	case !b.sent:
		return nil, fmt.Errorf("%w: the batch was not sent", ErrContract)
	case !b.ended:
		return nil, b.Leave(c, errGoexit) // the batch's goroutine ended: it is no success
	}
	// The call itself remembers what happened, as if it had made the attempts: an
	// error that a step further out wraps must not say less.
	c.attempts += b.attempts
	c.at.queue, c.at.broker = b.queue, b.broker
	if b.err != nil {
		c.certainty, c.stop = max(c.certainty, b.err.Certainty), b.err.Stop
		c.failures = append(c.failures, b.err.Attempts...)
		mine := *b.err
		mine.Topic, mine.MessageID, mine.Certainty = c.Message().Topic, c.MessageID(), c.certainty
		mine.Attempts = slices.Clone(c.failures)
		return nil, &mine
	}
	if err := b.answer.err(i); err != nil {
		if b.res.MaybeDuplicate {
			c.certainty = max(c.certainty, MaybeStored) // an earlier attempt may have stored it
		}
		return nil, c.refused(err)
	}
	c.result = b.answer.result(&b.res, c.MessageID(), i)
	c.result.Attempts = c.attempts
	c.result.MaybeDuplicate = b.res.MaybeDuplicate || c.certainty >= MaybeStored
	c.certainty = Stored
	return &c.result, nil
}

// refused makes the error of a message that the broker refused while it stored others.
func (c *Call) refused(err error) error {
	certainty := NotStored
	if be := (*BrokerError)(nil); errors.As(err, &be) {
		certainty = be.Certainty.orMaybe()
	}
	c.certainty = max(c.certainty, certainty)
	c.stop = StopFinal
	return c.failed(err)
}

// Leave makes the error of a call that gives up on its message while the batch is
// on its way: it may be stored.
func (b *Batch) Leave(c *Call, why error) error {
	c.certainty = max(c.certainty, MaybeStored)
	return c.failed(why)
}

// Release gives the batch back for another use.
func (b *Batch) Release() {
	clear(b.outs)
	clear(b.msgs)
	clear(b.props)
	*b = Batch{p: b.p, outs: b.outs[:0], msgs: b.msgs[:0], data: b.data[:0], props: b.props[:0], places: b.places[:0]}
	b.p.batches.Put(b)
}
