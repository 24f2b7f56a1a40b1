package embedded

import (
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// messageTypeName is the one attribute that topics have here (Java: TopicAttributes). Brokers keep
// it and pay no heed to it; proxies refuse messages of other types.
const messageTypeName = "message.type"

// messageTypes are its values (Java: TopicMessageType).
var messageTypes = []string{"UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "MIXED"}

// mixedType is the one that brokers refuse unless enableMixedMessageType is set.
const mixedType = "MIXED"

// alter gives a topic the attributes of the one that it replaces, as a request changes them:
// "+message.type=FIFO" sets one, "-message.type" takes it away (Java: AttributeUtil,
// AttributeParser). Refused says that the request is refused with r.
func (t *Topic) alter(changes string, before Topic, exists bool) (r reply, refused bool) {
	t.MessageType = before.MessageType
	failed := func(remark string) (reply, bool) { return refuse(rocketmq.CodeSystemError, remark), true }
	if changes == "" {
		return r, false
	}
	key, value, set := strings.Cut(changes, "=")
	switch {
	case key != "+"+messageTypeName && key != "-"+messageTypeName, strings.ContainsAny(value, ",="):
		remark := "this broker has no other attributes of topics than " + messageTypeName + ": " + wire.TrimRemark(changes)
		return refuse(rocketmq.CodeInvalidParameter, remark).without("attributes of topics"), true
	case set && key[0] == '-':
		return failed("add/alter attribute format is wrong: " + key)
	case !set && key[0] == '+':
		return failed("delete attribute format is wrong: " + key)
	case set && value == mixedType:
		return refuse(rocketmq.CodeInvalidParameter, "MIXED message type is not supported."), true
	case set && !slices.Contains(messageTypes, value):
		return failed("value is not in set: [" + strings.Join(messageTypes, ", ") + "]")
	case !set && !exists:
		return failed("only add attribute is supported while creating topic. key: " + messageTypeName)
	case !set && before.MessageType == "":
		return failed("attempt to delete a nonexistent key: " + messageTypeName)
	}
	t.MessageType = value
	return r, false
}
