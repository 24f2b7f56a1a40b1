package rocketmq

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// RecallHandle names a timed message that a broker of 5.3.2 or later holds, so that it can
// be taken back. Brokers give handles in the answers of sends (Java:
// RecallMessageHandle.HandleV1).
type RecallHandle struct {
	Topic     string    // as the broker knows it
	Broker    string    // the broker's name
	DeliverAt time.Time // to the millisecond
	MessageID string    // the message's unique id
}

// ErrRecallHandle is a text that is no recall handle.
var ErrRecallHandle = errors.New("rocketmq: not a recall handle")

// maxRecallHandle is the longest text, in bytes, that is looked at: a topic, a broker's
// name, a number and an id take a fraction of it.
const maxRecallHandle = 4 << 10

// ParseRecallHandle reads the text of a handle: URL-safe Base64, with or without padding, of
// "v1 topic broker milliseconds id". Errors match [ErrRecallHandle].
func ParseRecallHandle(text string) (RecallHandle, error) {
	switch {
	case text == "":
		return RecallHandle{}, fmt.Errorf("%w: it is empty", ErrRecallHandle)
	case len(text) > maxRecallHandle:
		return RecallHandle{}, fmt.Errorf("%w: it has %d bytes, at most %d are looked at", ErrRecallHandle, len(text), maxRecallHandle)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return RecallHandle{}, fmt.Errorf("%w: %w", ErrRecallHandle, err)
	}
	parts := strings.Split(string(raw), " ")
	const v1Parts = 5
	if parts[0] != "v1" {
		return RecallHandle{}, fmt.Errorf("%w: its version is not v1", ErrRecallHandle)
	}
	if len(parts) != v1Parts {
		return RecallHandle{}, fmt.Errorf("%w: it has %d parts, not %d", ErrRecallHandle, len(parts), v1Parts)
	}
	ms, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || ms < 0 {
		return RecallHandle{}, fmt.Errorf("%w: its time is no number of milliseconds", ErrRecallHandle)
	}
	h := RecallHandle{Topic: parts[1], Broker: parts[2], DeliverAt: time.UnixMilli(ms), MessageID: parts[4]}
	if h.Topic == "" || h.Broker == "" || h.MessageID == "" {
		return RecallHandle{}, fmt.Errorf("%w: a part of it is empty", ErrRecallHandle)
	}
	return h, nil
}

// String is the handle's text, as brokers write it.
func (h RecallHandle) String() string {
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "v1 %s %s %d %s", h.Topic, h.Broker, h.DeliverAt.UnixMilli(), h.MessageID))
}
