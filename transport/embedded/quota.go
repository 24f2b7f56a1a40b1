package embedded

import (
	"errors"
	"strconv"
	"sync"
)

const (
	// entryBytes is what an entry of a table takes besides its texts, its share of the map's room
	// included.
	entryBytes = 256
	// maxJSONBody is the greatest length of a body in JSON that is read into a table.
	maxJSONBody = 1 << 20
)

var errLongBody = errors.New("the body is longer than " + strconv.Itoa(maxJSONBody) + " bytes")

// quota bounds in bytes what peers can make a broker remember in one table, see
// [Config.MaxTableBytes]. Each table has its own, so that one that is full does not stop the others.
// What is kept is a copy: the texts of a header are parts of one text, which the smallest of them
// would hold as a whole. The table's lock guards its quota.
type quota struct{ used, limit int }

// take reports whether the table has room for n more bytes, and takes them.
func (q *quota) take(n int) bool {
	if q.used+n > q.limit {
		return false
	}
	q.used += n
	return true
}

func (q *quota) give(n int) { q.used -= n }

// bytesUnderWay is a quota with a lock of its own.
type bytesUnderWay struct {
	mu sync.Mutex
	quota
}

func (q *bytesUnderWay) take(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.quota.take(n)
}

func (q *bytesUnderWay) give(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.quota.give(n)
}

// entrySize is what an entry with these texts takes.
func entrySize(texts ...string) int {
	n := entryBytes
	for _, s := range texts {
		n += len(s)
	}
	return n
}
