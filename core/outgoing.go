package core

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
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
	if err := rocketmq.CheckProperty(p.Name, p.Value); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidMessage, err)
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
	case rocketmq.PropertyUniqKey:
		return o.id.String(), true
	case rocketmq.PropertyTags:
		return m.Tag, m.Tag != ""
	case rocketmq.PropertyKeys:
		return strings.Join(m.Keys, rocketmq.KeySeparator), len(m.Keys) > 0
	case rocketmq.PropertyShardingKey:
		return m.ShardingKey, m.ShardingKey != ""
	case rocketmq.PropertyDelay:
		return strconv.Itoa(m.DelayLevel), m.DelayLevel != 0
	case rocketmq.PropertyTimerDeliverMS:
		if m.DeliverAt.IsZero() {
			return "", false
		}
		return strconv.FormatInt(m.DeliverAt.UnixMilli(), 10), true
	case rocketmq.PropertyWait:
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
	n := rocketmq.PropertyLength(len(rocketmq.PropertyUniqKey), hexDigits)
	if m.Tag != "" && !o.shadowed(rocketmq.PropertyTags) {
		n += rocketmq.PropertyLength(len(rocketmq.PropertyTags), len(m.Tag))
	}
	if len(m.Keys) > 0 && !o.shadowed(rocketmq.PropertyKeys) {
		n += rocketmq.PropertyLength(len(rocketmq.PropertyKeys), (len(m.Keys)-1)*len(rocketmq.KeySeparator))
		for _, k := range m.Keys {
			n += len(k)
		}
	}
	if m.ShardingKey != "" && !o.shadowed(rocketmq.PropertyShardingKey) {
		n += rocketmq.PropertyLength(len(rocketmq.PropertyShardingKey), len(m.ShardingKey))
	}
	var digits [20]byte
	if m.DelayLevel != 0 && !o.shadowed(rocketmq.PropertyDelay) {
		n += rocketmq.PropertyLength(len(rocketmq.PropertyDelay), len(strconv.AppendInt(digits[:0], int64(m.DelayLevel), 10)))
	}
	if !m.DeliverAt.IsZero() && !o.shadowed(rocketmq.PropertyTimerDeliverMS) {
		n += rocketmq.PropertyLength(len(rocketmq.PropertyTimerDeliverMS), len(strconv.AppendInt(digits[:0], m.DeliverAt.UnixMilli(), 10)))
	}
	if m.NoWaitStore && !o.shadowed(rocketmq.PropertyWait) {
		n += rocketmq.PropertyLength(len(rocketmq.PropertyWait), len("false"))
	}
	for name, value := range m.Properties {
		if !o.shadowed(name) {
			n += rocketmq.PropertyLength(len(name), len(value))
		}
	}
	for i := range o.props {
		n += rocketmq.PropertyLength(len(o.props[i].Name), len(o.props[i].Value))
	}
	return n
}

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
	dst = append(dst, rocketmq.PropertyUniqKey...)
	dst = append(dst, rocketmq.NameValueSeparator)
	dst = o.id.appendHex(dst)
	dst = append(dst, rocketmq.PropertySeparator)
	if m.Tag != "" && !o.shadowed(rocketmq.PropertyTags) {
		dst = appendProperty(dst, rocketmq.PropertyTags, m.Tag)
	}
	if len(m.Keys) > 0 && !o.shadowed(rocketmq.PropertyKeys) {
		dst = append(dst, rocketmq.PropertyKeys...)
		for i, k := range m.Keys {
			if i == 0 {
				dst = append(dst, rocketmq.NameValueSeparator)
			} else {
				dst = append(dst, rocketmq.KeySeparator...)
			}
			dst = append(dst, k...)
		}
		dst = append(dst, rocketmq.PropertySeparator)
	}
	if m.ShardingKey != "" && !o.shadowed(rocketmq.PropertyShardingKey) {
		dst = appendProperty(dst, rocketmq.PropertyShardingKey, m.ShardingKey)
	}
	if m.DelayLevel != 0 && !o.shadowed(rocketmq.PropertyDelay) {
		dst = append(dst, rocketmq.PropertyDelay...)
		dst = append(dst, rocketmq.NameValueSeparator)
		dst = strconv.AppendInt(dst, int64(m.DelayLevel), 10)
		dst = append(dst, rocketmq.PropertySeparator)
	}
	if !m.DeliverAt.IsZero() && !o.shadowed(rocketmq.PropertyTimerDeliverMS) {
		dst = append(dst, rocketmq.PropertyTimerDeliverMS...)
		dst = append(dst, rocketmq.NameValueSeparator)
		dst = strconv.AppendInt(dst, m.DeliverAt.UnixMilli(), 10)
		dst = append(dst, rocketmq.PropertySeparator)
	}
	if m.NoWaitStore && !o.shadowed(rocketmq.PropertyWait) {
		dst = appendProperty(dst, rocketmq.PropertyWait, "false")
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
	dst = append(dst, rocketmq.NameValueSeparator)
	dst = append(dst, value...)
	return append(dst, rocketmq.PropertySeparator)
}
