package wire

import "strings"

const (
	nameValueSeparator = '\x01'
	propertySeparator  = '\x02'
)

// AppendProperty appends one property in text form: name, U+0001, value, U+0002. It does not
// check its arguments; see [CheckProperty].
func AppendProperty(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, nameValueSeparator)
	dst = append(dst, value...)
	return append(dst, propertySeparator)
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
		entry, rest, _ := strings.Cut(s, "\x02")
		s = rest
		if name, value, ok := strings.Cut(entry, "\x01"); ok && name != "" && value != "" {
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
		entry, rest, _ := strings.Cut(text, "\x02")
		text = rest
		if n, v, found := strings.Cut(entry, "\x01"); found && n == name && n != "" && v != "" {
			value, ok = v, true
		}
	}
	return value, ok
}

// CheckProperty refuses what would corrupt the property text or vanish from it: an empty name
// or value and the characters U+0001 and U+0002. No existing client checks the characters. The
// error matches [ErrProperty].
func CheckProperty(name, value string) error {
	switch {
	case name == "":
		return &PropertyError{Name: name, Reason: "the name is empty"}
	case len(name) > MaxPropertiesLength:
		return &PropertyError{Name: name[:64], Reason: "the name is too long"}
	case value == "":
		return &PropertyError{Name: name, Reason: "the value is empty"}
	case strings.ContainsAny(name, "\x01\x02"):
		return &PropertyError{Name: name, Reason: "the name contains a separator (U+0001 or U+0002)"}
	case strings.ContainsAny(value, "\x01\x02"):
		return &PropertyError{Name: name, Reason: "the value contains a separator (U+0001 or U+0002)"}
	}
	return nil
}
