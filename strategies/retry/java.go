package retry

import (
	"slices"

	"github.com/liftoff-mq/liftoff/core"
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
func Java5(opts ...Option) core.RetryPolicy { return java(Java5Codes(), opts) }

// Java49 is [Java5] with the codes of [Java49Codes].
func Java49(opts ...Option) core.RetryPolicy { return java(Java49Codes(), opts) }

func java(codes []rocketmq.ResponseCode, opts []Option) core.RetryPolicy {
	o := newOptions(opts)
	return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		sync := f.Mode == core.Sync
		switch {
		case f.Attempt > o.retries, sync && f.Consistent:
			return core.Decision{}
		case f.Err == nil:
			if !sync {
				return core.Decision{}
			}
			return o.weak(f)
		case f.Code != core.CodeNone:
			final := f.Class == core.ClassAuth || f.Class == core.ClassRejected
			return core.Decision{Retry: sync && (slices.Contains(codes, f.Code) && !final || slices.Contains(o.codes, f.Code))}
		}
		switch f.Class {
		case core.ClassNetwork, core.ClassTimeout, core.ClassCircuitOpen:
			return core.Decision{Retry: true}
		case core.ClassUnknown:
			return core.Decision{Retry: o.help(f) == anyBroker}
		}
		return core.Decision{}
	})
}
