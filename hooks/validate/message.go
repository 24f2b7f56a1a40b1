package validate

import (
	"fmt"
	"slices"
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
	checkProperties(r, m.Properties)
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
	if m.DeliverAt.IsZero() {
		return
	}
	if m.DelayLevel != 0 {
		r.add("DeliverAt", Conflict, "is set together with DelayLevel, only one is allowed")
	}
	switch {
	case m.DeliverAt.Unix() < 0:
		r.add("DeliverAt", OutOfRange, "is before 1970")
	// Subtracting would saturate for times centuries away, comparing is exact.
	case m.DeliverAt.After(now.Add(v.maxDelay)):
		r.add("DeliverAt", OutOfRange, "is more than %v ahead", v.maxDelay)
	}
}

func checkProperties(r *report, props map[string]string) {
	if len(props) == 0 {
		return
	}
	before := len(r.errs)
	for name, value := range props {
		if textOK(name) && textOK(value) && !reserved(name) && !rocketmq.IsBlank(name) && !rocketmq.IsBlank(value) && name != rocketmq.PropertyInnerMultiDispatch {
			continue // the only way in the usual case: it builds no text
		}
		checkProperty(r, name, value)
	}
	// Maps have no order, errors should.
	slices.SortStableFunc(r.errs[before:], func(a, b *Error) int { return strings.Compare(a.Field, b.Field) })
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
