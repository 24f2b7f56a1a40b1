package refusal_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/refusal"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The table of what a response code means, remark for remark.
func TestOf(t *testing.T) {
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
			e := refusal.Of(tt.code, tt.remark, "a:1")
			if got := core.ClassOf(fmt.Errorf("wrapped: %w", e)); got != tt.class {
				t.Errorf("class %v, want %v", got, tt.class)
			}
			if e.Certainty != tt.certainty {
				t.Errorf("certainty %v, want %v", e.Certainty, tt.certainty)
			}
			if e.Code != tt.code || e.Remark != tt.remark || e.Addr != "a:1" {
				t.Errorf("%+v", e)
			}
		})
	}
}

func ExampleOf() {
	err := refusal.Of(rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy", "127.0.0.1:10911")
	fmt.Println(err.Class, err.Certainty)
	fmt.Println(err)
	// Output:
	// busy not-stored
	// broker 127.0.0.1:10911: SYSTEM_BUSY (2): [TIMEOUT_CLEAN_QUEUE]broker busy
}
