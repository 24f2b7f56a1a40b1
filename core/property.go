package core

import (
	"strconv"
	"strings"
	"time"
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
	kind   valueKind
	text   string
	number int64
	keys   []string
	id     *MessageID
}

type valueKind uint8

const (
	valueText valueKind = iota
	valueNumber
	valueKeys
	valueID
)

// AppendTo appends the value's text.
func (v PropertyValue) AppendTo(dst []byte) []byte {
	switch v.kind {
	case valueNumber:
		return strconv.AppendInt(dst, v.number, 10)
	case valueKeys:
		for i, k := range v.keys {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = append(dst, k...)
		}
		return dst
	case valueID:
		return v.id.appendHex(dst)
	default:
		return append(dst, v.text...)
	}
}

// Len is the length of the text in bytes.
func (v PropertyValue) Len() int {
	switch v.kind {
	case valueNumber:
		var digits [20]byte
		return len(strconv.AppendInt(digits[:0], v.number, 10))
	case valueKeys:
		n := max(0, len(v.keys)-1)
		for _, k := range v.keys {
			n += len(k)
		}
		return n
	case valueID:
		return hexDigits
	default:
		return len(v.text)
	}
}

// String gives the text. For values that are no text it allocates.
func (v PropertyValue) String() string {
	switch v.kind {
	case valueNumber:
		return strconv.FormatInt(v.number, 10)
	case valueKeys:
		return strings.Join(v.keys, " ")
	case valueID:
		return string(v.id.appendHex(make([]byte, 0, hexDigits)))
	default:
		return v.text
	}
}

func textValue(s string) PropertyValue   { return PropertyValue{text: s} }
func numberValue(n int64) PropertyValue  { return PropertyValue{kind: valueNumber, number: n} }
func keysValue(k []string) PropertyValue { return PropertyValue{kind: valueKeys, keys: k} }
func millisValue(t time.Time) PropertyValue {
	return PropertyValue{kind: valueNumber, number: t.UnixMilli()}
}
