package rocketmq

import (
	"strings"

	"github.com/liftoff-mq/liftoff/internal/enum"
)

// Verdict is what a server's answer means for the message of a send.
type Verdict uint8

// The verdicts. All but VerdictUnknown are certain: the message was not stored.
const (
	VerdictUnknown     Verdict = iota // the message may be stored, the answer does not say
	VerdictBusy                       // the broker has too much to do; it may take the message later
	VerdictUnavailable                // the broker cannot store now; another one may
	VerdictForbidden                  // the topic or the broker does not take messages from clients, or no reply for this requester
	VerdictAuth                       // the credentials are missing, wrong or not sufficient
	VerdictNoTopic                    // the broker does not know the topic
	VerdictStale                      // the route is outdated: the queue is gone or led by another broker
	VerdictRejected                   // this message is refused; sending it again is of no use
)

var verdictNames = []string{"unknown", "busy", "unavailable", "forbidden", "auth", "no-topic", "stale", "rejected"}

// String gives the verdict's name, for example "no-topic".
func (v Verdict) String() string { return enum.Name(verdictNames, int(v)) }

// MarshalText gives the name.
func (v Verdict) MarshalText() ([]byte, error) { return enum.Marshal("verdict", verdictNames, int(v)) }

// UnmarshalText takes a name.
func (v *Verdict) UnmarshalText(text []byte) error {
	return enum.Unmarshal("verdict", verdictNames, text, v)
}

// Judge says what an answer to a send means. The code alone decides, but for four
// codes that brokers give to different things, where the remark tells which it is:
//
//	 1  SYSTEM_ERROR is an outage, a refusal for good, missing credentials (4.9) or
//	    an accident in the middle of storing. Unexplained, it is [VerdictUnknown].
//	13  MESSAGE_ILLEGAL is always a refusal.
//	16  NO_PERMISSION is a topic without write permission or, in 5.x, the answer
//	    to wrong credentials.
//	29  INVALID_PARAMETER (5.x) is a refusal, or a queue that is gone. 4.9 says 1.
//
// Codes that stand for a stored message, 0 and 10 to 12, are no failures. They and
// codes that are not listed here give [VerdictUnknown].
//
// The facts are those of 4.9.7 and 5.3.3 (Java: SendMessageProcessor,
// AbstractSendMessageProcessor, BrokerFastFailure).
func Judge(code ResponseCode, remark string) Verdict {
	switch code {
	case CodeSystemBusy, CodeFlowControl:
		return VerdictBusy
	case CodeServiceNotAvailable, CodeGoAway, CodeNoBuyerID, CodeNotInCurrentUnit, CodeBrokerNotExist:
		return VerdictUnavailable
	case CodeNoPermission:
		if containsAny(remark, authRemarks) {
			return VerdictAuth
		}
		return VerdictForbidden
	case CodeTopicNotExist:
		return VerdictNoTopic
	case CodeNotLeaderForQueue:
		return VerdictStale
	case CodeInvalidParameter:
		if strings.HasPrefix(remark, queueGoneRemark) {
			return VerdictStale
		}
		return VerdictRejected
	case CodeMessageIllegal, CodeIllegalOperation, CodeRequestCodeNotSupported, CodeVersionNotSupported,
		CodeSubscriptionGroupNotExist, CodeLMQQuotaExceeded:
		return VerdictRejected
	case CodeSystemError:
		return judgeSystemError(remark)
	default:
		return VerdictUnknown
	}
}

func judgeSystemError(remark string) Verdict {
	switch {
	case strings.HasPrefix(remark, queueGoneRemark):
		return VerdictStale
	case strings.HasPrefix(remark, noRequesterRemark):
		return VerdictForbidden
	case strings.HasPrefix(remark, noReturnRemark):
		return VerdictRejected
	case containsAny(remark, aclRemarks):
		return VerdictAuth
	case containsAny(remark, outageRemarks):
		return VerdictUnavailable
	case containsAny(remark, refusalRemarks):
		return VerdictRejected
	}
	return VerdictUnknown
}

// queueGoneRemark begins the answer to a send to a queue that the topic does not have
// (AbstractSendMessageProcessor.msgCheck): code 1 in 4.9, 29 in 5.x.
const queueGoneRemark = "request queueId["

const (
	// noRequesterRemark begins the answer to a reply whose requester is not connected to this
	// broker, and noReturnRemark that to one that does not say whose it is
	// (ReplyMessageProcessor). Nobody gets the reply from here. The requester may be connected
	// to another broker.
	noRequesterRemark = "push reply message fail, channel of <"
	noReturnRemark    = "reply message properties[REPLY_TO_CLIENT]"
)

var (
	// authRemarks come with 16, from the auth module of 5.x (AuthenticationException,
	// AuthorizationException and the texts they carry).
	authRemarks = []string{
		"check signature failed", "username cannot be null", "is not found",
		"has no permission to access", "AuthenticationException", "AuthorizationException",
	}
	// aclRemarks come with 1, from the ACL plugin of 4.9 (PlainPermissionManager).
	aclRemarks = []string{"AclException", "check signature failed"}
	// outageRemarks come with 1: before the time startAcceptSendRequestTimeStamp, with
	// too few replicas in sync (PutMessageStatus IN_SYNC_REPLICAS_NOT_ENOUGH, 5.x), and
	// where no file of the commit log can be made (CREATE_MAPPED_FILE_FAILED). All come
	// before anything is written.
	// To the end of a transaction brokers say it in other letters, and name a page cache that is
	// busy (EndTransactionProcessor.sendFinalMessage).
	outageRemarks = []string{
		"unable to service", "in-sync replicas not enough", "create mapped file failed",
		"Create mapped file failed", "OS page cache busy",
	}
	// refusalRemarks come with 1, for this message and at any broker of the same settings.
	refusalRemarks = []string{
		// What a request that cannot be decoded or stored ends in (RemotingAbstract).
		"IllegalArgumentException", "ArrayIndexOutOfBounds", "NullPointerException", "NumberFormatException",
		// 4.9 has no INVALID_PARAMETER (TopicValidator, AbstractSendMessageProcessor).
		"illegal characters", "longer than topic max length", "message body size exceeded",
		// 5.x, before it stores a message with a delivery time (HookUtils.handleScheduleMessage):
		// the broker keeps no timers (timerWheelEnable, WHEEL_TIMER_NOT_ENABLE), or the second of
		// delivery has its share of messages (timerCongestNumEachSlot, WHEEL_TIMER_FLOW_CONTROL).
		// The latter is about that one second and tells nothing of the broker's load.
		"accurate timer message is not enabled", "timer message is under flow control",
		// As many light queues exist as maxLmqConsumeQueueNum allows (LMQ_CONSUME_QUEUE_NUM_EXCEEDED);
		// 5.5 says 2017 instead.
		"LMQ_CONSUME_QUEUE_NUM_EXCEEDED",
		// The end of a transaction names no half message, or not that one
		// (EndTransactionProcessor.checkPrepareMessage, TransactionalMessageServiceImpl).
		"Find prepared transaction message failed", "The producer group wrong",
		"The transaction state table offset wrong", "The commit log offset wrong",
	}
)

func containsAny(s string, subs []string) bool {
	for _, sub := range subs {
		if strings.Contains(s, sub) {
			return true
		}
	}
	return false
}
