package core

import (
	"iter"
	"strings"
)

// BatchResult describes the messages of a batch that a broker acknowledged, in
// the order in which they were given. It keeps what they share once, so it takes
// the same room for any number of them.
type BatchResult struct {
	shared Result // what the broker said of the whole; its MessageID is the first message's
	n      int
	ids    offsetIDs
}

// Len is the number of messages.
func (b *BatchResult) Len() int { return b.n }

// At is the result of message i, from 0. It panics if there is no such message.
func (b *BatchResult) At(i int) Result {
	if uint(i) >= uint(b.n) {
		panic("core: no such message in the batch")
	}
	return b.ids.result(&b.shared, b.shared.MessageID.plus(i), i)
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

// offsetIDs are the offset ids of a batch's messages, which the broker joins by
// commas. The zero value names none.
type offsetIDs struct {
	joined string
	each   int // the length of one, 0 if they differ
}

// splitOffsetIDs takes the ids of n messages apart. A list that is too long or too
// short names nobody's message.
func splitOffsetIDs(joined string, n int) offsetIDs {
	if n < 2 || strings.Count(joined, ",") != n-1 {
		return offsetIDs{}
	}
	each := strings.IndexByte(joined, ',')
	if len(joined) != n*(each+1)-1 {
		return offsetIDs{joined: joined}
	}
	for at := each; at < len(joined); at += each + 1 {
		if joined[at] != ',' {
			return offsetIDs{joined: joined}
		}
	}
	return offsetIDs{joined: joined, each: each}
}

// at is the id of message i. It is quick where all are of one length, as brokers
// make them.
func (l *offsetIDs) at(i int) string {
	if l.each > 0 {
		from := i * (l.each + 1)
		return l.joined[from : from+l.each]
	}
	id, rest, _ := strings.Cut(l.joined, ",")
	for range i {
		id, rest, _ = strings.Cut(rest, ",")
	}
	return id
}

// result gives message i of a batch its own result. Without ids of their own the
// messages share what the broker said: of a single message, or of a batch that is
// stored as one (an inner batch).
func (l *offsetIDs) result(shared *Result, id MessageID, i int) Result {
	r := *shared
	r.MessageID = id
	switch {
	case l.joined != "":
		r.OffsetMessageID = l.at(i)
		r.QueueOffset += int64(i)
	case strings.Contains(r.OffsetMessageID, ","):
		r.OffsetMessageID = ""
	}
	return r
}
