package steptest

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
)

// room is how much a body has behind its end. It is the user's memory too.
const (
	room     = 16
	roomByte = 0xA5
)

// copied is a message that shares nothing with m.
func copied(m *core.Message) *core.Message {
	c := *m
	if m.Body != nil {
		c.Body = slices.Concat(m.Body, bytes.Repeat([]byte{roomByte}, room))[:len(m.Body)]
	}
	c.Keys, c.Properties = slices.Clone(m.Keys), maps.Clone(m.Properties)
	if m.Queue != nil {
		q := *m.Queue
		c.Queue = &q
	}
	return &c
}

// content is a message as it was.
type content struct {
	m    *core.Message
	body []byte // with the room behind it
}

func contents(msgs []*core.Message) []content {
	out := make([]content, len(msgs))
	for i, m := range msgs {
		out[i] = content{copied(m), bytes.Clone(m.Body[:cap(m.Body)])}
	}
	return out
}

// changedBy says which part of the messages is not as it was, "" if everything is.
func changedBy(before []content, msgs []*core.Message) string {
	for i, m := range msgs {
		was, is := reflect.ValueOf(*before[i].m), reflect.ValueOf(*m)
		for f := range was.NumField() {
			if !reflect.DeepEqual(was.Field(f).Interface(), is.Field(f).Interface()) {
				return fmt.Sprintf("the %s of message %d is not what it was", was.Type().Field(f).Name, i)
			}
		}
		if !bytes.Equal(m.Body[:cap(m.Body)], before[i].body) {
			return fmt.Sprintf("the memory behind the Body of message %d is not what it was", i)
		}
	}
	return ""
}

// sent is what is sent of a message at some time.
type sent struct {
	topic string
	body  []byte
	codec string
	props []core.Property
	size  int // of the properties
}

func sentBy(c *core.Call) []sent {
	var all []sent
	for o := range c.All() {
		s := sent{topic: o.Topic(), body: bytes.Clone(o.Body()), codec: o.Codec(), size: o.PropertiesSize()}
		for name, value := range o.Properties() {
			s.props = append(s.props, core.Property{Name: name, Value: value.String()})
		}
		all = append(all, s)
	}
	return all
}

// names are those of the properties, in order.
func (s *sent) names() []string {
	var out []string
	for _, p := range s.props {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

func (s *sent) property(name string) (string, bool) {
	for _, p := range s.props {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}
