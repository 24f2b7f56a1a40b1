package wire

import (
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// SendRequest is the header of SEND_MESSAGE in both of its name forms (Java
// SendMessageRequestHeader and SendMessageRequestHeaderV2).
type SendRequest struct {
	Group string
	Topic string
	// DefaultTopic is the topic whose settings an auto-created topic takes, TBW102 as a rule.
	DefaultTopic          string
	DefaultTopicQueueNums int
	QueueID               int
	SysFlag               int32
	// BornTimestamp is in milliseconds since 1970.
	BornTimestamp int64
	// Flag is the message's own flag, which RocketMQ only carries.
	Flag int32
	// Properties is the text form, see [AppendProperty]. May be empty.
	Properties     []byte
	ReconsumeTimes int
	UnitMode       bool
	// MaxReconsumeTimes is left out of the header when negative.
	MaxReconsumeTimes int
	// Batch says that the body is a batch, see [AppendBatchMessage].
	Batch bool
	// BrokerName is left out of the header when empty.
	BrokerName string
}

// sendNames are the field names of a send request.
type sendNames struct {
	group, topic, defaultTopic, defaultQueues, queue, sysFlag, born, flag, properties,
	reconsume, unit, maxReconsume, batch, broker string
}

func shortNames() sendNames {
	return sendNames{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"}
}

func longNames() sendNames {
	return sendNames{
		"producerGroup", "topic", "defaultTopic", "defaultTopicQueueNums", "queueId", "sysFlag",
		"bornTimestamp", "flag", "properties", "reconsumeTimes", "unitMode", "maxReconsumeTimes", "batch", "bname",
	}
}

// namesOf returns the names that a request code uses. Java's client sends the long form only on
// request; code 10 is understood by every server.
func namesOf(code int) (sendNames, bool) {
	switch code {
	case SendMessageV2, SendBatchMessage, SendReplyMessageV2:
		return shortNames(), true
	case SendMessage, SendReplyMessage:
		return longNames(), true
	}
	return sendNames{}, false
}

// AppendSend appends a whole send request: the frame's lengths, the header with the fields of r
// in Java's order and then extra, and body. Code is one of SendMessageV2, SendBatchMessage and
// SendReplyMessageV2, which use the short names a to n, or SendMessage and SendReplyMessage,
// which use the long names. With room in dst it allocates nothing.
//
// Errors match [ErrEncode]: another code, an empty Group, Topic or DefaultTopic (mandatory
// fields, and a binary header cannot carry an empty string), Properties of more than
// [rocketmq.ProtocolMaxPropertiesLength] bytes, and what [AppendCommand] refuses.
func AppendSend(dst []byte, ser Serialization, code int, opaque, flag int32, r *SendRequest, extra Fields, body []byte) ([]byte, error) {
	return appendSend(slices.Grow(dst, sendSize(r, extra)+len(body)), ser, code, opaque, flag, r, extra, body, len(body))
}

// AppendSendHead is [AppendSend] without the body, whose length it is told: for a caller who
// writes a large body from where it is instead of copying it.
func AppendSendHead(dst []byte, ser Serialization, code int, opaque, flag int32, r *SendRequest, extra Fields, bodyLen int) ([]byte, error) {
	return appendSend(slices.Grow(dst, sendSize(r, extra)), ser, code, opaque, flag, r, extra, nil, bodyLen)
}

// Fields returns the header fields of a send request as [AppendSend] writes them, extra last, for
// a signer. They are read back from the encoded header, so that what is signed is what is sent. Errors are
// those of AppendSend.
func (r *SendRequest) Fields(code int, extra Fields) (Fields, error) {
	frame, err := AppendSend(nil, RocketMQ, code, 0, 0, r, extra, nil)
	if err != nil {
		return nil, err
	}
	cmd, err := ParseFrame(frame[4:])
	return cmd.Ext, err
}

// sendSize is a guess at the length of a send request's header, good for a single growth.
func sendSize(r *SendRequest, extra Fields) int {
	n := 320 + len(r.Group) + len(r.Topic) + len(r.DefaultTopic) + len(r.BrokerName) + len(r.Properties) + len(r.Properties)/2
	for i := range extra {
		n += 8 + len(extra[i].Key) + len(extra[i].Value)
	}
	return n
}

func appendSend(dst []byte, ser Serialization, code int, opaque, flag int32, r *SendRequest, extra Fields, body []byte, bodyLen int) ([]byte, error) {
	names, ok := namesOf(code)
	if !ok {
		return dst, &EncodeError{What: "send request", Reason: "not a send code"}
	}
	if err := r.check(extra); err != nil {
		return dst, err
	}
	e := beginFrame(dst, ser, code, LanguageGo, CurrentVersion, opaque, flag, "")
	if e.ser == RocketMQ && names.group == "a" {
		e.b = appendShortBinary(e.b, r)
	} else {
		e.send(&names, r)
	}
	for i := range extra {
		e.field(extra[i].Key, extra[i].Value)
	}
	return e.end(body, bodyLen)
}

// send appends the fields of a send request.
func (e *encoder) send(names *sendNames, r *SendRequest) {
	e.field(names.group, r.Group)
	e.field(names.topic, r.Topic)
	e.field(names.defaultTopic, r.DefaultTopic)
	e.fieldInt(names.defaultQueues, int64(r.DefaultTopicQueueNums))
	e.fieldInt(names.queue, int64(r.QueueID))
	e.fieldInt(names.sysFlag, int64(r.SysFlag))
	e.fieldInt(names.born, r.BornTimestamp)
	e.fieldInt(names.flag, int64(r.Flag))
	if len(r.Properties) > 0 {
		e.fieldBytes(names.properties, r.Properties)
	}
	e.fieldInt(names.reconsume, int64(r.ReconsumeTimes))
	e.fieldBool(names.unit, r.UnitMode)
	if r.MaxReconsumeTimes >= 0 {
		e.fieldInt(names.maxReconsume, int64(r.MaxReconsumeTimes))
	}
	e.fieldBool(names.batch, r.Batch)
	if r.BrokerName != "" {
		e.field(names.broker, r.BrokerName)
	}
}

// appendShortBinary is send for the short names in the binary form, which is what every send of
// a default client takes: it halves the time by keeping the buffer in registers.
func appendShortBinary(b []byte, r *SendRequest) []byte {
	b = appendShort(b, 'a', r.Group)
	b = appendShort(b, 'b', r.Topic)
	b = appendShort(b, 'c', r.DefaultTopic)
	b = appendShortInt(b, 'd', int64(r.DefaultTopicQueueNums))
	b = appendShortInt(b, 'e', int64(r.QueueID))
	b = appendShortInt(b, 'f', int64(r.SysFlag))
	b = appendShortInt(b, 'g', r.BornTimestamp)
	b = appendShortInt(b, 'h', int64(r.Flag))
	if len(r.Properties) > 0 {
		b = appendShort(b, 'i', r.Properties)
	}
	b = appendShortInt(b, 'j', int64(r.ReconsumeTimes))
	b = appendShort(b, 'k', boolText(r.UnitMode))
	if r.MaxReconsumeTimes >= 0 {
		b = appendShortInt(b, 'l', int64(r.MaxReconsumeTimes))
	}
	b = appendShort(b, 'm', boolText(r.Batch))
	if r.BrokerName != "" {
		b = appendShort(b, 'n', r.BrokerName)
	}
	return b
}

func appendShort[T string | []byte](b []byte, key byte, value T) []byte {
	n := len(value)
	b = append(b, 0, 1, key, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	return append(b, value...)
}

func appendShortInt(b []byte, key byte, n int64) []byte {
	if 0 <= n && n < 10 {
		return append(b, 0, 1, key, 0, 0, 0, 1, '0'+byte(n))
	}
	b = append(b, 0, 1, key, 0, 0, 0, 0)
	at := len(b)
	b = strconv.AppendInt(b, n, 10)
	b[at-1] = byte(len(b) - at)
	return b
}

func (r *SendRequest) check(extra Fields) error {
	reason := ""
	switch {
	case r.Group == "":
		reason = "no group"
	case r.Topic == "":
		reason = "no topic"
	case r.DefaultTopic == "":
		reason = "no default topic"
	case len(r.Properties) > rocketmq.ProtocolMaxPropertiesLength:
		reason = "properties longer than 32767 bytes"
	case len(extra) > MaxExtFields-14:
		reason = "too many extra fields"
	default:
		return nil
	}
	return &EncodeError{What: "send request", Reason: reason}
}

// SendFields returns the header fields of a send request as [AppendSend] would write them, for
// who must see them as a list: a signature, a test. Ok is false if code is no send code.
func SendFields(code int, r *SendRequest) (fields Fields, ok bool) {
	names, ok := namesOf(code)
	if !ok {
		return nil, false
	}
	f := make(Fields, 0, 20)
	add := func(key, value string) { f = append(f, Field{Key: key, Value: value}) }
	add(names.group, r.Group)
	add(names.topic, r.Topic)
	add(names.defaultTopic, r.DefaultTopic)
	add(names.defaultQueues, itoa(r.DefaultTopicQueueNums))
	add(names.queue, itoa(r.QueueID))
	add(names.sysFlag, itoa(r.SysFlag))
	add(names.born, itoa(r.BornTimestamp))
	add(names.flag, itoa(r.Flag))
	if len(r.Properties) > 0 {
		add(names.properties, string(r.Properties))
	}
	add(names.reconsume, itoa(r.ReconsumeTimes))
	add(names.unit, boolText(r.UnitMode))
	if r.MaxReconsumeTimes >= 0 {
		add(names.maxReconsume, itoa(r.MaxReconsumeTimes))
	}
	add(names.batch, boolText(r.Batch))
	if r.BrokerName != "" {
		add(names.broker, r.BrokerName)
	}
	return f, true
}

// ParseSend reads a send request's header fields on the server's side, in the name form of the
// request's code, as brokers do: they need no Group, and neither DefaultTopic nor
// DefaultTopicQueueNums unless the topic is to be made. Missing optional fields take Java's
// defaults; a missing MaxReconsumeTimes is -1. An empty Topic is one in a JSON header and none in a
// binary one. Errors match [ErrField] and name the field; a code that is not one of a send is one
// too.
func ParseSend(c *Command) (SendRequest, error) {
	names, ok := namesOf(c.Code)
	if !ok {
		return SendRequest{}, &FieldError{Field: "code", Reason: "not a send code"}
	}
	long := longNames()
	p := fieldParser{fields: c.Ext}
	r := SendRequest{
		Group:                 c.Ext.Get(names.group),
		Topic:                 c.Ext.Get(names.topic),
		DefaultTopic:          c.Ext.Get(names.defaultTopic),
		DefaultTopicQueueNums: int(p.optional(names.defaultQueues, long.defaultQueues, 0)),
		QueueID:               int(p.int32(names.queue, long.queue)),
		SysFlag:               p.int32(names.sysFlag, long.sysFlag),
		BornTimestamp:         p.int64(names.born, long.born),
		Flag:                  p.int32(names.flag, long.flag),
		ReconsumeTimes:        int(p.optional(names.reconsume, long.reconsume, 0)),
		UnitMode:              strings.EqualFold(c.Ext.Get(names.unit), "true"),
		MaxReconsumeTimes:     int(p.optional(names.maxReconsume, long.maxReconsume, -1)),
		Batch:                 strings.EqualFold(c.Ext.Get(names.batch), "true"),
		BrokerName:            c.Ext.Get(names.broker),
	}
	if _, given := c.Ext.Lookup(names.topic); r.Topic == "" && (!given || c.Serialization == RocketMQ) {
		p.fail(names.topic, long.topic, "missing")
	}
	if text := c.Ext.Get(names.properties); text != "" {
		r.Properties = []byte(text)
	}
	if p.err != nil {
		return SendRequest{}, p.err
	}
	return r, nil
}
