package core

import "strconv"

// ResponseCode is a broker's or name server's answer code.
type ResponseCode int

// The codes that a producer can meet (Java: ResponseCode, RemotingSysResponseCode).
const (
	CodeSuccess                 ResponseCode = 0
	CodeSystemError             ResponseCode = 1
	CodeSystemBusy              ResponseCode = 2
	CodeRequestCodeNotSupported ResponseCode = 3
	CodeTransactionFailed       ResponseCode = 4
	CodeFlushDiskTimeout        ResponseCode = 10
	CodeSlaveNotAvailable       ResponseCode = 11
	CodeFlushSlaveTimeout       ResponseCode = 12
	CodeMessageIllegal          ResponseCode = 13
	CodeServiceNotAvailable     ResponseCode = 14
	CodeVersionNotSupported     ResponseCode = 15
	CodeNoPermission            ResponseCode = 16
	CodeTopicNotExist           ResponseCode = 17
	CodeTopicExistAlready       ResponseCode = 18
	CodeInvalidParameter        ResponseCode = 29
	CodeNoBuyerID               ResponseCode = 204
	CodeNotInCurrentUnit        ResponseCode = 205
	CodeBrokerNotExist          ResponseCode = 211
	CodeFlowControl             ResponseCode = 215
	CodeNotLeaderForQueue       ResponseCode = 501
	CodeIllegalOperation        ResponseCode = 604
	CodeGoAway                  ResponseCode = 1500
)

var codeNames = map[ResponseCode]string{
	CodeSuccess:                 "SUCCESS",
	CodeSystemError:             "SYSTEM_ERROR",
	CodeSystemBusy:              "SYSTEM_BUSY",
	CodeRequestCodeNotSupported: "REQUEST_CODE_NOT_SUPPORTED",
	CodeTransactionFailed:       "TRANSACTION_FAILED",
	CodeFlushDiskTimeout:        "FLUSH_DISK_TIMEOUT",
	CodeSlaveNotAvailable:       "SLAVE_NOT_AVAILABLE",
	CodeFlushSlaveTimeout:       "FLUSH_SLAVE_TIMEOUT",
	CodeMessageIllegal:          "MESSAGE_ILLEGAL",
	CodeServiceNotAvailable:     "SERVICE_NOT_AVAILABLE",
	CodeVersionNotSupported:     "VERSION_NOT_SUPPORTED",
	CodeNoPermission:            "NO_PERMISSION",
	CodeTopicNotExist:           "TOPIC_NOT_EXIST",
	CodeTopicExistAlready:       "TOPIC_EXIST_ALREADY",
	CodeInvalidParameter:        "INVALID_PARAMETER",
	CodeNoBuyerID:               "NO_BUYER_ID",
	CodeNotInCurrentUnit:        "NOT_IN_CURRENT_UNIT",
	CodeBrokerNotExist:          "BROKER_NOT_EXIST",
	CodeFlowControl:             "FLOW_CONTROL",
	CodeNotLeaderForQueue:       "NOT_LEADER_FOR_QUEUE",
	CodeIllegalOperation:        "ILLEGAL_OPERATION",
	CodeGoAway:                  "GO_AWAY",
}

// String gives RocketMQ's name of the code, or CODE_n for one it does not know.
func (c ResponseCode) String() string {
	if c == CodeNone {
		return "NONE"
	}
	if name, ok := codeNames[c]; ok {
		return name
	}
	return "CODE_" + strconv.Itoa(int(c))
}
