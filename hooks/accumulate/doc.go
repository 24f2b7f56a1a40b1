// Package accumulate puts small sends of many callers together: messages for one
// topic that are sent at about the same time share one request, and each send
// still has its own result. A broker takes a batch for little more than it takes
// for one message, so many callers with small messages send several times as many.
//
// Give [Accumulator.Step] to the producer and send as before, with Send or
// SendAsync. A message goes out at once if no other one for its topic is under way.
// Otherwise it waits until as many have come as have lately been sending at a
// time, until the batch is full by number or bytes, or for the linger time.
// [core.Producer.Flush] sends what waits at once. Messages in one request have one
// topic, fixed queue, mode, policy and setting of NoWaitStore.
//
// Some messages are never accumulated and go out at once, as without the step:
// one-way sends and SendBatch; sends with a retry policy, a selector or an attempt
// timeout of their own; those with a delay, a sharding key, another queue that the
// selector must keep ([core.ConsistentSelector]), a body that was packed, or a property
// that brokers ignore in a batch, such as that of light queues; those larger than half
// the byte limit; and those to retry topics. Operations, such as a recall, are no sends,
// so the step takes no part in them.
//
// RocketMQ's brokers store all messages of a batch or none. If the outcome of the
// request is unknown, it is unknown for each of them, and a retry repeats them all, each
// under its own message id. If the request is refused for a reason that may lie in
// one message - by the broker as illegal, by a hook - each goes again alone, so
// that no message fails for another's fault. The same holds for a single message that a
// server refuses while it stores the others: it goes again alone if that is the reason and
// it is certainly not stored. A message that may be stored is never sent again from here.
//
// Steps that change messages belong outside of this one; one that sorts after
// "accumulate" in the encode stage has to name it in Step.Before. Selector, retry policy
// and the hooks of attempt scope see a batch as a SendBatch: once, with a context
// that carries no caller's values, a call whose slots are empty, and all messages in
// [core.Call.All].
package accumulate
