package core

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// MessageResult is what became of one message of a batch.
type MessageResult struct {
	// OffsetMessageID and QueueOffset are those of [Result].
	OffsetMessageID string
	QueueOffset     int64
	// Err is why this message was not stored; nil if it is stored.
	Err error
}

// batchAnswer is what a transport says of the messages of a batch, one by one. Mostly it
// says nothing but the ids: they are stored one after the other.
type batchAnswer struct {
	text    string
	find    func(text string, i int) string
	each    []MessageResult
	refused int
}

func (b *batchAnswer) set(i, n int, r MessageResult) {
	if b.each == nil {
		b.each = make([]MessageResult, n)
	}
	if b.each[i].Err == nil && r.Err != nil {
		b.refused++
	}
	b.each[i] = r
}

// result gives message i its own result.
func (b *batchAnswer) result(shared *Result, id MessageID, i int) Result {
	r := *shared
	r.MessageID = id
	if b.each != nil {
		r.OffsetMessageID, r.QueueOffset = b.each[i].OffsetMessageID, b.each[i].QueueOffset
		if b.each[i].Err != nil {
			r.Status = StatusNone
		}
		return r
	}
	if r.QueueOffset >= 0 {
		r.QueueOffset += int64(i)
	}
	switch {
	case b.find != nil:
		r.OffsetMessageID = b.find(b.text, i)
	case i > 0:
		r.OffsetMessageID = "" // the result's is the first message's
	}
	return r
}

func (b *batchAnswer) err(i int) error {
	if b.each == nil {
		return nil
	}
	return b.each[i].Err
}

// BatchResult describes the messages of a batch, in the order in which they were given. It
// keeps once what they share, so it takes the same room for any number of them.
type BatchResult struct {
	shared Result // what the broker said of the whole; its MessageID is the first message's
	n      int
	answer batchAnswer
}

// Len is the number of messages; 0 if the batch failed as a whole.
func (b *BatchResult) Len() int { return b.n }

// At is the result of message i, from 0. It panics if there is no such message. A message
// that the broker refused while it stored others has the status StatusNone.
func (b *BatchResult) At(i int) Result {
	if uint(i) >= uint(b.n) {
		panic("core: no such message in the batch")
	}
	return b.answer.result(&b.shared, b.shared.MessageID.plus(i), i)
}

// Err is why message i is not stored; nil if it is.
func (b *BatchResult) Err(i int) error {
	if uint(i) >= uint(b.n) {
		panic("core: no such message in the batch")
	}
	return b.answer.err(i)
}

// All goes over the results in order.
func (b *BatchResult) All() iter.Seq2[int, Result] {
	return func(yield func(int, Result) bool) {
		for i := range b.n {
			if !yield(i, b.At(i)) {
				return
			}
		}
	}
}

// BatchError is a batch of which a broker stored a part only. [BatchResult] beside it has
// what became of each message.
type BatchError struct {
	// Refused are the numbers of the messages that are not stored, in order.
	Refused []int
	// Errs are their errors, in the same order.
	Errs []error
}

// Error gives the numbers and the first few errors.
func (e *BatchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d messages of the batch were refused", len(e.Refused))
	for i, n := range e.Refused {
		if i == shownAttempts {
			fmt.Fprintf(&b, "; %d more", len(e.Refused)-i)
			break
		}
		fmt.Fprintf(&b, "; message %d: %v", n, e.Errs[i])
	}
	return b.String()
}

// Unwrap gives the errors.
func (e *BatchError) Unwrap() []error { return slices.Clone(e.Errs) }

// ErrorClass is the class of the first error.
func (e *BatchError) ErrorClass() Class {
	if len(e.Errs) == 0 {
		return ClassUnknown
	}
	return ClassOf(e.Errs[0])
}

// partial is the error of a batch of which some messages were refused.
func (b *batchAnswer) partial() *BatchError {
	e := &BatchError{}
	for i := range b.each {
		if err := b.each[i].Err; err != nil {
			e.Refused, e.Errs = append(e.Refused, i), append(e.Errs, err)
		}
	}
	return e
}
