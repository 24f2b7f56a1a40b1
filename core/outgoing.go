package core

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxPropertiesLength is the largest encoded size of a message's properties. The
// protocol has a signed 16-bit length for them, and 512 bytes of it are the broker's:
// it adds properties of its own, such as region and cluster, 62 bytes by default.
// What gets too long by that it refuses or, one-way, drops; in a batch it stores it
// in a form that keeps consumers from everything behind it (4.9.7 and 5.3.3).
const MaxPropertiesLength = 32767 - 512

// The properties that the fields of a [Message] become (Java: MessageConst).
const (
	propertyKeys        = "KEYS"
	propertyTags        = "TAGS"
	propertyWait        = "WAIT"
	propertyDelay       = "DELAY"
	propertyUniqueID    = "UNIQ_KEY"
	propertyShardingKey = "__SHARDINGKEY"
	propertyDeliverAt   = "TIMER_DELIVER_MS"
)

// Outgoing is a call's private view of one message as it goes on the wire. In
// message scope interceptors change it; the user's message stays as it is. In
// attempt scope it is frozen: a change is ignored and fails the call with
// [ErrFrozen].
type Outgoing struct {
	msg      *Message
	call     *Call
	id       MessageID
	topic    string
	body     []byte
	sysFlag  int32
	props    []Property // set by interceptors; they shadow the message's own
	prepared bool       // encoded holds the properties already (Batch)
	frozen   bool
	encoded  []byte // properties in wire form, once frozen: the call's, or the batch's
}

// Property is a name and a value of a message.
type Property struct{ Name, Value string }

func (p Property) check() error {
	switch {
	case p.Name == "" || p.Value == "":
		return fmt.Errorf("%w: property %q=%q: neither may be empty", ErrInvalidMessage, p.Name, p.Value)
	case strings.ContainsAny(p.Name, "\x01\x02") || strings.ContainsAny(p.Value, "\x01\x02"):
		return fmt.Errorf("%w: property %q holds a separator, U+0001 or U+0002", ErrInvalidMessage, p.Name)
	}
	return nil
}

func (o *Outgoing) reset(c *Call, m *Message, id MessageID) {
	o.msg, o.call, o.id = m, c, id
	o.topic, o.body, o.sysFlag = m.Topic, m.Body, 0
	clear(o.props)
	o.props = o.props[:0]
	o.prepared, o.frozen = false, false
	o.encoded = nil
}

// Message is the user's message, for reading only.
func (o *Outgoing) Message() *Message { return o.msg }

// MessageID is the message's unique id.
func (o *Outgoing) MessageID() MessageID { return o.id }

// Topic is the topic on the wire. All messages of a batch have one.
func (o *Outgoing) Topic() string { return o.topic }

// SetTopic changes the topic on the wire.
func (o *Outgoing) SetTopic(topic string) {
	if o.mayChange() {
		o.topic = topic
	}
}

// Body is the body on the wire. It must not be written to: it may be the user's.
func (o *Outgoing) Body() []byte { return o.body }

// SetBody changes the body on the wire. The slice must stay unchanged until the
// interceptor's next has returned.
func (o *Outgoing) SetBody(body []byte) {
	if o.mayChange() {
		o.body = body
	}
}

// SysFlag are the system flag bits (Java: MessageSysFlag), zero at first.
func (o *Outgoing) SysFlag() int32 { return o.sysFlag }

// SetSysFlag changes the system flag bits.
func (o *Outgoing) SetSysFlag(flag int32) {
	if o.mayChange() {
		o.sysFlag = flag
	}
}

// Flag is the message's own flag.
func (o *Outgoing) Flag() int32 { return o.msg.Flag }

// Property finds a property as it goes on the wire, under RocketMQ's name:
// "TAGS" for the tag, "KEYS" for the joined keys.
func (o *Outgoing) Property(name string) (string, bool) {
	for i := range o.props {
		if o.props[i].Name == name {
			return o.props[i].Value, true
		}
	}
	m := o.msg
	switch name {
	case propertyUniqueID:
		return o.id.String(), true
	case propertyTags:
		return m.Tag, m.Tag != ""
	case propertyKeys:
		return strings.Join(m.Keys, " "), len(m.Keys) > 0
	case propertyShardingKey:
		return m.ShardingKey, m.ShardingKey != ""
	case propertyDelay:
		return strconv.Itoa(m.DelayLevel), m.DelayLevel != 0
	case propertyDeliverAt:
		if m.DeliverAt.IsZero() {
			return "", false
		}
		return strconv.FormatInt(m.DeliverAt.UnixMilli(), 10), true
	case propertyWait:
		return "false", m.NoWaitStore
	}
	if len(m.Properties) == 0 {
		return "", false // no need to hash the name
	}
	v, ok := m.Properties[name]
	return v, ok
}

// SetProperty sets a property on the wire, under RocketMQ's name. Neither name
// nor value may be empty or hold the separators U+0001 and U+0002; a property
// that breaks this fails the call as an invalid message.
func (o *Outgoing) SetProperty(name, value string) {
	if !o.mayChange() {
		return
	}
	for i := range o.props {
		if o.props[i].Name == name {
			o.props[i].Value = value
			return
		}
	}
	o.props = append(o.props, Property{name, value})
}

// PropertiesSize is the encoded size, in bytes, that the properties have now.
func (o *Outgoing) PropertiesSize() int {
	if o.frozen || o.prepared {
		return len(o.encoded)
	}
	m := o.msg
	n := propertySize(len(propertyUniqueID), hexDigits)
	if m.Tag != "" && !o.shadowed(propertyTags) {
		n += propertySize(len(propertyTags), len(m.Tag))
	}
	if len(m.Keys) > 0 && !o.shadowed(propertyKeys) {
		n += propertySize(len(propertyKeys), len(m.Keys)-1)
		for _, k := range m.Keys {
			n += len(k)
		}
	}
	if m.ShardingKey != "" && !o.shadowed(propertyShardingKey) {
		n += propertySize(len(propertyShardingKey), len(m.ShardingKey))
	}
	var digits [20]byte
	if m.DelayLevel != 0 && !o.shadowed(propertyDelay) {
		n += propertySize(len(propertyDelay), len(strconv.AppendInt(digits[:0], int64(m.DelayLevel), 10)))
	}
	if !m.DeliverAt.IsZero() && !o.shadowed(propertyDeliverAt) {
		n += propertySize(len(propertyDeliverAt), len(strconv.AppendInt(digits[:0], m.DeliverAt.UnixMilli(), 10)))
	}
	if m.NoWaitStore && !o.shadowed(propertyWait) {
		n += propertySize(len(propertyWait), len("false"))
	}
	for name, value := range m.Properties {
		if !o.shadowed(name) {
			n += propertySize(len(name), len(value))
		}
	}
	for i := range o.props {
		n += propertySize(len(o.props[i].Name), len(o.props[i].Value))
	}
	return n
}

// propertySize is what [appendProperty] adds.
func propertySize(name, value int) int { return name + value + 2 }

// Properties are the properties in wire form, unique id included. In attempt
// scope only; nil before. They must not be written to.
func (o *Outgoing) Properties() []byte {
	if !o.frozen {
		return nil
	}
	return o.encoded
}

func (o *Outgoing) mayChange() bool {
	if o.frozen || o.prepared {
		o.call.misuse = ErrFrozen
		return false
	}
	return true
}

// appendProperties encodes in a fixed order - unique id, typed fields, then the
// user's names sorted, then what interceptors added - so that every attempt and
// every run sends the same bytes for the same message.
func (o *Outgoing) appendProperties(dst []byte) []byte {
	m := o.msg
	dst = append(dst, propertyUniqueID...)
	dst = append(dst, 1)
	dst = o.id.appendHex(dst)
	dst = append(dst, 2)
	if m.Tag != "" && !o.shadowed(propertyTags) {
		dst = appendProperty(dst, propertyTags, m.Tag)
	}
	if len(m.Keys) > 0 && !o.shadowed(propertyKeys) {
		dst = append(dst, propertyKeys...)
		for i, k := range m.Keys {
			if i == 0 {
				dst = append(dst, 1)
			} else {
				dst = append(dst, ' ')
			}
			dst = append(dst, k...)
		}
		dst = append(dst, 2)
	}
	if m.ShardingKey != "" && !o.shadowed(propertyShardingKey) {
		dst = appendProperty(dst, propertyShardingKey, m.ShardingKey)
	}
	if m.DelayLevel != 0 && !o.shadowed(propertyDelay) {
		dst = append(dst, propertyDelay...)
		dst = append(dst, 1)
		dst = strconv.AppendInt(dst, int64(m.DelayLevel), 10)
		dst = append(dst, 2)
	}
	if !m.DeliverAt.IsZero() && !o.shadowed(propertyDeliverAt) {
		dst = append(dst, propertyDeliverAt...)
		dst = append(dst, 1)
		dst = strconv.AppendInt(dst, m.DeliverAt.UnixMilli(), 10)
		dst = append(dst, 2)
	}
	if m.NoWaitStore && !o.shadowed(propertyWait) {
		dst = appendProperty(dst, propertyWait, "false")
	}
	if len(m.Properties) > 0 {
		names := o.call.names[:0]
		for name := range m.Properties {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if !o.shadowed(name) {
				dst = appendProperty(dst, name, m.Properties[name])
			}
		}
		clear(names)
		o.call.names = names
	}
	for i := range o.props {
		dst = appendProperty(dst, o.props[i].Name, o.props[i].Value)
	}
	return dst
}

func (o *Outgoing) shadowed(name string) bool {
	for i := range o.props {
		if o.props[i].Name == name {
			return true
		}
	}
	return false
}

// appendProperty writes name U+0001 value U+0002 (Java: MessageDecoder.messageProperties2String).
func appendProperty(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, 1)
	dst = append(dst, value...)
	return append(dst, 2)
}
