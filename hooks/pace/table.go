package pace

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
)

// table maps names to brokers, for as long as a route leads to them. Reading takes
// no lock and allocates nothing: the map is copied when it changes, which is when
// a broker is met for the first time or leaves the routes.
type table struct {
	make    func(name string) *broker // runs under the lock
	entries atomic.Pointer[map[string]*broker]

	mu     sync.Mutex
	routes map[string]int // broker -> topics whose route leads to it
}

// get returns the broker and makes it if there is none.
func (t *table) get(name string) *broker {
	if b := t.all()[name]; b != nil {
		return b
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.all()[name]; b != nil {
		return b
	}
	old := t.all()
	m := make(map[string]*broker, len(old)+1)
	maps.Copy(m, old)
	b := t.make(name)
	m[name] = b
	t.entries.Store(&m)
	return b
}

// all returns the table as it is now, for reading only.
func (t *table) all() map[string]*broker {
	if m := t.entries.Load(); m != nil {
		return *m
	}
	return nil
}

// routeChanged drops the brokers to which no topic's route leads any more. It
// counts instead of remembering routes, so that reports of one topic may overtake
// each other.
func (t *table) routeChanged(r *core.RouteReport) {
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
	kept := make(map[string]*broker, len(t.all()))
	for name, b := range t.all() {
		if t.routes[name] > 0 {
			kept[name] = b
		}
	}
	if len(kept) < len(t.all()) {
		t.entries.Store(&kept)
	}
}

// count keeps negative numbers too: the report that balances them is under way.
func (t *table) count(name string, by int) {
	if t.routes == nil {
		t.routes = map[string]int{}
	}
	if n := t.routes[name] + by; n != 0 {
		t.routes[name] = n
	} else {
		delete(t.routes, name)
	}
}
