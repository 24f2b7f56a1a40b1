package wire

import (
	"errors"
	"strconv"
)

// Sentinels for errors.Is. The types below carry the facts.
var (
	// ErrFrame: the byte stream is not a sequence of frames. Its connection cannot be used any longer.
	ErrFrame = errors.New("wire: bad frame")

	// ErrDecode: a header or body has a form that cannot be understood.
	ErrDecode = errors.New("wire: malformed data")

	// ErrLimit: a header or body exceeds a limit of this package. Also matches [ErrDecode].
	ErrLimit = errors.New("wire: limit exceeded")

	// ErrField: a mandatory header field is missing or has a value of the wrong form.
	ErrField = errors.New("wire: bad header field")

	// ErrEncode: a value has no form on the wire.
	ErrEncode = errors.New("wire: cannot be encoded")
)

// LooksTLSAlert is what a peer looks like that speaks TLS and refuses what it got.
const LooksTLSAlert = "a TLS peer sending an alert"

// FrameError reports a stream that is no sequence of frames. It matches [ErrFrame].
type FrameError struct {
	// Length is the announced length of the frame, or of its header where Reason says so.
	Length int64
	// Reason says which rule was broken.
	Reason string
	// Looks names what the peer seems to be ("an HTTP server", "a TLS alert"), or is empty.
	Looks string
}

// Error gives the rule, the length and what the peer looks like.
func (e *FrameError) Error() string {
	s := "wire: bad frame: " + e.Reason + " (" + strconv.FormatInt(e.Length, 10) + ")"
	if e.Looks != "" {
		s += ": the peer looks like " + e.Looks
	}
	return s
}

// Is makes errors.Is(err, ErrFrame) true.
func (e *FrameError) Is(target error) bool { return target == ErrFrame }

// DecodeError reports a header or body that cannot be understood. It matches [ErrDecode], and
// [ErrLimit] when a limit was exceeded.
type DecodeError struct {
	// Part names what was being decoded: "json header", "batch", "route", ...
	Part string
	// Reason says what is wrong.
	Reason string
	// Offset is where in the part, in bytes; -1 when not known.
	Offset int
	// Limit says that the data exceeds a limit instead of being malformed.
	Limit bool
}

// Error gives part, reason and place.
func (e *DecodeError) Error() string {
	s := "wire: " + e.Part + ": " + e.Reason
	if e.Offset >= 0 {
		s += " at byte " + strconv.Itoa(e.Offset)
	}
	return s
}

// Is makes errors.Is(err, ErrDecode) true, and errors.Is(err, ErrLimit) for limits.
func (e *DecodeError) Is(target error) bool {
	return target == ErrDecode || e.Limit && target == ErrLimit
}

// FieldError reports a header field that is missing or has a value of the wrong form. It
// matches [ErrField].
type FieldError struct {
	// Field is the name on the wire, Meaning the long name where they differ.
	Field, Meaning string
	// Reason is "missing" or says what the value should be.
	Reason string
}

// Error gives the field, with both of its names, and the reason.
func (e *FieldError) Error() string {
	s := "wire: header field " + e.Field
	if e.Meaning != "" && e.Meaning != e.Field {
		s += " (" + e.Meaning + ")"
	}
	return s + ": " + e.Reason
}

// Is makes errors.Is(err, ErrField) true.
func (e *FieldError) Is(target error) bool { return target == ErrField }

// EncodeError reports a value that has no form on the wire. It matches [ErrEncode].
type EncodeError struct {
	// What names the value, Reason says why it does not fit.
	What, Reason string
}

// Error gives the value's name and the reason.
func (e *EncodeError) Error() string { return "wire: " + e.What + ": " + e.Reason }

// Is makes errors.Is(err, ErrEncode) true.
func (e *EncodeError) Is(target error) bool { return target == ErrEncode }

func malformed(part, reason string, offset int) error {
	return &DecodeError{Part: part, Reason: reason, Offset: offset}
}

func tooMuch(part, reason string) error {
	return &DecodeError{Part: part, Reason: reason, Offset: -1, Limit: true}
}
