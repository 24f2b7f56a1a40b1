package conn

import (
	"cmp"
	"maps"
	"slices"
)

// table holds the requests under way on a connection, and the numbers of those that
// were given up. The connection's lock guards it.
type table struct {
	underWay map[int32]*Request // by number; nil when the connection has ended
	// late are the numbers of written requests that were given up, so that their answers
	// are not taken for strays: the newer generation and the older one.
	late [2]map[int32]struct{}
	// refusable is how many one-way requests were written and not refused.
	refusable uint64
}

// maxLate bounds a generation of late, in numbers.
const maxLate = 4096

func newTable() table { return table{underWay: map[int32]*Request{}} }

func (t *table) add(r *Request) { t.underWay[r.Opaque] = r }

// holds reports whether r is under way. If it is not, its outcome has been decided.
func (t *table) holds(r *Request) bool { return t.underWay[r.Opaque] == r }

func (t *table) remove(r *Request) { delete(t.underWay, r.Opaque) }

// removeAll empties the table for good and returns what was in it, oldest first unless the
// numbers have begun anew: callers who waited longer go on first, and a simulation can repeat it.
func (t *table) removeAll() []*Request {
	all := slices.SortedFunc(maps.Values(t.underWay), func(a, b *Request) int { return cmp.Compare(a.Opaque, b.Opaque) })
	t.underWay = nil
	return all
}

// expectLate notes that an answer may come to a request that is no longer under way.
func (t *table) expectLate(opaque int32) {
	if len(t.late[0]) >= maxLate {
		t.late[0], t.late[1] = nil, t.late[0]
	}
	if t.late[0] == nil {
		t.late[0] = map[int32]struct{}{}
	}
	t.late[0][opaque] = struct{}{}
}

// match is what an answer belongs to.
type match uint8

const (
	matchNone    match = iota // nothing that was asked
	matchRequest              // a request under way
	matchLate                 // a request that was given up
	matchOneway               // a one-way request whose number is forgotten
)

// claim finds what the answer with a number belongs to, and takes that out of the table.
// The request is nil unless the match is matchRequest.
//
// A request whose frame was not yet taken for a write cannot have been answered. A
// one-way request can: a broker that sheds load refuses it in spite of its flag (Java:
// BrokerFastFailure). Of the written ones only how many there were is known.
func (t *table) claim(opaque int32) (*Request, match) {
	if r := t.underWay[opaque]; r != nil && r.stage == stageWritten {
		delete(t.underWay, opaque)
		return r, matchRequest
	}
	for _, generation := range t.late {
		if _, ok := generation[opaque]; ok {
			delete(generation, opaque)
			return nil, matchLate
		}
	}
	if t.refusable > 0 {
		t.refusable--
		return nil, matchOneway
	}
	return nil, matchNone
}
