package wire

import (
	"bytes"
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
	// [rocketmq.ProtocolMaxPropertiesLength] plus some hundred bytes.
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
	b := make([]byte, 0, min(len(s), MaxRemark)+utf8.UTFMax)
	for _, r := range s {
		if isLineNoise(r) {
			r = ' '
		}
		if r == ' ' && (len(b) == 0 || b[len(b)-1] == ' ') {
			continue
		}
		if b = utf8.AppendRune(b, r); len(b) > MaxRemark {
			cut := MaxRemark - len(dots)
			for !utf8.RuneStart(b[cut]) {
				cut--
			}
			return string(append(b[:cut], dots...))
		}
	}
	return string(bytes.TrimSuffix(b, []byte(" ")))
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
