package rocketmq

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// ResponseCode is a broker's or name server's answer code.
type ResponseCode int

// The codes that a producer can meet (Java: ResponseCode, RemotingSysResponseCode).
// [Judge] says what they mean for a message. Those below zero never come from
// another process in 4.9; in 5.x a broker makes them up about brokers it asked itself.
const (
	CodeSuccess                    ResponseCode = 0
	CodeSystemError                ResponseCode = 1
	CodeSystemBusy                 ResponseCode = 2
	CodeRequestCodeNotSupported    ResponseCode = 3
	CodeTransactionFailed          ResponseCode = 4
	CodeFlushDiskTimeout           ResponseCode = 10
	CodeSlaveNotAvailable          ResponseCode = 11
	CodeFlushSlaveTimeout          ResponseCode = 12
	CodeMessageIllegal             ResponseCode = 13
	CodeServiceNotAvailable        ResponseCode = 14
	CodeVersionNotSupported        ResponseCode = 15
	CodeNoPermission               ResponseCode = 16
	CodeTopicNotExist              ResponseCode = 17
	CodeTopicExistAlready          ResponseCode = 18
	CodeSubscriptionGroupNotExist  ResponseCode = 26
	CodeInvalidParameter           ResponseCode = 29 // 5.x
	CodeTransactionShouldCommit    ResponseCode = 200
	CodeTransactionShouldRollback  ResponseCode = 201
	CodeTransactionStateUnknown    ResponseCode = 202
	CodeTransactionStateGroupWrong ResponseCode = 203
	CodeNoBuyerID                  ResponseCode = 204
	CodeNotInCurrentUnit           ResponseCode = 205
	CodeBrokerNotExist             ResponseCode = 211 // 5.x
	CodeFlowControl                ResponseCode = 215
	CodeNotLeaderForQueue          ResponseCode = 501  // 5.x
	CodeIllegalOperation           ResponseCode = 604  // 5.x
	CodeGoAway                     ResponseCode = 1500 // 5.x
	CodeLMQQuotaExceeded           ResponseCode = 2017 // 5.5; 5.3.3 says 1
	CodeRPCUnknown                 ResponseCode = -1000
	CodeRPCAddrIsNull              ResponseCode = -1002
	CodeRPCSendToChannelFailed     ResponseCode = -1004
	CodeRPCTimeOut                 ResponseCode = -1006
)

// none is what a program calls an answer that never came; no server sends it.
const none ResponseCode = -1

var codeNames = map[ResponseCode]string{
	none:                           "NONE",
	CodeSuccess:                    "SUCCESS",
	CodeSystemError:                "SYSTEM_ERROR",
	CodeSystemBusy:                 "SYSTEM_BUSY",
	CodeRequestCodeNotSupported:    "REQUEST_CODE_NOT_SUPPORTED",
	CodeTransactionFailed:          "TRANSACTION_FAILED",
	CodeFlushDiskTimeout:           "FLUSH_DISK_TIMEOUT",
	CodeSlaveNotAvailable:          "SLAVE_NOT_AVAILABLE",
	CodeFlushSlaveTimeout:          "FLUSH_SLAVE_TIMEOUT",
	CodeMessageIllegal:             "MESSAGE_ILLEGAL",
	CodeServiceNotAvailable:        "SERVICE_NOT_AVAILABLE",
	CodeVersionNotSupported:        "VERSION_NOT_SUPPORTED",
	CodeNoPermission:               "NO_PERMISSION",
	CodeTopicNotExist:              "TOPIC_NOT_EXIST",
	CodeTopicExistAlready:          "TOPIC_EXIST_ALREADY",
	CodeSubscriptionGroupNotExist:  "SUBSCRIPTION_GROUP_NOT_EXIST",
	CodeInvalidParameter:           "INVALID_PARAMETER",
	CodeTransactionShouldCommit:    "TRANSACTION_SHOULD_COMMIT",
	CodeTransactionShouldRollback:  "TRANSACTION_SHOULD_ROLLBACK",
	CodeTransactionStateUnknown:    "TRANSACTION_STATE_UNKNOW", // Java's spelling
	CodeTransactionStateGroupWrong: "TRANSACTION_STATE_GROUP_WRONG",
	CodeNoBuyerID:                  "NO_BUYER_ID",
	CodeNotInCurrentUnit:           "NOT_IN_CURRENT_UNIT",
	CodeBrokerNotExist:             "BROKER_NOT_EXIST",
	CodeFlowControl:                "FLOW_CONTROL",
	CodeNotLeaderForQueue:          "NOT_LEADER_FOR_QUEUE",
	CodeIllegalOperation:           "ILLEGAL_OPERATION",
	CodeGoAway:                     "GO_AWAY",
	CodeLMQQuotaExceeded:           "LMQ_QUOTA_EXCEEDED",
	CodeRPCUnknown:                 "RPC_UNKNOWN",
	CodeRPCAddrIsNull:              "RPC_ADDR_IS_NULL",
	CodeRPCSendToChannelFailed:     "RPC_SEND_TO_CHANNEL_FAILED",
	CodeRPCTimeOut:                 "RPC_TIME_OUT",
}

// Number is the code as a number.
func (c ResponseCode) Number() int { return int(c) }

// unnamed is the name of every code that is not listed.
const unnamed = "UNKNOWN_CODE"

// String gives RocketMQ's name of the code, UNKNOWN_CODE for one that is not listed here, and
// NONE for -1, which stands for no answer. So the names are a closed set, whatever a server
// answers: metrics use them as labels. [ResponseCode.Number] tells unlisted codes apart.
func (c ResponseCode) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return unnamed
}

// numbered begins the text of a code that is not listed.
const numbered = "CODE_"

// MarshalText gives the name, or CODE_n for a code that is not listed. Other than String it
// loses nothing.
func (c ResponseCode) MarshalText() ([]byte, error) {
	if name, ok := codeNames[c]; ok {
		return []byte(name), nil
	}
	return strconv.AppendInt([]byte(numbered), int64(c), 10), nil
}

// UnmarshalText takes what MarshalText gives.
func (c *ResponseCode) UnmarshalText(text []byte) error {
	for code, name := range codeNames {
		if name == string(text) {
			*c = code
			return nil
		}
	}
	if digits, ok := strings.CutPrefix(string(text), numbered); ok {
		if n, err := strconv.ParseInt(digits, 10, 32); err == nil {
			*c = ResponseCode(n)
			return nil
		}
	}
	return fmt.Errorf("rocketmq: response code %s is not known", words.Quote(string(text)))
}
