package core

import (
	"strconv"
	"strings"
)

// Property is a name and a value of a message.
type Property struct{ Name, Value string }

// PropertyValue is the value of a property as a transport writes it. Most values are text.
// The unique id, the keys, a delay level and a delivery time are kept in their own form,
// so that a transport writes them with [PropertyValue.AppendTo] without an allocation.
//
// A value is valid as long as the call that it comes from. The zero value is the empty
// text.
type PropertyValue struct {
	// The value is small, because it is passed through several functions for each property
	// of each message: what is no text is read from the message when it is asked for.
	text string
	out  *Outgoing // nil for a text
	kind valueKind
}

// valueKind says which field of the message a value is made of.
type valueKind uint8

const (
	valueText valueKind = iota
	valueID
	valueKeys
	valueDelayLevel
	valueDeliverAt
)

// number is the value of a kind that is a number.
func (v PropertyValue) number() int64 {
	if v.kind == valueDelayLevel {
		return int64(v.out.msg.DelayLevel)
	}
	return v.out.msg.DeliverAt.UnixMilli()
}

// AppendTo appends the value's text.
func (v PropertyValue) AppendTo(dst []byte) []byte {
	switch v.kind {
	case valueText:
		return append(dst, v.text...)
	case valueID:
		return v.out.id.appendHex(dst)
	case valueKeys:
		for i, k := range v.out.msg.Keys {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = append(dst, k...)
		}
		return dst
	default:
		return strconv.AppendInt(dst, v.number(), 10)
	}
}

// Len is the length of the text in bytes.
func (v PropertyValue) Len() int {
	switch v.kind {
	case valueText:
		return len(v.text)
	case valueID:
		return hexDigits
	case valueKeys:
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
	switch v.kind {
	case valueText:
		return v.text
	case valueID:
		return v.out.id.String()
	case valueKeys:
		return strings.Join(v.out.msg.Keys, " ")
	default:
		return strconv.FormatInt(v.number(), 10)
	}
}
