package rocketmq

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// RecallHandle names a timed message that a broker of 5.3.2 or later holds, so that it can
// be taken back. Brokers give handles in the answers of sends (Java:
// RecallMessageHandle.HandleV1).
type RecallHandle struct {
	Topic  string // as the broker knows it
	Broker string // the broker's name
	// DeliverAt is the time that the broker waits for, to the millisecond. It is up to a
	// second before the time that the producer asked for: brokers count in whole seconds and
	// add one millisecond (Java: SendMessageProcessor.attachRecallHandle).
	DeliverAt time.Time
	MessageID string // the message's unique id
}

// ErrRecallHandle is a text that is no recall handle.
var ErrRecallHandle = errors.New("rocketmq: not a recall handle")

const (
	recallVersion = "v1"
	// recallParts is how many parts a handle has: version, topic, broker, time and id.
	recallParts = 5
)

// noRecallTime stands for a time that is no number, as brokers read it (Java:
// RecallMessageProcessor, NumberUtils.toLong).
const noRecallTime = -1

// ParseRecallHandle reads the text of a handle: URL-safe Base64, with or without padding, of
// "v1 topic broker milliseconds id". It takes what Java's RecallMessageHandle.decodeHandle
// takes. Parts after the id are left aside. A part before it may be empty. A time that is no
// number is read as one millisecond before 1970, which every broker refuses. Errors match
// [ErrRecallHandle].
func ParseRecallHandle(text string) (RecallHandle, error) {
	if text == "" {
		return RecallHandle{}, fmt.Errorf("%w: it is empty", ErrRecallHandle)
	}
	raw, err := decodeRecall(text)
	if err != nil {
		return RecallHandle{}, fmt.Errorf("%w: %w", ErrRecallHandle, err)
	}
	// Java's String.split drops empty parts at the end.
	parts := strings.SplitN(strings.TrimRight(raw, " "), " ", recallParts+1)
	if parts[0] != recallVersion {
		return RecallHandle{}, fmt.Errorf("%w: its version is not %s", ErrRecallHandle, recallVersion)
	}
	if len(parts) < recallParts {
		return RecallHandle{}, fmt.Errorf("%w: it has %d parts, not %d", ErrRecallHandle, len(parts), recallParts)
	}
	ms, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil {
		ms = noRecallTime
	}
	return RecallHandle{Topic: parts[1], Broker: parts[2], DeliverAt: time.UnixMilli(ms), MessageID: parts[4]}, nil
}

// decodeRecall decodes Base64 as strictly as Java's Base64.getUrlDecoder: padding is left out
// or whole, and line breaks are no part of it. Bytes that are no UTF-8 become U+FFFD.
func decodeRecall(text string) (string, error) {
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		return "", base64.CorruptInputError(i)
	}
	encoding := base64.RawURLEncoding
	if strings.HasSuffix(text, "=") {
		encoding = base64.URLEncoding
	}
	raw, err := encoding.DecodeString(text)
	if err != nil {
		return "", err
	}
	return strings.ToValidUTF8(string(raw), string(utf8.RuneError)), nil
}

// String is the handle's text, as brokers write it (Java: RecallMessageHandle.HandleV1.buildHandle).
func (h RecallHandle) String() string {
	raw := fmt.Appendf(nil, "%s %s %s %d %s", recallVersion, h.Topic, h.Broker, h.DeliverAt.UnixMilli(), h.MessageID)
	return base64.URLEncoding.EncodeToString(raw)
}
