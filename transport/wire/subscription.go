package wire

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Consumer is a consumer group in a heartbeat (Java ConsumerData).
type Consumer struct {
	Group string
	// ConsumeType, MessageModel and From are Java's names: CONSUME_PASSIVELY for a push consumer,
	// CLUSTERING, CONSUME_FROM_LAST_OFFSET.
	ConsumeType   string
	MessageModel  string
	From          string
	Subscriptions []Subscription
}

// Subscription is what a consumer group wants of a topic (Java SubscriptionData). The zero value
// matches nothing.
type Subscription struct {
	Topic string
	// Expression is as the consumer wrote it: "*", or tags with "||" between them.
	Expression string
	// Type is the expression's language; "" means "TAG", what IsTag tells.
	Type string
	// Codes are the hashes of the tags, see [TagCode]. A broker compares by them alone.
	Codes []int32
	// Version grows with each change, in milliseconds of the consumer's clock.
	Version int64
	// Class says that the consumer filters by a class of its own, which brokers leave to it.
	Class bool
}

// allTags is the expression that matches every message.
const allTags = "*"

// IsTag reports whether the expression is one of tags.
func (s *Subscription) IsTag() bool { return s.Type == "" || s.Type == "TAG" }

// Matches reports whether a message with such a hash of its tag is wanted (Java ExpressionMessageFilter).
func (s *Subscription) Matches(code int32) bool {
	return s.Class || s.Expression == allTags || slices.Contains(s.Codes, code)
}

// Tags returns the tags of the expression, none for "*".
func (s *Subscription) Tags() []string {
	var tags []string
	if s.Expression == allTags || !s.IsTag() {
		return nil
	}
	for tag := range strings.SplitSeq(s.Expression, "||") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

// NewSubscription makes a subscription by tags from an expression; an empty one is "*". It
// reports false for one of separators alone (Java FilterAPI.buildSubscriptionData).
func NewSubscription(topic, expression string) (Subscription, bool) {
	s := Subscription{Topic: topic, Expression: expression}
	if expression == "" {
		s.Expression = allTags
	}
	for _, tag := range s.Tags() {
		s.Codes = append(s.Codes, TagCode(tag))
	}
	return s, strings.ReplaceAll(s.Expression, "||", "") != ""
}

// TagCode is the hash by which brokers compare tags: Java's of a string, 0 for no tag.
func TagCode[T string | []byte](tag T) int32 {
	var h int32
	for i := 0; i < len(tag); {
		if c := tag[i]; c < utf8.RuneSelf {
			h = 31*h + int32(c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(string(tag[i:min(i+utf8.UTFMax, len(tag))]))
		i += size
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			h, r = 31*h+hi, lo
		}
		h = 31*h + r
	}
	return h
}

type consumerJSON struct {
	GroupName     *string            `json:"groupName"`
	ConsumeType   enumJSON           `json:"consumeType"`
	MessageModel  enumJSON           `json:"messageModel"`
	From          enumJSON           `json:"consumeFromWhere"`
	Subscriptions []subscriptionJSON `json:"subscriptionDataSet"`
}

type subscriptionJSON struct {
	Topic      string     `json:"topic"`
	Expression string     `json:"subString"`
	Type       string     `json:"expressionType"`
	Codes      []codeJSON `json:"codeSet"`
	Version    codeJSON   `json:"subVersion"`
	Class      bool       `json:"classFilterMode"`
}

// codeJSON is a number that some clients write as a text.
type codeJSON int64

func (n *codeJSON) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text == "null" {
		return nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	*n = codeJSON(v)
	return err
}

// enumJSON is a name, or a number of the C++ client, which writes the place among Java's names.
type enumJSON string

func (e *enumJSON) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(e))
	}
	*e = enumJSON(b)
	return nil
}

// name returns the enumerator's name, that of its place if it is a number.
func (e enumJSON) name(names ...string) string {
	if i, err := strconv.Atoi(string(e)); err == nil && i >= 0 && i < len(names) {
		return names[i]
	}
	if e == "null" {
		return ""
	}
	return string(e)
}

func (s *subscriptionJSON) subscription() Subscription {
	out := Subscription{Topic: s.Topic, Expression: s.Expression, Type: s.Type, Version: int64(s.Version), Class: s.Class}
	for _, code := range s.Codes {
		out.Codes = append(out.Codes, int32(code))
	}
	return out
}

// consumers are those whose group's name is not empty. Named is false if a group has none at all.
func consumers(raw []consumerJSON) (out []Consumer, named bool) {
	for _, c := range raw {
		if c.GroupName == nil {
			return nil, false
		}
		if *c.GroupName == "" {
			continue
		}
		consumer := Consumer{
			Group:        *c.GroupName,
			ConsumeType:  c.ConsumeType.name("CONSUME_ACTIVELY", "CONSUME_PASSIVELY"),
			MessageModel: c.MessageModel.name("BROADCASTING", "CLUSTERING"),
			From: c.From.name("CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST", "CONSUME_FROM_MIN_OFFSET",
				"CONSUME_FROM_MAX_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP"),
		}
		for i := range c.Subscriptions {
			consumer.Subscriptions = append(consumer.Subscriptions, c.Subscriptions[i].subscription())
		}
		out = append(out, consumer)
	}
	return out, true
}

// ParseClientCheck decodes the body of CHECK_CLIENT_CONFIG (code 46), with which a Java consumer
// asks at its start whether a broker can filter as it wants. An empty body has a subscription
// by tags. Errors match [ErrDecode]; a body of more than [MaxHeartbeat] bytes matches [ErrLimit] too.
func ParseClientCheck(body []byte) (Subscription, error) {
	const part = "client check"
	if len(body) > MaxHeartbeat {
		return Subscription{}, tooMuch(part, "body longer than "+strconv.Itoa(MaxHeartbeat)+" bytes")
	}
	var raw struct {
		Subscription subscriptionJSON `json:"subscriptionData"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &raw); err != nil {
			return Subscription{}, malformed(part, TrimRemark(err.Error()), -1)
		}
	}
	return raw.Subscription.subscription(), nil
}
