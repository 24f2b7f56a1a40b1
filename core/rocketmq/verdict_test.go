package rocketmq_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

func TestJudge(t *testing.T) {
	const (
		gone  = "request queueId[8] is illegal, topicConfig [readQueueNums=8] Producer: 10.0.0.1:4711"
		timer = "timer message is under flow control, max num limit is 100 or the current value is greater than 50 and less than 100, trigger random flow control"
		lmq   = "[LMQ_CONSUME_QUEUE_NUM_EXCEEDED]broker config enableLmq and enableMultiDispatch, lmq consumeQueue num exceed maxLmqConsumeQueueNum config num, default limit 2w."
	)
	tests := []struct {
		code   rocketmq.ResponseCode
		remark string
		want   rocketmq.Verdict
	}{
		{rocketmq.CodeSystemBusy, "[PC_SYNCHRONIZED]broker busy, start flow control for a while", rocketmq.VerdictBusy},
		{rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy", rocketmq.VerdictBusy},
		{rocketmq.CodeFlowControl, "", rocketmq.VerdictBusy},

		{rocketmq.CodeServiceNotAvailable, "service not available now. It may be caused by one of the following reasons: the broker's disk is full", rocketmq.VerdictUnavailable},
		{rocketmq.CodeGoAway, "", rocketmq.VerdictUnavailable},
		{rocketmq.CodeNoBuyerID, "", rocketmq.VerdictUnavailable},
		{rocketmq.CodeNotInCurrentUnit, "", rocketmq.VerdictUnavailable},
		{rocketmq.CodeBrokerNotExist, "", rocketmq.VerdictUnavailable},

		{rocketmq.CodeNoPermission, "the broker[broker-a] sending message is forbidden", rocketmq.VerdictForbidden},
		{rocketmq.CodeNoPermission, "", rocketmq.VerdictForbidden},
		{rocketmq.CodeNoPermission, "check signature failed.", rocketmq.VerdictAuth},
		{rocketmq.CodeNoPermission, "username cannot be null.", rocketmq.VerdictAuth},
		{rocketmq.CodeNoPermission, "User:x is not found", rocketmq.VerdictAuth},
		{rocketmq.CodeNoPermission, "User:x has no permission to access Topic:y from 10.0.0.1", rocketmq.VerdictAuth},

		{rocketmq.CodeSystemError, "push reply message fail, channel of <10.0.0.7@1#a> not found.", rocketmq.VerdictForbidden},
		{rocketmq.CodeSystemError, "reply message properties[REPLY_TO_CLIENT] is null", rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, "push reply message to 10.0.0.7@1#afail.", rocketmq.VerdictUnknown},

		{rocketmq.CodeTopicNotExist, "topic[t] not exist, apply first please!", rocketmq.VerdictNoTopic},
		{rocketmq.CodeNotLeaderForQueue, "t-1 does not exit in request process of current broker broker-a", rocketmq.VerdictStale},
		{rocketmq.CodeInvalidParameter, gone, rocketmq.VerdictStale},
		{rocketmq.CodeInvalidParameter, "The specified topic is blank.", rocketmq.VerdictRejected},
		{rocketmq.CodeMessageIllegal, gone, rocketmq.VerdictRejected},
		{rocketmq.CodeMessageIllegal, "", rocketmq.VerdictRejected},
		{rocketmq.CodeIllegalOperation, "", rocketmq.VerdictRejected},
		{rocketmq.CodeRequestCodeNotSupported, " request type 4711 not supported", rocketmq.VerdictRejected},
		{rocketmq.CodeVersionNotSupported, "", rocketmq.VerdictRejected},
		{rocketmq.CodeSubscriptionGroupNotExist, "subscription group not exist, g", rocketmq.VerdictRejected},
		{rocketmq.CodeLMQQuotaExceeded, "", rocketmq.VerdictRejected},

		{rocketmq.CodeSystemError, gone, rocketmq.VerdictStale},
		{rocketmq.CodeSystemError, "org.apache.rocketmq.acl.common.AclException: No accessKey", rocketmq.VerdictAuth},
		{rocketmq.CodeSystemError, "check signature failed", rocketmq.VerdictAuth},
		{rocketmq.CodeSystemError, "broker unable to service, until 2099", rocketmq.VerdictUnavailable},
		{rocketmq.CodeSystemError, "in-sync replicas not enough", rocketmq.VerdictUnavailable},
		{rocketmq.CodeSystemError, "create mapped file failed, server is busy or broken.", rocketmq.VerdictUnavailable},
		{rocketmq.CodeSystemError, "java.lang.IllegalArgumentException: x", rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, "java.lang.ArrayIndexOutOfBoundsException", rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, "java.lang.NullPointerException", rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, "java.lang.NumberFormatException: null", rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$", rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, "The specified topic is longer than topic max length.", rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, "accurate timer message is not enabled, timerWheelEnable is false", rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, timer, rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, lmq, rocketmq.VerdictRejected},
		{rocketmq.CodeSystemError, "store putMessage return null", rocketmq.VerdictUnknown},
		{rocketmq.CodeSystemError, "UNKNOWN_ERROR", rocketmq.VerdictUnknown},
		{rocketmq.CodeSystemError, "", rocketmq.VerdictUnknown},

		{rocketmq.CodeSuccess, "", rocketmq.VerdictUnknown},
		{rocketmq.CodeFlushDiskTimeout, "", rocketmq.VerdictUnknown},
		{rocketmq.CodeTransactionFailed, "", rocketmq.VerdictUnknown},
		{rocketmq.CodeRPCTimeOut, "", rocketmq.VerdictUnknown},
		{7777, gone, rocketmq.VerdictUnknown},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v %.30s", tt.code, tt.remark), func(t *testing.T) {
			if got := rocketmq.Judge(tt.code, tt.remark); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestVerdictString(t *testing.T) {
	seen := map[string]bool{}
	for v := rocketmq.VerdictUnknown; v <= rocketmq.VerdictRejected; v++ {
		if s := v.String(); s == "" || seen[s] {
			t.Errorf("verdict %d is called %q", v, s)
		} else {
			seen[s] = true
		}
	}
	if got := rocketmq.Verdict(200).String(); got != "unknown(200)" {
		t.Errorf("got %q", got)
	}
}

func TestResponseCodeString(t *testing.T) {
	for code, want := range map[rocketmq.ResponseCode]string{
		-1: "NONE", 0: "SUCCESS", 16: "NO_PERMISSION", 202: "TRANSACTION_STATE_UNKNOW", 1500: "GO_AWAY",
		2017: "LMQ_QUOTA_EXCEEDED", -1006: "RPC_TIME_OUT", 4711: "UNKNOWN_CODE", -7: "UNKNOWN_CODE",
	} {
		if got := code.String(); got != want {
			t.Errorf("%d is %q, want %q", int(code), got, want)
		}
	}
}

// A number in a log or a file of settings tells nobody what happened.
func TestTextsOfCodesAndFaults(t *testing.T) {
	for code, want := range map[rocketmq.ResponseCode]string{
		0: "SUCCESS", 2: "SYSTEM_BUSY", -1006: "RPC_TIME_OUT", 4711: "CODE_4711", -7: "CODE_-7",
	} {
		text, err := json.Marshal(code)
		if err != nil || string(text) != `"`+want+`"` {
			t.Errorf("%d is %s, %v", int(code), text, err)
		}
		var back rocketmq.ResponseCode
		if err := json.Unmarshal(text, &back); err != nil || back != code {
			t.Errorf("%s comes back as %d, %v", text, int(back), err)
		}
	}
	var code rocketmq.ResponseCode
	for _, text := range []string{"", "BUSY", "CODE_", "CODE_x", "CODE_99999999999", "2"} {
		if err := code.UnmarshalText([]byte(text)); err == nil || code != 0 {
			t.Errorf("%q is %v", text, code)
		}
	}
	var fault rocketmq.NameFault
	var verdict rocketmq.Verdict
	for text, v := range map[string]interface {
		encoding.TextUnmarshaler
		encoding.TextMarshaler
		fmt.Stringer
	}{"bad character": &fault, "no-topic": &verdict} {
		if err := v.UnmarshalText([]byte(text)); err != nil || v.String() != text {
			t.Errorf("%q is %v, %v", text, v, err)
		}
		if back, err := v.MarshalText(); err != nil || string(back) != text {
			t.Errorf("%q comes back as %q, %v", text, back, err)
		}
		if err := v.UnmarshalText([]byte("nonsense")); err == nil {
			t.Errorf("nonsense is %v", v)
		}
	}
	if _, err := rocketmq.Verdict(200).MarshalText(); err == nil {
		t.Error("a verdict that is none has a text")
	}
}
