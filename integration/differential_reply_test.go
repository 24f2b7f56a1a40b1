package integration

import (
	"strings"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// replySteps are replies to clients that are not connected. What happens with one that is, the tests of request-reply show.
func replySteps(topic string) []exchange {
	to := func(props ...string) string {
		return "i=" + properties(append([]string{"UNIQ_KEY=" + goldenID, "MSG_TYPE=reply", "CORRELATION_ID=1", "TTL=3000"}, props...)...)
	}
	gone := to("REPLY_TO_CLIENT=10.0.0.1@1")
	x := func(name, body string, edits ...string) exchange {
		return sendOf("reply: "+name, wire.SendReplyMessageV2, topic, body, edits...)
	}
	return []exchange{
		sendOf("reply: to a request of nobody", wire.SendReplyMessageV2, topic, "x"),
		x("its client is not connected", "x", gone),
		x("its client has no name", "x", to()),
		x("without properties", "x", "i"),
		x("body above the limit", strings.Repeat("x", maxBody+1), gone),
		x("queue out of range", "x", gone, "e=9999"),
		x("queue is no number", "x", gone, "e=first"),
		x("blank topic", "x", gone, "b= "),
		x("unknown topic, no default topic", "x", gone, "b="+topic+"_nowhere", "c=nowhere"),
		sendOf("reply, long names: its client is not connected", wire.SendReplyMessage, topic, "x", "properties="+strings.TrimPrefix(gone, "i=")),
		sendOf("reply, long names: without topic", wire.SendReplyMessage, topic, "x", "topic"),
		x("queue -1", "x", gone, "e=-1").loosely("queueId", "queueOffset"),
		x("without body", "", gone).loosely("queueId", "queueOffset"),
	}
}
