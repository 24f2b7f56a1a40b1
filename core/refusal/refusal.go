// Package refusal turns what RocketMQ's servers answer into errors of package core. It is
// for transports whose servers answer in [rocketmq.ResponseCode]; any other transport has
// a table of its own.
package refusal

import (
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Of makes the error of an answer that is no success. Class and certainty follow from
// [rocketmq.Judge]. The remark is taken as it is: the transport bounds it and cleans it.
func Of(code rocketmq.ResponseCode, remark, addr string) *core.BrokerError {
	class, certainty := Sort(rocketmq.Judge(code, remark))
	return &core.BrokerError{Code: code, Class: class, Certainty: certainty, Remark: remark, Addr: addr}
}

// Sort gives the class and the certainty that a verdict stands for.
func Sort(v rocketmq.Verdict) (core.Class, core.Certainty) {
	switch v {
	case rocketmq.VerdictBusy:
		return core.ClassBusy, core.NotStored
	case rocketmq.VerdictUnavailable:
		return core.ClassUnavailable, core.NotStored
	case rocketmq.VerdictForbidden:
		return core.ClassForbidden, core.NotStored
	case rocketmq.VerdictAuth:
		return core.ClassAuth, core.NotStored
	case rocketmq.VerdictNoTopic:
		return core.ClassNoTopic, core.NotStored
	case rocketmq.VerdictStale:
		return core.ClassStale, core.NotStored
	case rocketmq.VerdictRejected:
		return core.ClassRejected, core.NotStored
	default:
		return core.ClassBroker, core.MaybeStored
	}
}
