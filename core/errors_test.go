package core_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// The table of what a response code means, remark for remark.
func TestBrokerCodes(t *testing.T) {
	tests := []struct {
		code      rocketmq.ResponseCode
		remark    string
		class     core.Class
		certainty core.Certainty
	}{
		{rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy", core.ClassBusy, core.NotStored},
		{rocketmq.CodeSystemBusy, "[OVERLOAD]system busy", core.ClassBusy, core.NotStored},
		{rocketmq.CodeFlowControl, "", core.ClassBusy, core.NotStored},
		{rocketmq.CodeServiceNotAvailable, "disk full", core.ClassUnavailable, core.NotStored},
		{rocketmq.CodeNoPermission, "the broker[broker-a] sending message is forbidden", core.ClassForbidden, core.NotStored},
		{rocketmq.CodeNoPermission, "check signature failed.", core.ClassAuth, core.NotStored},
		{rocketmq.CodeNoPermission, "User:x is not found", core.ClassAuth, core.NotStored},
		{rocketmq.CodeNoPermission, "User:x has no permission to access Topic:y", core.ClassAuth, core.NotStored},
		{rocketmq.CodeNoPermission, "username cannot be null", core.ClassAuth, core.NotStored},
		{rocketmq.CodeSystemError, "org.apache.rocketmq.acl.common.AclException: No accessKey", core.ClassAuth, core.NotStored},
		{rocketmq.CodeSystemError, "broker unable to service, until 2099", core.ClassUnavailable, core.NotStored},
		{rocketmq.CodeSystemError, "in-sync replicas not enough", core.ClassUnavailable, core.NotStored},
		{rocketmq.CodeSystemError, "create mapped file failed", core.ClassUnavailable, core.NotStored},
		{rocketmq.CodeSystemError, "java.lang.IllegalArgumentException: x", core.ClassRejected, core.NotStored},
		{rocketmq.CodeSystemError, "java.lang.ArrayIndexOutOfBoundsException", core.ClassRejected, core.NotStored},
		{rocketmq.CodeSystemError, "java.lang.NullPointerException", core.ClassRejected, core.NotStored},
		{rocketmq.CodeSystemError, "The specified topic contains illegal characters", core.ClassRejected, core.NotStored},
		{rocketmq.CodeSystemError, "accurate timer message is not enabled, timerWheelEnable is false", core.ClassRejected, core.NotStored},
		{rocketmq.CodeSystemError, "timer message is under flow control, max num limit is 1", core.ClassRejected, core.NotStored},
		{rocketmq.CodeSystemError, "[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]broker config", core.ClassRejected, core.NotStored},
		{rocketmq.CodeLMQQuotaExceeded, "", core.ClassRejected, core.NotStored},
		{rocketmq.CodeSystemError, "UNKNOWN_ERROR", core.ClassBroker, core.MaybeStored},
		{rocketmq.CodeMessageIllegal, "", core.ClassRejected, core.NotStored},
		{rocketmq.CodeInvalidParameter, "", core.ClassRejected, core.NotStored},
		{rocketmq.CodeTopicNotExist, "", core.ClassNoTopic, core.NotStored},
		{rocketmq.CodeNotLeaderForQueue, "", core.ClassStale, core.NotStored},
		{rocketmq.CodeGoAway, "", core.ClassUnavailable, core.NotStored},
		{rocketmq.CodeRequestCodeNotSupported, "", core.ClassRejected, core.NotStored},
		{rocketmq.ResponseCode(7777), "", core.ClassBroker, core.MaybeStored},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v %s", tt.code, tt.remark), func(t *testing.T) {
			e := &core.BrokerError{Code: tt.code, Remark: tt.remark}
			if got := core.ClassOf(fmt.Errorf("wrapped: %w", e)); got != tt.class {
				t.Errorf("class %v, want %v", got, tt.class)
			}
			if got := e.Certainty(); got != tt.certainty {
				t.Errorf("certainty %v, want %v", got, tt.certainty)
			}
		})
	}
}

func TestClassOf(t *testing.T) {
	tests := []struct {
		err  error
		want core.Class
		typ  string
	}{
		{core.ErrInvalidMessage, core.ClassInvalid, "invalid_message"},
		{core.ErrForbidden, core.ClassForbidden, "forbidden"},
		{core.ErrNoRoute, core.ClassNoRoute, "no_route"},
		{core.ErrCircuitOpen, core.ClassCircuitOpen, "circuit_open"},
		{core.ErrTooManyInFlight, core.ClassInFlight, "in_flight"},
		{core.ErrClosed, core.ClassClosed, "closed"},
		{core.ErrTimeout, core.ClassTimeout, "timeout"},
		{context.DeadlineExceeded, core.ClassTimeout, "timeout"},
		{context.Canceled, core.ClassCanceled, "canceled"},
		{core.ErrConnect, core.ClassNetwork, "network"},
		{core.ErrConnectionLost, core.ClassNetwork, "network"},
		{&core.PanicError{Step: "x", Value: 1}, core.ClassPlugin, "plugin"},
		{&core.BrokerError{Code: rocketmq.CodeSystemBusy}, core.ClassBusy, "SYSTEM_BUSY"},
		{errors.New("mine"), core.ClassUnknown, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			if got := core.ClassOf(fmt.Errorf("outer: %w", tt.err)); got != tt.want {
				t.Errorf("class %v, want %v", got, tt.want)
			}
			se := &core.SendError{Class: tt.want, Cause: tt.err}
			if got := se.ErrorType(); got != tt.typ {
				t.Errorf("error type %q, want %q", got, tt.typ)
			}
		})
	}
	if core.ClassOf(nil) != core.ClassNone {
		t.Error("nil has a class")
	}
	if !errors.Is(core.ErrTimeout, context.DeadlineExceeded) {
		t.Error("ErrTimeout is not context.DeadlineExceeded")
	}
}

func TestSendErrorShowsEveryCause(t *testing.T) {
	busy := &core.BrokerError{Code: rocketmq.CodeSystemBusy, Addr: "a:1", Remark: "full"}
	e := error(&core.SendError{
		Class: core.ClassTimeout, Certainty: core.MaybeStored, Topic: "T", Cause: core.ErrTimeout,
		Attempts: []core.AttemptError{{Number: 1, Queue: core.Queue{Broker: "broker-a", ID: 2}, Addr: "a:1", Err: busy, Class: core.ClassBusy, Certainty: core.NotStored}},
	})
	var be *core.BrokerError
	if !errors.As(e, &be) || be != busy {
		t.Error("errors.As does not find the attempt's broker error")
	}
	if !errors.Is(e, core.ErrTimeout) || !errors.Is(e, context.DeadlineExceeded) {
		t.Error("errors.Is does not find the cause")
	}
	for _, tt := range []struct {
		err  error
		want core.Certainty
	}{
		{fmt.Errorf("x: %w", e), core.MaybeStored},
		{&core.SendError{}, core.NotSent},
		{errors.New("a step's"), core.NotSent},
	} {
		if got := core.CertaintyOf(tt.err); got != tt.want {
			t.Errorf("the certainty of %v is %v, want %v", tt.err, got, tt.want)
		}
	}
	want := `send to "T": timeout, maybe-stored: rocketmq: timeout; attempt 1 to broker-a/2 (a:1) after 0s: broker a:1: SYSTEM_BUSY (2): full`
	if e.Error() != want {
		t.Errorf("got  %s\nwant %s", e, want)
	}
	for _, tt := range []struct {
		e    core.SendError
		want string
	}{
		{core.SendError{Class: core.ClassInvalid, Cause: core.ErrInvalidMessage}, `send: invalid, not-sent: rocketmq: invalid message`},
		{
			core.SendError{Class: core.ClassBusy, Certainty: core.NotStored, Topic: "T", Cause: busy, Attempts: []core.AttemptError{
				{Number: 1, Queue: core.Queue{Broker: "broker-b", ID: 0}, Addr: "b:1", Err: core.ErrConnect},
				{Number: 2, Queue: core.Queue{Broker: "broker-a", ID: 2}, Addr: "a:1", Err: busy},
			}},
			`send to "T": busy, not-stored: attempt 1 to broker-b/0 (b:1) after 0s: rocketmq: cannot connect; ` +
				`attempt 2 to broker-a/2 (a:1) after 0s: broker a:1: SYSTEM_BUSY (2): full`,
		},
	} {
		if got := tt.e.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
