package conn

// entryKind says what a queued frame is.
type entryKind uint8

const (
	entryRequest entryKind = iota // a request that waits for an answer
	entryOneway                   // a request that ends when it is written
	entryReply                    // an answer to a request of the peer's
)

// entryOf is the kind of a request's frame.
func entryOf(r *Request) entryKind {
	if r.oneway() {
		return entryOneway
	}
	return entryRequest
}

// entry is a queued frame. One without a frame was withdrawn.
type entry struct {
	f      *Frame
	opaque int32 // of the request; 0 for a reply
	kind   entryKind
}

// sendQueue holds the frames that wait to be written, in order. The connection's lock
// guards it. A frame has a position, the number of frames that came before it in the
// connection's life, by which it can be withdrawn.
type sendQueue struct {
	entries  []entry
	head     int    // index of the first entry that was not taken
	base     uint64 // position of entries[0]
	requests int    // entries that are requests and were not withdrawn
	replies  int    // entries that are replies
}

// compactAfter is after how many taken entries the queue moves the rest to the front, so
// that it does not grow at its end while it is never empty.
const compactAfter = 4096

// empty reports whether every entry was taken. Withdrawn ones count until then.
func (q *sendQueue) empty() bool { return q.head == len(q.entries) }

// push puts a frame at the end and returns its position.
func (q *sendQueue) push(e entry) uint64 {
	if e.kind == entryReply {
		q.replies++
	} else {
		q.requests++
	}
	q.entries = append(q.entries, e)
	return q.base + uint64(len(q.entries)-1)
}

// withdraw takes out the frame of a request, which must still be in the queue.
func (q *sendQueue) withdraw(position uint64) *Frame {
	e := &q.entries[position-q.base]
	f := e.f
	*e = entry{}
	q.requests--
	return f
}

// popBatch appends to batch the frames that go out in one write: as many as fit in a number
// of bytes, but one at least if there is one.
func (q *sendQueue) popBatch(batch []entry, bytes int) []entry {
	size, taken := 0, 0
	for ; q.head < len(q.entries); q.head++ {
		e := q.entries[q.head]
		if e.f == nil {
			continue
		}
		if size += len(e.f.B); size > bytes && taken > 0 {
			break
		}
		if e.kind == entryReply {
			q.replies--
		} else {
			q.requests--
		}
		batch = append(batch, e)
		taken++
		q.entries[q.head] = entry{}
	}
	q.compact()
	return batch
}

func (q *sendQueue) compact() {
	if !q.empty() && q.head < compactAfter {
		return
	}
	n := copy(q.entries, q.entries[q.head:])
	clear(q.entries[n:])
	q.base += uint64(q.head)
	q.entries, q.head = q.entries[:n], 0
}

// removeAll empties the queue for good and returns what was in it.
func (q *sendQueue) removeAll() []entry {
	all := q.entries[q.head:]
	*q = sendQueue{}
	return all
}
