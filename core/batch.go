package core

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
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
// added, the latest deadline and the producer's retry policy; its slots are
// empty. The calls themselves see none of its attempts.
type Batch struct {
	p        *Producer
	outs     []Outgoing
	msgs     []Message
	data     []byte  // each message's body and encoded properties
	places   []place // of them in data
	size     int
	mode     Mode
	start    time.Time
	deadline time.Time

	sent, ended bool
	attempts    int
	queue       Queue // of the last attempt
	broker      Broker
	res         Result
	ids         offsetIDs // of the stored messages
	err         *SendError
}

// place says where a message's bytes lie.
type place struct{ body, properties, end int }

// NewBatch makes an empty batch.
func (p *Producer) NewBatch() *Batch { return p.batches.Get().(*Batch) }

// Add adds the message of c as it would go on the wire now. It reports false, and
// adds nothing, if the batch's encoded size would pass limit bytes; an empty batch
// takes any message. An error means that the message cannot be sent at all.
//
// The call must be of the same producer and mode, and no batch itself.
func (b *Batch) Add(c *Call, limit int) (ok bool, err error) {
	n := len(b.outs)
	if c.batch || c.producer != b.p || n > 0 && c.mode != b.mode {
		return false, fmt.Errorf("%w: only single calls of one producer and mode make a batch", ErrContract)
	}
	defer c.thaw()
	if err := c.freeze(); err != nil {
		return false, err
	}
	from := &c.outs[0]
	size := rocketmq.BatchMessageOverhead + len(from.body) + len(from.encoded)
	if n > 0 && b.size+size > limit {
		return false, nil
	}
	b.outs = append(b.outs, Outgoing{id: from.id, topic: from.topic, sysFlag: from.sysFlag, prepared: true})
	b.msgs = append(b.msgs, from.msg.copied())
	at := place{body: len(b.data)}
	b.data = append(b.data, from.body...)
	at.properties = len(b.data)
	b.data = append(b.data, from.encoded...)
	at.end = len(b.data)
	b.places = append(b.places, at)
	b.size += size
	if n == 0 {
		b.mode, b.start = c.mode, c.start
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
	b.size -= rocketmq.BatchMessageOverhead + b.places[i].end - b.places[i].body
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
	c := b.p.calls.Get().(*Call)
	c.mode, c.batch, c.outs = b.mode, len(b.outs) > 1, b.outs
	c.start, c.deadline, c.retry = b.start, b.deadline, b.p.cfg.Retry
	for i := range b.outs {
		o, at := &b.outs[i], b.places[i]
		o.call, o.msg = c, &b.msgs[i]
		o.body, o.encoded = b.data[at.body:at.properties:at.properties], b.data[at.properties:at.end:at.end]
		o.msg.Body = o.body
	}
	b.sent = true
	res, err := b.run(ctx, c, next)
	b.attempts, b.queue, b.broker = c.attempts, c.at.queue, c.at.broker
	if err == nil {
		b.res = *res
		b.ids = splitOffsetIDs(res.OffsetMessageID, len(b.outs))
	} else {
		b.err = c.failed(err).(*SendError)
		if c.misuse != nil && errors.Is(err, c.misuse) {
			b.err.Cause = fmt.Errorf("%w: a step that changes messages belongs outside of the one that puts them together", b.err.Cause)
		}
	}
	b.ended = true
	b.p.release(c)
}

// run calls next. The chain below recovers its steps' panics, but what is left of
// core after them has nobody above on this goroutine.
func (b *Batch) run(ctx context.Context, c *Call, next Handler) (res *Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			res, err = nil, &SendError{
				Class: ClassPlugin, Certainty: MaybeStored, Topic: c.Message().Topic, MessageID: c.MessageID(),
				Cause: &PanicError{Step: "batch", Value: v, Stack: debug.Stack()},
			}
		}
	}()
	return next(ctx, c)
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
		return nil, b.Leave(c, errGoexit) // a batch without an outcome is no success
	}
	// The call itself remembers what happened, as if it had made the attempts: an
	// error that a step further out wraps must not say less.
	c.attempts += b.attempts
	c.at.queue, c.at.broker = b.queue, b.broker
	if b.err != nil {
		c.certainty = max(c.certainty, b.err.Certainty)
		c.failures = append(c.failures, b.err.Attempts...)
		mine := *b.err
		mine.Topic, mine.MessageID, mine.Certainty = c.Message().Topic, c.MessageID(), c.certainty
		mine.Attempts = slices.Clone(c.failures)
		return nil, &mine
	}
	c.result = b.ids.result(&b.res, c.MessageID(), i)
	c.result.Attempts = c.attempts
	c.result.MaybeDuplicate = b.res.MaybeDuplicate || c.certainty >= MaybeStored
	c.certainty = Stored
	return &c.result, nil
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
	*b = Batch{p: b.p, outs: b.outs[:0], msgs: b.msgs[:0], data: b.data[:0], places: b.places[:0]}
	b.p.batches.Put(b)
}
