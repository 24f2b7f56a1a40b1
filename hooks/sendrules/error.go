package sendrules

import (
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
)

// Rule names the rule that a message broke, for programs.
type Rule string

// The rules.
const (
	NoKey      Rule = "key"      // it has no key
	NoOrder    Rule = "ordered"  // nothing gives it a place in an order
	TooLong    Rule = "max-body" // its body has more than Limit bytes
	WrongMode  Rule = "mode"     // it is sent in a way that is not allowed
	NoTag      Rule = "tag"      // it has no tag
	NoProperty Rule = "property" // it lacks a property
)

// Error is one broken rule.
type Error struct {
	// Index is the message's place in its batch, from 0. It is -1 for a single message, and
	// for a rule about a batch as a whole.
	Index int
	// Field is the field of core.Message, with a quoted name where there are several: "Keys",
	// `Properties["tenant"]`; or "mode" for the way in which it is sent.
	Field string
	// Rule is the rule that was broken.
	Rule Rule
	// Reason says what is wrong and what is allowed.
	Reason string
	// Limit and Actual are the rule's limit and the body's size in bytes where the rule is
	// TooLong; zero otherwise.
	Limit, Actual int
}

// prefix says whose rules they are: a reader who sees the error alone would not look for them in
// a file of policies.
func prefix() string { return core.ErrInvalidMessage.Error() + " by the team's rules: " }

// Error gives "invalid message by the team's rules: Field reason", with the message's number in
// a batch.
func (e *Error) Error() string { return prefix() + e.text() }

func (e *Error) text() string {
	if e.Index >= 0 {
		return fmt.Sprintf("message %d: %s %s", e.Index, e.Field, e.Reason)
	}
	return e.Field + " " + e.Reason
}

// Unwrap gives [core.ErrInvalidMessage].
func (e *Error) Unwrap() error { return core.ErrInvalidMessage }

// Errors are several broken rules of one call, in the order of the messages. Calls that break
// more than 16 rules list the first 16.
type Errors []*Error

const maxErrors = 16

// Error lists them on one line.
func (es Errors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.text()
	}
	return prefix() + strings.Join(texts, "; ")
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

// full reports whether no more are listed.
func (r *report) full() bool { return len(r.errs) >= maxErrors }

// err gives nil, the one error, or the first of all.
func (r *report) err() error {
	switch n := len(r.errs); n {
	case 0:
		return nil
	case 1:
		return r.errs[0]
	default:
		return r.errs[:min(n, maxErrors)]
	}
}
