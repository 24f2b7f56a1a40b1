// Package perbroker keeps one value for each broker that a strategy knows of,
// for as long as a route leads to that broker.
package perbroker

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
)

// Table maps broker names to values of type *T. Reading takes no lock and
// allocates nothing: the map is copied when it changes, which is when a broker
// is met for the first time or leaves the routes. It is safe for concurrent use.
type Table[T any] struct {
	make    func(broker string) *T
	entries atomic.Pointer[map[string]*T]

	mu     sync.Mutex
	routes map[string]int // broker -> topics whose route leads to it
}

// New makes an empty table. The function makes the value of a broker that is
// met for the first time; it runs under the table's lock.
func New[T any](make func(broker string) *T) *Table[T] {
	return &Table[T]{make: make, routes: map[string]int{}}
}

// Find returns the broker's value, or nil.
func (t *Table[T]) Find(broker string) *T {
	if m := t.entries.Load(); m != nil {
		return (*m)[broker]
	}
	return nil
}

// Get returns the broker's value and makes it if there is none.
func (t *Table[T]) Get(broker string) *T {
	if v := t.Find(broker); v != nil {
		return v
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.Find(broker); v != nil {
		return v
	}
	old := t.All()
	m := make(map[string]*T, len(old)+1)
	maps.Copy(m, old)
	v := t.make(broker)
	m[broker] = v
	t.entries.Store(&m)
	return v
}

// All returns the table as it is now, for reading only.
func (t *Table[T]) All() map[string]*T {
	if m := t.entries.Load(); m != nil {
		return *m
	}
	return nil
}

// RouteChanged drops the brokers to which no topic's route leads any more.
//
// It counts instead of remembering routes, so that reports of one topic may
// overtake each other, and a table may listen twice to one producer.
func (t *Table[T]) RouteChanged(r *core.RouteReport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.New != nil {
		for _, b := range r.New.Brokers() {
			t.count(b.Name, 1)
		}
	}
	if r.Old != nil {
		for _, b := range r.Old.Brokers() {
			t.count(b.Name, -1)
		}
	}
	gone := 0
	for name := range t.All() {
		if t.routes[name] <= 0 {
			gone++
		}
	}
	if gone == 0 {
		return
	}
	m := make(map[string]*T, len(t.All())-gone)
	for name, v := range t.All() {
		if t.routes[name] > 0 {
			m[name] = v
		}
	}
	t.entries.Store(&m)
}

// count keeps negative numbers too: the report that balances them is under way.
func (t *Table[T]) count(broker string, by int) {
	if n := t.routes[broker] + by; n != 0 {
		t.routes[broker] = n
	} else {
		delete(t.routes, broker)
	}
}
