package core

import (
	"fmt"
	"iter"
	"slices"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// Outgoing is a call's private view of one message as it is sent. In message scope
// interceptors change it; the user's message stays as it is. In attempt scope it is
// frozen: a change is ignored and fails the call with [ErrFrozen].
//
// It says what is sent, not in which form: the form on the wire is the transport's.
type Outgoing struct {
	msg    *Message
	call   *Call
	id     MessageID
	topic  string
	body   []byte
	codec  string     // that packed the body, "" for none
	props  []Property // set by interceptors; they shadow the message's own
	size   int        // of the properties, 0 if not known
	fault  error      // why the properties are not sound; known when size is
	frozen bool
	joined bool   // copied into a Batch: it is frozen for good
	reply  bool   // see Reply
	form   []byte // the transport's, made at its first use; see Form
}

func (o *Outgoing) reset(c *Call, m *Message, id MessageID) {
	clear(o.props)
	o.call, o.msg, o.id = c, m, id
	o.topic, o.body, o.codec, o.props = m.Topic, m.Body, "", o.props[:0]
	o.size, o.fault, o.frozen, o.joined, o.reply, o.form = 0, nil, false, false, false, nil
}

// forget lets go of what belongs to a message, and keeps the room for its properties.
func (o *Outgoing) forget() {
	props := o.props
	clear(props)
	*o = Outgoing{props: props[:0]}
}

// Message is the user's message, for reading only.
func (o *Outgoing) Message() *Message { return o.msg }

// MessageID is the message's unique id.
func (o *Outgoing) MessageID() MessageID { return o.id }

// Topic is the topic that is sent to. All messages of a batch have one.
func (o *Outgoing) Topic() string { return o.topic }

// SetTopic changes the topic that is sent to.
func (o *Outgoing) SetTopic(topic string) {
	if o.mayChange() {
		o.topic = topic
	}
}

// Body is the body that is sent. It must not be written to: it may be the user's.
func (o *Outgoing) Body() []byte { return o.body }

// SetBody changes the body. The slice must stay unchanged until the interceptor's next has
// returned. A body that a codec has packed cannot be changed any more, since consumers
// would unpack something else: the call fails with [ErrEncoded]. A step that changes bodies,
// such as encryption, belongs outside of compression (Step.Before).
func (o *Outgoing) SetBody(body []byte) {
	switch {
	case !o.mayChange():
	case o.codec != "":
		o.call.misuse = ErrEncoded
	default:
		o.body = body
	}
}

// Codec is the name of the codec that packed the body, such as "zlib"; "" if none did.
func (o *Outgoing) Codec() string { return o.codec }

// SetPacked changes the body to one that the named codec has packed, and back: with the
// codec "" the body is a plain one. The slice must stay unchanged until the interceptor's
// next has returned. The transport tells consumers how to unpack it.
func (o *Outgoing) SetPacked(body []byte, codec string) {
	if o.mayChange() {
		o.body, o.codec = body, codec
	}
}

// Flag is the message's own flag.
func (o *Outgoing) Flag() int32 { return o.msg.Flag }

// Reply reports whether the message is the reply to a request: a step or an option has set the
// property MSG_TYPE to "reply". A broker brings such a message to the client that made the
// request.
func (o *Outgoing) Reply() bool { return o.reply }

// Property finds a property as it is sent, under RocketMQ's name: "TAGS" for the tag,
// "KEYS" for the joined keys.
func (o *Outgoing) Property(name string) (string, bool) {
	for i := range o.props {
		if o.props[i].Name == name {
			return o.props[i].Value, true
		}
	}
	if f := fieldOf(name); o.msg.fields().has(f) {
		return PropertyValue{out: o, field: f}.String(), true
	}
	if len(o.msg.Properties) == 0 {
		return "", false // no need to hash the name
	}
	v, ok := o.msg.Properties[name]
	return v, ok
}

// SetProperty sets a property, under RocketMQ's name. Neither name nor value may be empty
// or hold the separators U+0001 and U+0002; a property that breaks this fails the call as
// an invalid message. The unique id cannot be set: it is the call's for all its attempts.
func (o *Outgoing) SetProperty(name, value string) {
	if !o.mayChange() {
		return
	}
	o.size = 0
	if name == rocketmq.PropertyMsgType {
		o.reply = value == rocketmq.ReplyType
	}
	for i := range o.props {
		if o.props[i].Name == name {
			o.props[i].Value = value
			return
		}
	}
	o.props = append(o.props, Property{name, value})
}

// Properties goes over the properties as they are sent, in a fixed order: the unique id,
// the message's typed fields, the user's own by name, then what interceptors set. So every
// attempt, and every run of a program, sends the same for the same message. No name is there
// twice: what interceptors set goes before the fields, and these before the user's own.
//
// Going over them allocates nothing. For that, Properties has to be inlined where it is
// called, which it is as a function literal and would not be as a method value.
func (o *Outgoing) Properties() iter.Seq2[string, PropertyValue] {
	return func(yield func(name string, value PropertyValue) bool) { o.visit(yield) }
}

// visit goes over the properties in their order.
func (o *Outgoing) visit(yield func(name string, value PropertyValue) bool) {
	if !yield(rocketmq.PropertyUniqKey, PropertyValue{out: o, field: fieldID}) { // which cannot be set
		return
	}
	set := o.msg.fields()
	for rest := set &^ idField; rest != 0; rest &= rest - 1 {
		f := rest.first()
		if !o.shadowed(fieldNames[f]) && !yield(fieldNames[f], PropertyValue{out: o, field: f}) {
			return
		}
	}
	if len(o.msg.Properties) > 0 && !o.visitOwn(set, yield) {
		return
	}
	for i := range o.props {
		if !yield(o.props[i].Name, PropertyValue{text: o.props[i].Value}) {
			return
		}
	}
}

// visitOwn goes over the user's own properties by name, but for those that a field or an
// interceptor sets. It reports whether to go on.
func (o *Outgoing) visitOwn(set fieldSet, yield func(name string, value PropertyValue) bool) (more bool) {
	names := o.call.names[:0]
	o.call.names = nil // yield may go over properties as well
	for name := range o.msg.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	more = true
	for _, name := range names {
		if more = set.has(fieldOf(name)) || o.shadowed(name) || yield(name, PropertyValue{text: o.msg.Properties[name]}); !more {
			break
		}
	}
	clear(names)
	o.call.names = names
	return more
}

// shadowed reports whether an interceptor set the property.
func (o *Outgoing) shadowed(name string) bool {
	for i := range o.props {
		if o.props[i].Name == name {
			return true
		}
	}
	return false
}

// PropertiesSize is how many bytes the properties take in a broker's store now, at most
// [rocketmq.MaxPropertiesLength].
func (o *Outgoing) PropertiesSize() int {
	if o.size > 0 {
		return o.size
	}
	// This goes its own way over the properties: it needs no order, and it runs for each
	// message of each batch.
	n, set := idLength, o.msg.fields()
	o.fault = nil
	for rest := set &^ idField; rest != 0; rest &= rest - 1 {
		if f := rest.first(); !o.shadowed(fieldNames[f]) {
			v := PropertyValue{out: o, field: f}
			n += rocketmq.PropertyLength(len(fieldNames[f]), v.Len())
			o.note(v.check())
		}
	}
	if len(o.msg.Properties) > 0 { // to begin to go over a map has its cost
		for name, value := range o.msg.Properties {
			if !set.has(fieldOf(name)) && !o.shadowed(name) {
				n += rocketmq.PropertyLength(len(name), len(value))
				o.note(rocketmq.CheckProperty(name, value))
			}
		}
	}
	for i := range o.props {
		n += rocketmq.PropertyLength(len(o.props[i].Name), len(o.props[i].Value))
		o.note(rocketmq.CheckProperty(o.props[i].Name, o.props[i].Value))
	}
	o.size = n
	return n
}

// note keeps what is wrong with a property.
func (o *Outgoing) note(fault error) {
	if fault != nil {
		o.fault = fault
	}
}

// batchSize is how many bytes the message takes in a batch.
func (o *Outgoing) batchSize() int {
	return rocketmq.BatchMessageOverhead + len(o.body) + o.PropertiesSize()
}

// Form is the message's form on the wire, as far as it is the same for every attempt: the
// transport's encode makes it when it first asks, and later attempts of the call get the
// same bytes. It is for transports, in attempt scope, and for one transport only. Encode
// appends to dst and returns the result; it should be a plain function, which costs no
// allocation. Its error is returned, and it is asked again next time.
func (o *Outgoing) Form(encode func(dst []byte, o *Outgoing) ([]byte, error)) ([]byte, error) {
	if o.form != nil {
		return o.form, nil
	}
	c := o.call
	from := len(c.forms)
	b, err := encode(c.forms, o)
	if err != nil {
		return nil, err
	}
	c.forms = b
	o.form = b[from:len(b):len(b)] // stays where it is when forms moves
	return o.form, nil
}

func (o *Outgoing) mayChange() bool {
	if o.frozen || o.joined {
		o.call.misuse = ErrFrozen
		return false
	}
	return true
}

// freeze ends message scope: nothing changes any more. The properties have to fit RocketMQ's
// limits and to be sound, whoever set them: a separator in a value would end it and begin a
// property that nobody set. A producer without validation needs that as well.
func (c *Call) freeze() error {
	c.forms = c.forms[:0]
	for i := range c.outs {
		o := &c.outs[i]
		o.form = nil
		if c.Batch() {
			if err := o.mayShare(); err != nil {
				return err
			}
		}
		if o.joined {
			o.frozen = true
			continue
		}
		if c.half {
			if err := o.checkHalf(); err != nil {
				return err
			}
		}
		if o.setsID() {
			return errUniqKey
		}
		n := o.PropertiesSize()
		if o.fault != nil {
			return fmt.Errorf("%w: %w", ErrInvalidMessage, o.fault)
		}
		if n > rocketmq.MaxPropertiesLength {
			return fmt.Errorf("%w: properties take %d bytes encoded, at most %d are allowed",
				ErrInvalidMessage, n, rocketmq.MaxPropertiesLength)
		}
		o.frozen = true
	}
	return nil
}

var errUniqKey = fmt.Errorf("%w: property %q cannot be set: it is the message's id for all attempts",
	ErrInvalidMessage, rocketmq.PropertyUniqKey)

// setsID reports whether the user or an interceptor sets the unique id.
func (o *Outgoing) setsID() bool {
	if o.shadowed(rocketmq.PropertyUniqKey) {
		return true
	}
	if len(o.msg.Properties) == 0 {
		return false
	}
	_, ok := o.msg.Properties[rocketmq.PropertyUniqKey]
	return ok
}

// mayShare refuses a message of a batch with a property that brokers honour in single messages
// only: they would drop it without a word.
func (o *Outgoing) mayShare() error {
	for i := range o.props {
		if rocketmq.IsSingleProperty(o.props[i].Name) {
			return notInBatch(o.props[i].Name)
		}
	}
	if len(o.msg.Properties) > 0 { // no need to hash the names
		for _, name := range rocketmq.SingleProperties() {
			if _, ok := o.msg.Properties[name]; ok {
				return notInBatch(name)
			}
		}
	}
	return nil
}

func notInBatch(name string) error {
	return fmt.Errorf("%w: property %q in a batch: brokers ignore it there, send the message alone", ErrInvalidMessage, name)
}

func (c *Call) thaw() {
	for i := range c.outs {
		c.outs[i].frozen = false
	}
}
