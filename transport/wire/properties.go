package wire

import (
	"strings"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
)

// AppendProperty appends one property in text form: name, U+0001, value, U+0002. It does not
// check its arguments; see [rocketmq.CheckProperty].
func AppendProperty(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, rocketmq.NameValueSeparator)
	dst = append(dst, value...)
	return append(dst, rocketmq.PropertySeparator)
}

// AppendProperties appends the properties in their order. Entries with an empty value are left
// out, because every decoder skips them.
func AppendProperties(dst []byte, properties Fields) []byte {
	for i := range properties {
		if properties[i].Value != "" {
			dst = AppendProperty(dst, properties[i].Key, properties[i].Value)
		}
	}
	return dst
}

// ParseProperties decodes the text form. Like Java it skips what has no name, no value or no
// separator, and needs no last U+0002 (4.9 drops it). Of equal names the last one counts, which
// is the one that [Fields.Get] returns. The strings share one copy of the text.
func ParseProperties[T string | []byte](text T) Fields {
	s := string(text)
	var out Fields
	for s != "" {
		entry, rest, _ := strings.Cut(s, string(rocketmq.PropertySeparator))
		s = rest
		if name, value, ok := strings.Cut(entry, string(rocketmq.NameValueSeparator)); ok && name != "" && value != "" {
			if out == nil {
				out = make(Fields, 0, 8)
			}
			out = append(out, Field{Key: name, Value: value})
		}
	}
	return out
}

// LookupProperty returns the value of one property of the text form, or "". It allocates nothing.
func LookupProperty(text, name string) (value string, ok bool) {
	for text != "" {
		entry, rest, _ := strings.Cut(text, string(rocketmq.PropertySeparator))
		text = rest
		if n, v, found := strings.Cut(entry, string(rocketmq.NameValueSeparator)); found && n == name && n != "" && v != "" {
			value, ok = v, true
		}
	}
	return value, ok
}
