package core

import "sync/atomic"

// usage says whether something that is kept per topic is still used. Sends mark it; the
// poller, alone, asks for its age.
type usage struct {
	used atomic.Bool
	idle int // polls in a row without use; the poller's own
}

// mark notes a use. In the steady state it only reads.
func (u *usage) mark() {
	if !u.used.Load() {
		u.used.Store(true)
	}
}

// age counts a poll and gives the number of polls in a row without use.
func (u *usage) age() int {
	if u.used.Swap(false) {
		u.idle = 0
	} else {
		u.idle++
	}
	return u.idle
}
