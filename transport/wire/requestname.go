package wire

import "strconv"

// RequestName is Java's name of a request code that a broker sends to clients, or
// REQUEST_n for any other. It is for logs.
func RequestName(code int) string {
	switch code {
	case CheckTransactionState:
		return "CHECK_TRANSACTION_STATE"
	case NotifyConsumerIDsChanged:
		return "NOTIFY_CONSUMER_IDS_CHANGED"
	case ResetConsumerClientOffset:
		return "RESET_CONSUMER_CLIENT_OFFSET"
	case GetConsumerStatusFromClient:
		return "GET_CONSUMER_STATUS_FROM_CLIENT"
	case GetConsumerRunningInfo:
		return "GET_CONSUMER_RUNNING_INFO"
	case ConsumeMessageDirectly:
		return "CONSUME_MESSAGE_DIRECTLY"
	case PushReplyMessageToClient:
		return "PUSH_REPLY_MESSAGE_TO_CLIENT"
	default:
		return "REQUEST_" + strconv.Itoa(code)
	}
}
