// Package validate refuses messages that a broker would refuse, or misread,
// before anything of them is sent.
//
// [New] makes a step for the guard stage of message scope, so it runs once a
// call, in every mode, before namespace and compression and however many
// attempts follow. It has the rules of Java's Validators and MessageBatch, and
// those that Java leaves to the broker or to luck:
//
//	field        rule
//	-----------  ------------------------------------------------------------------
//	Topic        not blank, at most 127 bytes of [%|a-zA-Z0-9_-], not one of the
//	             system topics that belong to the broker
//	Body         at least 1 byte, at most 4 MiB before compression (MaxBodySize)
//	Tag          UTF-8, without the separators U+0001 and U+0002
//	Keys         likewise; none is empty or holds a blank, which joins them on the wire
//	ShardingKey  like Tag
//	DelayLevel   0 to 18 (MaxDelayLevel): brokers take their last level for any higher
//	             number
//	DeliverAt    from 1970 on, at most 3 days ahead of the call (MaxDelay)
//	DeliverAfter 0 to 3 days (MaxDelay)
//	Priority     from 0
//	LiteTopic    1 to 64 bytes of [a-zA-Z0-9_-]
//	together     only one of DelayLevel, DeliverAt, DeliverAfter, Priority and LiteTopic;
//	             no ShardingKey with the last two, no Queue with Priority
//	Properties   names and values UTF-8, not blank, without separators; no name that
//	             RocketMQ itself uses, but for RECONSUME_TIME and MAX_RECONSUME_TIMES
//	             in a message for a %RETRY% topic; 32,255 bytes encoded, all properties together
//	             (MaxPropertiesSize)
//	Queue        a broker's name and a queue number from 0
//	batch        no delay of any kind, no %RETRY% topic, nothing that brokers ignore in
//	             a batch (Priority, LiteTopic, INNER_MULTI_DISPATCH); one NoWaitStore, one
//	             Queue and one ShardingKey for all messages, because the batch goes to
//	             one queue as one unit; encoded size at most that of one body
//
// A call that breaks rules fails with one [*Error], or with [Errors] if it
// breaks several: all are reported at once. Either is found with errors.As for
// *Error and with errors.Is for [core.ErrInvalidMessage]. The texts name fields,
// rules and limits, and never hold a body or a property's value.
//
// Operations, such as a recall, carry no message and are not checked here.
//
// A message that passes costs no allocation.
package validate
