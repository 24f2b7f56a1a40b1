package retry

import (
	"slices"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Java49Codes returns the broker codes that the Java producer of 4.9 retries by
// default: 17, 14, 1, 16, 204 and 205 (DefaultMQProducer.retryResponseCodes).
func Java49Codes() []rocketmq.ResponseCode {
	return []rocketmq.ResponseCode{
		rocketmq.CodeTopicNotExist, rocketmq.CodeServiceNotAvailable, rocketmq.CodeSystemError,
		rocketmq.CodeNoPermission, rocketmq.CodeNoBuyerID, rocketmq.CodeNotInCurrentUnit,
	}
}

// Java5Codes returns those of 5.x: the codes of 4.9, and 2 and 1500.
func Java5Codes() []rocketmq.ResponseCode {
	return append(Java49Codes(), rocketmq.CodeSystemBusy, rocketmq.CodeGoAway)
}

// Java5 retries what the Java producer of 5.x does: up to two times, at once,
// at another broker if there is one; lost and refused connections and time-outs
// in sync and async sends, the codes of [Java5Codes] and [Codes] in sync sends
// only; and nothing in a sync send whose queue is fixed by a key.
//
// Two things differ. An answer that blames the message or the credentials is
// final, even where it comes with a code of the list: Java sends a message
// without permission three times. And a hook's veto is final.
//
// Over a transport whose answers have other codes than RocketMQ's, or none, it retries the
// kinds of answers that the codes of the list stand for.
func Java5(opts ...Option) core.RetryPolicy { return newJava("5.x", Java5Codes(), opts) }

// Java49 is [Java5] with the codes of [Java49Codes].
func Java49(opts ...Option) core.RetryPolicy { return newJava("4.9", Java49Codes(), opts) }

// java is what Java5 and Java49 make.
type java struct {
	options
	version string
	list    []rocketmq.ResponseCode // Java's; those of the user are in options
	classes []core.Class            // that the codes of the list stand for
}

func newJava(version string, list []rocketmq.ResponseCode, opts []Option) *java {
	o, ok := newOptions(opts)
	if !ok {
		return nil
	}
	j := &java{options: o, version: version, list: list}
	for _, code := range list {
		class, _ := refusal.Sort(rocketmq.Judge(code, ""))
		j.classes = append(j.classes, class)
	}
	return j
}

// Next implements [core.RetryPolicy].
func (j *java) Next(f *core.Failure) core.Decision {
	inSync := f.Mode == core.Sync
	switch {
	case f.Attempt > j.retries, inSync && f.Consistent:
		return core.Decision{}
	case f.Err == nil:
		if !inSync {
			return core.Decision{}
		}
		return j.weak(f)
	case f.Answered:
		return core.Decision{Retry: inSync && j.retriesAnswer(f)}
	}
	switch f.Class {
	case core.ClassNetwork, core.ClassTimeout, core.ClassCircuitOpen:
		return core.Decision{Retry: true}
	case core.ClassUnknown:
		return core.Decision{Retry: j.help(f) == anyBroker}
	}
	return core.Decision{}
}

func (j *java) retriesAnswer(f *core.Failure) bool {
	if listed(j.codes, f.Code) {
		return true
	}
	if _, ok := f.Code.(rocketmq.ResponseCode); !ok {
		return slices.Contains(j.classes, f.Class)
	}
	final := f.Class == core.ClassAuth || f.Class == core.ClassRejected
	return listed(j.list, f.Code) && !final
}
