// Package sendrules holds the messages of a program to what its team has agreed on: that each
// has a key, that each has a place in an order, how large a body may be, in which ways messages
// are sent, which tag and properties they carry.
//
// [New] makes a step for the guard stage of message scope, so it runs once a call, in every
// mode, before anything of the message is sent, and within hooks/validate, which has the rules
// of brokers:
//
//	field of Config  rule
//	---------------  -------------------------------------------------------------------
//	Key              at least one of Message.Keys
//	Ordered          a sharding key that the selector keeps in one queue, or a fixed queue
//	MaxBody          at most so many bytes of body, before compression
//	Modes            sent in one of these ways: sync, async, oneway, batch
//	Tag              a tag
//	Properties       all of these
//
// A call that breaks rules fails with one [*Error], or with [Errors] if it breaks several: all
// are reported at once, those of each message of a batch. Either is found with errors.As for
// *Error and with errors.Is for [core.ErrInvalidMessage], so the class is invalid: nothing was
// sent, and no retry can help. The texts name fields, rules and limits, and never hold a body
// or a property's value.
//
// The rules are for every call that goes through the step. Operations, such as a recall, carry
// no message and are not checked. A message that passes costs no allocation.
package sendrules
