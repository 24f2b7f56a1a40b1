// Package random is the chance that Liftoff's decisions use: which queue a selector takes, how
// long a retry or a dial waits. It is math/rand/v2's global source, unless [Seed] replaces it.
// A simulation does so, to repeat what it showed.
//
// It is not for secrets, nor for ids that must not repeat: those are made with crypto/rand.
package random

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// replaced is the seeded generator of the whole process, nil unless [Seed] was called.
var replaced atomic.Pointer[rand.Rand]

// Uint64 is a random number of 64 bits. Like all functions here it is safe for concurrent use.
func Uint64() uint64 {
	if r := replaced.Load(); r != nil {
		return r.Uint64()
	}
	return rand.Uint64()
}

// IntN is a random number from 0 on and below n. It panics if n is not positive.
func IntN(n int) int {
	if r := replaced.Load(); r != nil {
		return r.IntN(n)
	}
	return rand.IntN(n)
}

// Int64N is [IntN] for durations, which are longer than an int on small machines.
func Int64N(n int64) int64 {
	if r := replaced.Load(); r != nil {
		return r.Int64N(n)
	}
	return rand.Int64N(n)
}

// Float64 is a random number from 0 on and below 1.
func Float64() float64 {
	if r := replaced.Load(); r != nil {
		return r.Float64()
	}
	return rand.Float64()
}

// Seed makes all functions follow one sequence, which the seed decides, until restore is
// called; then they go on as before. The sequence is the whole process's: goroutines share it
// in the order in which they ask, under one lock, so a run repeats only if that order does.
// Restore the last seed first. To call restore again changes nothing.
func Seed(seed uint64) (restore func()) {
	// A Rand has no state besides its source, so a source with a lock is enough.
	before := replaced.Swap(rand.New(&locked{source: rand.NewPCG(seed, stream)}))
	return sync.OnceFunc(func() { replaced.Store(before) })
}

// stream is the second half of a PCG's seed, any number that stays.
const stream = 0x9e3779b97f4a7c15

// locked is a source that goroutines can share.
type locked struct {
	mu     sync.Mutex
	source *rand.PCG
}

// Uint64 implements [rand.Source].
func (l *locked) Uint64() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.source.Uint64()
}
