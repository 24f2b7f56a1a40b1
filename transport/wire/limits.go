package wire

import (
	"strings"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// Limits that a peer cannot exceed. A stream or a body that does is refused with an error that
// matches [ErrLimit] or, for the length of a frame, [ErrFrame].
const (
	// MaxFrame is the greatest length of a whole frame in bytes, its four length bytes included.
	// It is the default of Java's com.rocketmq.remoting.frameMaxLength, applied there to the same sum.
	MaxFrame = 16 << 20

	// MaxHeader is the greatest length of a header. The longest is that of the answer to a batch,
	// which has 33 bytes for each message: 2.1 MB for the 64,000 messages that fit into a body of
	// 4 MiB. A send request needs some 200 KiB in JSON, where a property separator takes six bytes.
	MaxHeader = 4 << 20

	// MaxExtFields is the greatest number of extension fields in a header.
	MaxExtFields = 256

	// MaxRemark is how many bytes of a peer's remark [TrimRemark] keeps.
	MaxRemark = 1 << 10

	// MaxAnswerText is the greatest length in bytes of a text in the answer to a send, the ids aside.
	// A longer one counts as absent. RocketMQ's longest is a recall handle, which holds the names of
	// topic and broker: some 500 bytes.
	MaxAnswerText = 1 << 10

	// MaxRoute is the greatest length of a route or cluster body in bytes.
	MaxRoute = 1 << 20

	// MaxRouteBrokers is the greatest number of brokers in one route or cluster.
	MaxRouteBrokers = 1024

	// MaxRouteQueues is the greatest number of queues of one topic, over all brokers.
	MaxRouteQueues = 65536

	// MaxHeartbeat is the greatest length of a heartbeat body in bytes.
	MaxHeartbeat = 1 << 20

	// MaxHeartbeatGroups is the greatest number of producer or consumer groups in one heartbeat.
	MaxHeartbeatGroups = 4096
)

// TrimRemark makes a peer's text fit for an error or a log line, with at most [MaxRemark]
// bytes, as words.Line does. It is a copy: the text came in a header of up to [MaxHeader]
// bytes, all of which it would keep in memory.
func TrimRemark(s string) string { return strings.Clone(words.Line(s, MaxRemark)) }
