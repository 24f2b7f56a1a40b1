package validate

import (
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
)

// Rule names the kind of rule that a message broke, for programs.
type Rule string

// The rules.
const (
	Required   Rule = "required"   // nil, empty or blank where something must be
	TooLong    Rule = "too-long"   // more than Limit bytes
	BadChar    Rule = "bad-char"   // a character that has no place there
	BadUTF8    Rule = "bad-utf8"   // not valid UTF-8
	Reserved   Rule = "reserved"   // a name that belongs to RocketMQ
	OutOfRange Rule = "range"      // a number or time outside its range
	Conflict   Rule = "conflict"   // two settings that exclude each other
	NoBatch    Rule = "no-batch"   // allowed for single messages only
	NotSingle  Rule = "not-single" // the messages of a batch differ where they must not
)

// Error is one broken rule.
type Error struct {
	// Index is the message's place in its batch, from 0. It is -1 for a single
	// message, and for a rule about a batch as a whole.
	Index int
	// Field is the field of core.Message, with an index or a quoted name where
	// there are several: "Body", "Keys[2]", `Properties["color"]`.
	Field string
	// Rule is what kind of rule was broken.
	Rule Rule
	// Reason says what is wrong and what is allowed.
	Reason string
	// Limit and Actual are the rule's limit and the message's value, in bytes,
	// where the rule is TooLong; zero otherwise.
	Limit, Actual int
}

// Error gives "invalid message: Field reason", with the message's number in a batch.
func (e *Error) Error() string { return core.ErrInvalidMessage.Error() + ": " + e.text() }

func (e *Error) text() string {
	if e.Index >= 0 {
		return fmt.Sprintf("message %d: %s %s", e.Index, e.Field, e.Reason)
	}
	return e.Field + " " + e.Reason
}

// Unwrap gives [core.ErrInvalidMessage].
func (e *Error) Unwrap() error { return core.ErrInvalidMessage }

// Errors are several broken rules of one call, in the order of the messages and
// of their fields. Calls that break more than 16 rules list the first 16.
type Errors []*Error

const maxErrors = 16

// Error lists them on one line.
func (es Errors) Error() string {
	var b strings.Builder
	b.WriteString(core.ErrInvalidMessage.Error())
	for i, e := range es {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(e.text())
	}
	return b.String()
}

// Unwrap gives every error.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// report collects broken rules. Its zero value is empty and allocates nothing.
type report struct {
	index int
	errs  Errors
}

func (r *report) add(field string, rule Rule, format string, args ...any) {
	r.errs = append(r.errs, &Error{Index: r.index, Field: field, Rule: rule, Reason: fmt.Sprintf(format, args...)})
}

func (r *report) tooLong(field string, actual, limit int, what string) {
	r.errs = append(r.errs, &Error{
		Index: r.index, Field: field, Rule: TooLong, Limit: limit, Actual: actual,
		Reason: fmt.Sprintf("%s %d bytes, at most %d are allowed", what, actual, limit),
	})
}

// err gives nil, the one error, or the first of all.
func (r *report) err() error {
	switch n := len(r.errs); {
	case n == 0:
		return nil
	case n == 1:
		return r.errs[0]
	default:
		return r.errs[:min(n, maxErrors)]
	}
}
