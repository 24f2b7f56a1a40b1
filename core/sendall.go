package core

import (
	"context"
	"iter"
	"sync"
)

// SendOutcome is what became of one message of [Producer.SendAll].
type SendOutcome struct {
	Message *Message // as it was given
	Result  Result
	Err     error // nil or a *SendError
}

// SendOutcomes are the outcomes of [Producer.SendAll], in the order of the messages.
type SendOutcomes []SendOutcome

// FirstErr is the first error, nil if every message was acknowledged.
func (o SendOutcomes) FirstErr() error {
	for i := range o {
		if o[i].Err != nil {
			return o[i].Err
		}
	}
	return nil
}

// Failed goes over the outcomes that have an error, in order.
func (o SendOutcomes) Failed() iter.Seq[*SendOutcome] {
	return func(yield func(*SendOutcome) bool) {
		for i := range o {
			if o[i].Err != nil && !yield(&o[i]) {
				return
			}
		}
	}
}

// SendAll sends the messages, many at a time, and waits for all of them. Each is a send of
// its own, with an outcome of its own, to any topic; how many are under way at a time the
// in-flight limits say. They may overtake each other. When ctx ends, what is not sent yet
// fails with its error, so every message has an outcome.
func (p *Producer) SendAll(ctx context.Context, msgs []*Message, opts ...SendOption) SendOutcomes {
	out := make(SendOutcomes, len(msgs))
	var wg sync.WaitGroup
	wg.Add(len(msgs))
	for i, m := range msgs {
		o := &out[i]
		o.Message = m
		p.SendAsync(ctx, m, func(res Result, err error) {
			o.Result, o.Err = res, err
			wg.Done()
		}, opts...)
	}
	wg.Wait()
	return out
}

// DefaultBatchBytes is the size that [SplitBatch] uses unless told otherwise: a quarter of
// the 4 MiB that brokers take, which leaves room for what steps add.
const DefaultBatchBytes = 1 << 20

// SplitBatch cuts messages into batches for [Producer.SendBatch]: in their order, each of one
// topic, queue and sharding key, of at most limit bytes. The size is what bodies and
// properties take before steps change them; 0 means [DefaultBatchBytes]. A message that is larger than the limit is a batch of its own. A nil
// message is one too, for SendBatch to refuse. The batches are parts of msgs.
func SplitBatch(msgs []*Message, limit int) iter.Seq[[]*Message] {
	if limit <= 0 {
		limit = DefaultBatchBytes
	}
	return func(yield func([]*Message) bool) {
		from, size := 0, 0
		for i, m := range msgs {
			n := m.batchSize()
			if i > from && (size+n > limit || !m.batchesWith(msgs[from])) {
				if !yield(msgs[from:i:i]) {
					return
				}
				from, size = i, 0
			}
			size += n
		}
		if from < len(msgs) {
			yield(msgs[from:len(msgs):len(msgs)])
		}
	}
}

// batchSize is how many bytes the message takes in a batch, as the user gave it.
func (m *Message) batchSize() int {
	if m == nil {
		return 0
	}
	out := Outgoing{msg: m, body: m.Body}
	return out.batchSize()
}

// batchesWith reports whether two messages can be in one batch: they are stored in one queue,
// at one time.
func (m *Message) batchesWith(o *Message) bool {
	switch {
	case m == nil || o == nil:
		return false
	case m.Topic != o.Topic || m.ShardingKey != o.ShardingKey || m.NoWaitStore != o.NoWaitStore:
		return false
	case m.Queue == nil || o.Queue == nil:
		return m.Queue == o.Queue
	}
	return *m.Queue == *o.Queue
}
