package core

import (
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Property is a name and a value of a message.
type Property struct{ Name, Value string }

// PropertyValue is the value of a property as a transport writes it. Most values are text.
// The unique id, the keys and what is a number in a message are kept in their own form,
// so that a transport writes them with [PropertyValue.AppendTo] without an allocation.
//
// A value is valid as long as the call that it comes from. The zero value is the empty
// text.
type PropertyValue struct {
	// The value is small, because it is passed through several functions for each property
	// of each message: what a field of the message says is read when it is asked for.
	text  string
	out   *Outgoing // whose field it is; nil for a text
	field field
}

// field is a field of a message that becomes a property.
type field uint8

// The fields in the order in which they are sent.
const (
	fieldID field = iota
	fieldTag
	fieldKeys
	fieldShardingKey
	fieldDelayLevel
	fieldDeliverAt
	fieldDeliverAfter
	fieldPriority
	fieldLiteTopic
	fieldNoWaitStore
	noField
)

// fieldNames are the names of the properties that fields become (Java: MessageConst).
var fieldNames = [noField]string{
	rocketmq.PropertyUniqKey, rocketmq.PropertyTags, rocketmq.PropertyKeys, rocketmq.PropertyShardingKey,
	rocketmq.PropertyDelay, rocketmq.PropertyTimerDeliverMS, rocketmq.PropertyTimerDelayMS, rocketmq.PropertyPriority,
	rocketmq.PropertyLiteTopic, rocketmq.PropertyWait,
}

// fieldOf is the field that becomes the named property, noField if none does.
func fieldOf(name string) field {
	for f := range noField {
		if fieldNames[f] == name {
			return f
		}
	}
	return noField
}

// fieldSet has a bit for each field that is set, so that it becomes a property.
type fieldSet uint16

// idField is the set with the unique id alone, which is in every set.
const idField fieldSet = 1 << fieldID

// idLength is what the unique id takes of a message's properties.
const idLength = len(rocketmq.PropertyUniqKey) + hexDigits + 2

func (s fieldSet) has(f field) bool { return s>>f&1 != 0 }

// first is the first field of a set that is not empty.
func (s fieldSet) first() field { return field(bits.TrailingZeros16(uint16(s))) }

// fields are the fields that are set. The unique id always is.
func (m *Message) fields() fieldSet {
	s := idField
	if m.Tag != "" {
		s |= 1 << fieldTag
	}
	if len(m.Keys) > 0 {
		s |= 1 << fieldKeys
	}
	if m.ShardingKey != "" {
		s |= 1 << fieldShardingKey
	}
	if m.DelayLevel != 0 {
		s |= 1 << fieldDelayLevel
	}
	if !m.DeliverAt.IsZero() {
		s |= 1 << fieldDeliverAt
	}
	if m.DeliverAfter != 0 {
		s |= 1 << fieldDeliverAfter
	}
	if m.Priority != nil {
		s |= 1 << fieldPriority
	}
	if m.LiteTopic != "" {
		s |= 1 << fieldLiteTopic
	}
	if m.NoWaitStore {
		s |= 1 << fieldNoWaitStore
	}
	return s
}

// plain is the value's text where it is one as it is, and whether it is.
func (v PropertyValue) plain() (text string, ok bool) {
	if v.out == nil {
		return v.text, true
	}
	switch v.field {
	case fieldTag:
		return v.out.msg.Tag, true
	case fieldShardingKey:
		return v.out.msg.ShardingKey, true
	case fieldLiteTopic:
		return v.out.msg.LiteTopic, true
	case fieldNoWaitStore:
		return "false", true
	default:
		return "", false
	}
}

// number is the value of a field that is a number.
func (v PropertyValue) number() int64 {
	switch m := v.out.msg; v.field {
	case fieldDelayLevel:
		return int64(m.DelayLevel)
	case fieldDeliverAfter:
		return int64((m.DeliverAfter + time.Millisecond - 1) / time.Millisecond)
	case fieldPriority:
		return int64(*m.Priority)
	default:
		return m.DeliverAt.UnixMilli()
	}
}

// AppendTo appends the value's text.
func (v PropertyValue) AppendTo(dst []byte) []byte {
	if v.out != nil && v.field == fieldID { // of every message
		return v.out.id.appendHex(dst)
	}
	if text, ok := v.plain(); ok {
		return append(dst, text...)
	}
	if v.field != fieldKeys {
		return strconv.AppendInt(dst, v.number(), 10)
	}
	for i, k := range v.out.msg.Keys {
		if i > 0 {
			dst = append(dst, rocketmq.KeySeparator...)
		}
		dst = append(dst, k...)
	}
	return dst
}

// check refuses a field's value that would corrupt the properties or vanish from them, see
// [rocketmq.CheckProperty].
func (v PropertyValue) check() error {
	name := fieldNames[v.field]
	if text, ok := v.plain(); ok {
		return rocketmq.CheckProperty(name, text)
	}
	if v.field != fieldKeys {
		return nil // digits
	}
	for _, k := range v.out.msg.Keys {
		if rocketmq.HasSeparator(k) {
			return rocketmq.CheckProperty(name, k)
		}
	}
	if v.Len() == 0 {
		return rocketmq.CheckProperty(name, "")
	}
	return nil
}

// Len is the length of the text in bytes.
func (v PropertyValue) Len() int {
	if text, ok := v.plain(); ok {
		return len(text)
	}
	switch v.field {
	case fieldID:
		return hexDigits
	case fieldKeys:
		n := len(v.out.msg.Keys) - 1
		for _, k := range v.out.msg.Keys {
			n += len(k)
		}
		return n
	default:
		var digits [20]byte
		return len(strconv.AppendInt(digits[:0], v.number(), 10))
	}
}

// String gives the text. For values that are no text it allocates.
func (v PropertyValue) String() string {
	if text, ok := v.plain(); ok {
		return text
	}
	switch v.field {
	case fieldID:
		return string(v.out.id.appendHex(make([]byte, 0, hexDigits)))
	case fieldKeys:
		return strings.Join(v.out.msg.Keys, rocketmq.KeySeparator)
	default:
		return strconv.FormatInt(v.number(), 10)
	}
}
