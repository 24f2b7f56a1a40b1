package core

import (
	"context"
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
// The life of a batch is Add and Drop, then Send, then Outcome for each message,
// then Release. One goroutine at a time may use it, but for Outcome, which many
// may call at once.
type Batch struct {
	p     *Producer
	outs  []Outgoing
	msgs  []Message
	spans []span // of the bodies in arena
	arena []byte
	size  int
	res   Result
	err   *SendError
}

type span struct{ from, to int }

// batchItemOverhead is what a batch's record takes beside body and properties
// (Java: MessageDecoder.encodeMessage).
const batchItemOverhead = 22

// NewBatch makes an empty batch.
func (p *Producer) NewBatch() *Batch { return p.batches.Get().(*Batch) }

// Add adds the message of c as it would go on the wire now. It reports false, and
// adds nothing, if the batch's encoded size would pass limit bytes; an empty batch
// takes any message. An error means that the message cannot be sent at all.
//
// The call must be of the same producer and no batch itself.
func (b *Batch) Add(c *Call, limit int) (ok bool, err error) {
	if c.batch || c.producer != b.p {
		return false, fmt.Errorf("%w: only single calls of one producer make a batch", ErrContract)
	}
	defer c.thaw()
	if err := c.freeze(); err != nil {
		return false, err
	}
	from := &c.outs[0]
	size := batchItemOverhead + len(from.body) + len(from.encoded)
	n := len(b.outs)
	if n > 0 && b.size+size > limit {
		return false, nil
	}
	if n < cap(b.outs) {
		b.outs = b.outs[:n+1] // keeps the buffers of an earlier use
	} else {
		b.outs = append(b.outs, Outgoing{})
	}
	to := &b.outs[n]
	to.id, to.topic, to.sysFlag, to.prepared = from.id, from.topic, from.sysFlag, true
	to.props = to.props[:0]
	to.encoded = append(to.encoded[:0], from.encoded...)
	m := *from.msg
	m.Keys, m.Properties = slices.Clone(m.Keys), maps.Clone(m.Properties)
	b.msgs = append(b.msgs, m)
	b.spans = append(b.spans, span{len(b.arena), len(b.arena) + len(from.body)})
	b.arena = append(b.arena, from.body...)
	b.size += size
	return true, nil
}

// Drop takes a message out again, before Send. It reports whether it was in.
func (b *Batch) Drop(id MessageID) bool {
	i := b.index(id)
	if i < 0 {
		return false
	}
	s := b.spans[i]
	b.size -= batchItemOverhead + s.to - s.from + len(b.outs[i].encoded)
	last := len(b.outs) - 1
	b.outs[i], b.outs[last] = b.outs[last], b.outs[i]
	b.msgs[i], b.spans[i] = b.msgs[last], b.spans[last]
	b.outs, b.msgs, b.spans = b.outs[:last], b.msgs[:last], b.spans[:last]
	return true
}

func (b *Batch) index(id MessageID) int {
	for i := range b.outs {
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
// was given, until deadline. A single message goes in its plain form. An empty
// batch sends nothing.
func (b *Batch) Send(ctx context.Context, next Handler, deadline time.Time) {
	if len(b.outs) == 0 {
		return
	}
	c := b.p.calls.Get().(*Call)
	c.mode, c.batch, c.outs = Async, len(b.outs) > 1, b.outs
	c.start, c.deadline, c.retry = time.Now(), deadline, b.p.cfg.Retry
	for i := range b.outs {
		o, s := &b.outs[i], b.spans[i]
		o.call, o.msg, o.body = c, &b.msgs[i], b.arena[s.from:s.to:s.to]
		o.msg.Body = o.body
	}
	if res, err := next(ctx, c); err == nil {
		b.res = *res
	} else {
		b.err = c.failed(err).(*SendError)
	}
	b.p.release(c)
}

// Outcome says after Send what became of a message.
func (b *Batch) Outcome(id MessageID) (Result, error) {
	i := b.index(id)
	switch {
	case i < 0:
		return Result{}, fmt.Errorf("%w: message %v is not in the batch", ErrContract, id)
	case b.err != nil:
		mine := *b.err
		mine.MessageID = id
		return Result{}, &mine
	default:
		return splitResult(&b.res, id, i, len(b.outs)), nil
	}
}

// Release gives the batch back for another use.
func (b *Batch) Release() {
	for i := range b.outs {
		o := &b.outs[i]
		o.call, o.msg, o.body, o.prepared = nil, nil, nil, false
	}
	clear(b.msgs)
	*b = Batch{p: b.p, outs: b.outs[:0], msgs: b.msgs[:0], spans: b.spans[:0], arena: b.arena[:0]}
	b.p.batches.Put(b)
}
