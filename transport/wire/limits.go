package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits that a peer cannot exceed. A stream or a body that does is refused with an error that
// matches [ErrLimit] or, for the length of a frame, [ErrFrame].
const (
	// MaxFrame is the greatest length of a whole frame in bytes, its four length bytes included.
	// It is the default of Java's com.rocketmq.remoting.frameMaxLength, applied there to the same sum.
	MaxFrame = 16 << 20

	// MaxHeader is the greatest length of a ROCKETMQ (binary) header. A send request needs at most
	// MaxPropertiesLength plus some hundred bytes.
	MaxHeader = 64 << 10

	// MaxHeaderJSON is the greatest length of a JSON header. It is larger than MaxHeader because a
	// property separator takes six bytes there, so that legal properties can grow sixfold.
	MaxHeaderJSON = 256 << 10

	// MaxExtFields is the greatest number of extension fields in a header.
	MaxExtFields = 256

	// MaxRemark is how many bytes of a peer's remark [TrimRemark] keeps.
	MaxRemark = 1 << 10

	// MaxRoute is the greatest length of a route or cluster body in bytes.
	MaxRoute = 1 << 20

	// MaxRouteBrokers is the greatest number of brokers in one route or cluster.
	MaxRouteBrokers = 1024

	// MaxRouteQueues is the greatest number of queues of one topic, over all brokers.
	MaxRouteQueues = 65536

	// MaxPropertiesLength is the greatest length of a message's encoded properties: the length
	// is a signed 16-bit number in batches and stored messages (Java MessageDecoder).
	MaxPropertiesLength = 32767

	// MaxHeartbeat is the greatest length of a heartbeat body in bytes.
	MaxHeartbeat = 1 << 20

	// MaxHeartbeatGroups is the greatest number of producer or consumer groups in one heartbeat.
	MaxHeartbeatGroups = 4096
)

// TrimRemark makes a peer's text fit for an error or a log line: control characters and line
// separators become one space per run, invalid UTF-8 becomes U+FFFD, and what exceeds
// [MaxRemark] bytes is replaced by "...". A remark that is fine already is returned as it is.
func TrimRemark(s string) string {
	if len(s) <= MaxRemark && cleanRemark(s) {
		return s
	}
	const dots = "..."
	var b strings.Builder
	space := true // swallows leading space
	for i, r := range s {
		if isLineNoise(r) {
			r = ' '
		}
		if r == ' ' && space {
			continue
		}
		space = r == ' '
		// The rest of s may fit exactly; it is cut only when it cannot.
		if b.Len()+utf8.RuneLen(r)+len(dots) > MaxRemark && b.Len()+len(s)-i > MaxRemark {
			return b.String() + dots
		}
		b.WriteRune(r)
	}
	return strings.TrimSuffix(b.String(), " ")
}

func isLineNoise(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
}

func cleanRemark(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if isLineNoise(r) {
			return false
		}
	}
	return true
}
