package validate

import (
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// batch checks each message, and what they must have in common (Java:
// MessageBatch.generateFromList, which before 5.5 does not look at DeliverAt).
//
// The total size is what the messages take now. Steps further in may add
// properties, such as the namespace; a broker counts those too.
func (v *Validator) batch(call *core.Call) error {
	r := report{}
	first := call.Message()
	total := 0
	for o := range call.All() {
		props := v.message(&r, o, call.Start())
		m := o.Message()
		if m == nil || first == nil {
			r.index++
			continue
		}
		if m.DelayLevel != 0 {
			r.add("DelayLevel", NoBatch, "is set, but delayed messages cannot be in a batch")
		}
		if !m.DeliverAt.IsZero() {
			r.add("DeliverAt", NoBatch, "is set, but delayed messages cannot be in a batch")
		}
		if m.DeliverAfter != 0 {
			r.add("DeliverAfter", NoBatch, "is set, but delayed messages cannot be in a batch")
		}
		if m.Priority != nil {
			r.add("Priority", NoBatch, "is set, but brokers ignore it in a batch")
		}
		if m.LiteTopic != "" {
			r.add("LiteTopic", NoBatch, "is set, but brokers ignore it in a batch")
		}
		for name := range m.Properties {
			// A reserved one is reported already. So there is one left, and no order to keep.
			if rocketmq.IsSingleProperty(name) && !reserved(name) {
				r.add("Properties["+words.Quote(name)+"]", NoBatch, "is set, but brokers ignore it in a batch")
			}
		}
		if rocketmq.IsRetryTopic(m.Topic) {
			r.add("Topic", NoBatch, "is a %%RETRY%% topic, which takes no batches")
		}
		if m.NoWaitStore != first.NoWaitStore {
			r.add("NoWaitStore", NotSingle, "differs from message 0, a batch is stored as one")
		}
		if m.ShardingKey != first.ShardingKey {
			r.add("ShardingKey", NotSingle, "differs from message 0, a batch goes to one queue")
		}
		if !sameQueue(m.Queue, first.Queue) {
			r.add("Queue", NotSingle, "differs from message 0, a batch goes to one queue")
		}
		total += rocketmq.BatchMessageOverhead + len(m.Body) + props
		r.index++
	}
	if total > v.maxBody && len(r.errs) == 0 {
		r.index = -1
		r.tooLong("batch", total, v.maxBody, "has, encoded,")
	}
	return r.err()
}

func sameQueue(a, b *core.Queue) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
