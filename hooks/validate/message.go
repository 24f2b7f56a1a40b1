package validate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/words"
)

// message checks the rules for one message, alone or in a batch, and returns the
// encoded size of its properties, 0 if they are not sound.
func (v *Validator) message(r *report, o *core.Outgoing, now time.Time) (props int) {
	m := o.Message()
	if m == nil {
		r.add("message", Required, "is nil")
		return 0
	}
	if r.index <= 0 {
		checkTopic(r, m.Topic) // all messages of a batch have one
	}
	switch n := len(m.Body); {
	case n == 0:
		r.add("Body", Required, "is empty, at least 1 byte is required")
	case n > v.maxBody:
		r.tooLong("Body", n, v.maxBody, "has")
	}
	before := len(r.errs)
	if m.Tag != "" {
		checkText(r, "Tag", m.Tag)
	}
	for i, k := range m.Keys {
		checkKey(r, i, k)
	}
	if m.ShardingKey != "" {
		checkText(r, "ShardingKey", m.ShardingKey)
	}
	v.checkDelay(r, m, now)
	checkPriority(r, m)
	checkTogether(r, m)
	checkProperties(r, m)
	if q := m.Queue; q != nil && (q.Broker == "" || q.ID < 0) {
		r.add("Queue", OutOfRange, "needs a broker's name and a number from 0")
	}
	// A property that is itself at fault would only be reported twice.
	if len(r.errs) > before {
		return 0
	}
	props = o.PropertiesSize()
	if props > v.maxProperties {
		r.tooLong("Properties", props, v.maxProperties, "take, with tag, keys and what steps added,")
	}
	return props
}

// Topic checks the name of a topic as the step does, for programs that want to know it
// before their first message. The error wraps [core.ErrInvalidMessage].
func Topic(topic string) error {
	r := report{index: -1}
	checkTopic(&r, topic)
	return r.err()
}

// Properties checks the properties of a message to a topic as the step does: names and values,
// and not how long they are together. The error is an *[Error] or [Errors].
func Properties(topic string, properties map[string]string) error {
	r := report{index: -1}
	checkProperties(&r, &core.Message{Topic: topic, Properties: properties})
	return r.err()
}

// checkTopic puts the rules of [rocketmq.CheckTopic] into words.
func checkTopic(r *report, topic string) {
	switch rocketmq.CheckTopic(topic) {
	case rocketmq.NameOK:
	case rocketmq.NameBlank:
		r.add("Topic", Required, "is blank")
	case rocketmq.NameTooLong:
		r.tooLong("Topic", len(topic), rocketmq.MaxTopicLength, "has")
	case rocketmq.NameReserved:
		r.add("Topic", Reserved, "%s belongs to the broker, nobody may send to it", words.Quote(topic))
	default:
		r.add("Topic", BadChar, "%s has characters other than %% | a-z A-Z 0-9 _ -", words.Quote(topic))
	}
}

func checkKey(r *report, i int, key string) {
	switch {
	case key == "":
		r.add(fmt.Sprintf("Keys[%d]", i), Required, "is empty")
	case strings.Contains(key, rocketmq.KeySeparator):
		r.add(fmt.Sprintf("Keys[%d]", i), BadChar, "holds a blank, which separates keys on the wire")
	case !textOK(key):
		checkText(r, fmt.Sprintf("Keys[%d]", i), key)
	}
}

func (v *Validator) checkDelay(r *report, m *core.Message, now time.Time) {
	if m.DelayLevel < 0 || m.DelayLevel > v.maxDelayLevel {
		r.add("DelayLevel", OutOfRange, "is %d, allowed is 0 (no delay) to %d; it is the number of a level and no time, which is DeliverAt's",
			m.DelayLevel, v.maxDelayLevel)
	}
	switch at := m.DeliverAt; {
	case at.IsZero():
	case at.Unix() < 0:
		r.add("DeliverAt", OutOfRange, "is before 1970")
	// Subtracting would saturate for times centuries away, comparing is exact.
	case at.After(now.Add(v.maxDelay)):
		r.add("DeliverAt", OutOfRange, "is more than %v ahead", v.maxDelay)
	}
	switch after := m.DeliverAfter; {
	case after < 0:
		r.add("DeliverAfter", OutOfRange, "is negative: %v", after)
	case after > v.maxDelay:
		r.add("DeliverAfter", OutOfRange, "is %v, at most %v is allowed", after, v.maxDelay)
	}
}

// checkPriority checks what a message says to brokers from 5.4 on.
func checkPriority(r *report, m *core.Message) {
	if m.Priority != nil && *m.Priority < 0 {
		r.add("Priority", OutOfRange, "is %d, it begins at 0", *m.Priority)
	}
	if m.LiteTopic == "" {
		return
	}
	if len(m.LiteTopic) > rocketmq.MaxLiteTopicLength {
		r.tooLong("LiteTopic", len(m.LiteTopic), rocketmq.MaxLiteTopicLength, "has")
	}
	for i := range len(m.LiteTopic) {
		if !rocketmq.LiteTopicChar(m.LiteTopic[i]) {
			r.add("LiteTopic", BadChar, "%s has characters other than a-z A-Z 0-9 _ -", words.Quote(m.LiteTopic))
			break
		}
	}
}

// checkTogether refuses fields of which brokers, without an error, honour one alone (Java:
// HookUtils.checkIfTimerMessage, TopicMessageType.parseFromMessageProperty,
// SendMessageProcessor.sendMessage; the client of 5.x refuses most of them too).
func checkTogether(r *report, m *core.Message) {
	only := ""
	for _, f := range [...]struct {
		name string
		set  bool
	}{
		{"DelayLevel", m.DelayLevel != 0},
		{"DeliverAt", !m.DeliverAt.IsZero()},
		{"DeliverAfter", m.DeliverAfter != 0},
		{"Priority", m.Priority != nil},
		{"LiteTopic", m.LiteTopic != ""},
	} {
		switch {
		case !f.set:
		case only == "":
			only = f.name
		default:
			r.add(f.name, Conflict, "is set together with %s, only one is allowed", only)
		}
	}
	if m.ShardingKey != "" && (m.Priority != nil || m.LiteTopic != "") {
		r.add("ShardingKey", Conflict, "is set together with %s, only one is allowed", only)
	}
	if m.Queue != nil && m.Priority != nil {
		r.add("Queue", Conflict, "is set together with Priority, by which the broker chooses the queue")
	}
}

func checkProperties(r *report, m *core.Message) {
	props := m.Properties
	if len(props) == 0 {
		return
	}
	before := len(r.errs)
	retried := rocketmq.IsRetryTopic(m.Topic)
	for name, value := range props {
		if retried && isReconsume(name) {
			checkReconsume(r, name, value)
			continue
		}
		if textOK(name) && textOK(value) && !reserved(name) && !rocketmq.IsBlank(name) && !rocketmq.IsBlank(value) && name != rocketmq.PropertyInnerMultiDispatch {
			continue // the only way in the usual case: it builds no text
		}
		checkProperty(r, name, value)
	}
	// Maps have no order, errors should.
	slices.SortStableFunc(r.errs[before:], func(a, b *Error) int { return strings.Compare(a.Field, b.Field) })
}

// isReconsume reports whether a property says how often a message was consumed, or may be.
// Users set these two where they send to a %RETRY% topic (Java: sendKernelImpl).
func isReconsume(name string) bool {
	return name == rocketmq.PropertyReconsumeTime || name == rocketmq.PropertyMaxReconsumeTimes
}

func checkReconsume(r *report, name, value string) {
	if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 0 {
		r.add("Properties["+words.Quote(name)+"]", OutOfRange, "is no number from 0 to %d", math.MaxInt32)
	}
}

func checkProperty(r *report, name, value string) {
	field := "Properties[" + words.Quote(name) + "]"
	switch {
	case !textOK(name): // first, because the separators are blank too
		checkText(r, field, name)
	case rocketmq.IsBlank(name):
		r.add(field, Required, "has a blank name")
	case reserved(name):
		if f := typed(name); f != "" {
			r.add(field, Reserved, "is RocketMQ's own, use the field %s", f)
		} else {
			r.add(field, Reserved, "is RocketMQ's own, choose another name")
		}
	}
	switch {
	case !textOK(value):
		checkText(r, field, value)
	case rocketmq.IsBlank(value):
		r.add(field, Required, "has a blank value")
	case name == rocketmq.PropertyInnerMultiDispatch && strings.IndexByte(value, '/') >= 0:
		// Java (Validators.checkMessage): it would become a path on the broker.
		r.add(field, BadChar, "holds a /, which is not allowed in the name of a light queue")
	}
}

// textOK reports whether s can be part of the properties string: valid UTF-8,
// because Java decodes it so, and without the separators.
func textOK(s string) bool {
	return !rocketmq.HasSeparator(s) && utf8.ValidString(s)
}

func checkText(r *report, field, s string) {
	if rocketmq.HasSeparator(s) {
		r.add(field, BadChar, "holds U+0001 or U+0002, which separate properties on the wire")
	}
	if !utf8.ValidString(s) {
		r.add(field, BadUTF8, "is not valid UTF-8")
	}
}
