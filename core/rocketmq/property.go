package rocketmq

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// The text form of properties is name, NameValueSeparator, value, PropertySeparator
// for each (Java: MessageDecoder.messageProperties2String). There is no way to quote
// the two in a name or value.
const (
	NameValueSeparator = '\x01'
	PropertySeparator  = '\x02'
)

const (
	// ProtocolMaxPropertiesLength is the greatest length of a message's encoded
	// properties that the protocol can express, in bytes: batches and stored messages
	// have a signed 16-bit number for it (Java: MessageDecoder).
	ProtocolMaxPropertiesLength = math.MaxInt16

	// MaxPropertiesLength is the greatest length of encoded properties that a producer
	// should send, in bytes. 512 bytes of the protocol's limit are the broker's: it adds
	// properties of its own, such as region and cluster, 62 bytes by default. What gets
	// too long by that it refuses or, one-way, drops; in a batch it stores it in a form
	// that keeps consumers from everything behind it (4.9.7 and 5.3.3).
	MaxPropertiesLength = ProtocolMaxPropertiesLength - 512
)

// PropertyLength is how many bytes a property takes in the text form: the lengths of
// name and value, and the two separators.
func PropertyLength(nameLen, valueLen int) int { return nameLen + valueLen + 2 }

// HasSeparator reports whether s holds U+0001 or U+0002, which no name or value may.
func HasSeparator(s string) bool {
	return strings.IndexByte(s, NameValueSeparator) >= 0 || strings.IndexByte(s, PropertySeparator) >= 0
}

// ErrProperty is what every [PropertyError] matches.
var ErrProperty = errors.New("bad property")

// PropertyError reports a property that would corrupt the text form or vanish from it.
// It matches [ErrProperty].
type PropertyError struct {
	// Name is the property's name, cut to 64 bytes. Values are not put into errors.
	Name string
	// Reason says what is wrong.
	Reason string
}

// Error gives the name, quoted, and the reason: `property "n": the value is empty`.
func (e *PropertyError) Error() string {
	return "property " + strconv.Quote(e.Name) + ": " + e.Reason
}

// Is makes errors.Is(err, ErrProperty) true.
func (e *PropertyError) Is(target error) bool { return target == ErrProperty }

// CheckProperty refuses what would corrupt the text form or vanish from it: a name
// that is empty or longer than [ProtocolMaxPropertiesLength], an empty value, which
// every decoder skips, and separators in either. No Java client checks the separators.
// The error is a [*PropertyError]. A sound property costs no allocation.
func CheckProperty(name, value string) error {
	switch {
	case name == "":
		return badProperty(name, "the name is empty")
	case len(name) > ProtocolMaxPropertiesLength:
		return badProperty(name, "the name is too long")
	case value == "":
		return badProperty(name, "the value is empty")
	case HasSeparator(name):
		return badProperty(name, "the name contains a separator (U+0001 or U+0002)")
	case HasSeparator(value):
		return badProperty(name, "the value contains a separator (U+0001 or U+0002)")
	}
	return nil
}

func badProperty(name, reason string) error {
	return &PropertyError{Name: name[:min(len(name), 64)], Reason: reason}
}
