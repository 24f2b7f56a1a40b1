// Package perbroker keeps one value for each broker that a strategy knows of,
// for as long as a route leads to that broker.
//
// An address and its network are what tells brokers apart ([core.Broker]). Two clusters may
// both have a broker-a, and a strategy that serves producers of both must not mix them up.
package perbroker

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
)

// Table maps brokers to values of type *T. Reading takes no lock and
// allocates nothing: the map is copied when it changes, which is when a broker
// is met for the first time or leaves the routes. It is safe for concurrent use.
type Table[T any] struct {
	create  func(b core.Broker) *T
	entries atomic.Pointer[map[place]entry[T]]

	mu     sync.Mutex
	routes map[place]int // topics whose route leads to it
}

// place is where a broker is found. It tells brokers apart.
type place struct{ addr, network string }

func placeOf(b core.Broker) place { return place{b.Addr, b.Network} }

// entry is a broker, as it was called when it was first met, with its value.
type entry[T any] struct {
	broker core.Broker
	value  *T
}

// New makes an empty table. The function makes the value of a broker that is
// met for the first time; it runs under the table's lock.
func New[T any](create func(b core.Broker) *T) *Table[T] {
	return &Table[T]{create: create, routes: map[place]int{}}
}

// Find returns the broker's value, or nil.
func (t *Table[T]) Find(b core.Broker) *T { return t.load()[placeOf(b)].value }

// Get returns the broker's value and makes it if there is none.
func (t *Table[T]) Get(b core.Broker) *T {
	if v := t.Find(b); v != nil {
		return v
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.Find(b); v != nil {
		return v
	}
	old := t.load()
	m := make(map[place]entry[T], len(old)+1)
	maps.Copy(m, old)
	v := t.create(b)
	m[placeOf(b)] = entry[T]{b, v}
	t.entries.Store(&m)
	return v
}

// All goes over the table as it is now, by name, address and network.
func (t *Table[T]) All() iter.Seq2[core.Broker, *T] {
	list := slices.SortedFunc(maps.Values(t.load()), func(a, b entry[T]) int {
		return cmp.Or(cmp.Compare(a.broker.Name, b.broker.Name), cmp.Compare(a.broker.Addr, b.broker.Addr),
			cmp.Compare(a.broker.Network, b.broker.Network))
	})
	return func(yield func(core.Broker, *T) bool) {
		for _, e := range list {
			if !yield(e.broker, e.value) {
				return
			}
		}
	}
}

// load gives the map, for reading only; nil while the table was never used.
func (t *Table[T]) load() map[place]entry[T] {
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
			t.count(placeOf(b), 1)
		}
	}
	if r.Old != nil {
		for _, b := range r.Old.Brokers() {
			t.count(placeOf(b), -1)
		}
	}
	old := t.load()
	m := make(map[place]entry[T], len(old))
	for at, e := range old {
		if t.routes[at] > 0 {
			m[at] = e
		}
	}
	if len(m) < len(old) {
		t.entries.Store(&m)
	}
}

// count keeps negative numbers too: the report that balances them is under way.
func (t *Table[T]) count(at place, by int) {
	if n := t.routes[at] + by; n != 0 {
		t.routes[at] = n
	} else {
		delete(t.routes, at)
	}
}
