package core

import (
	"fmt"
	"slices"
)

// Route says to which queues a topic's messages can go, and where their brokers
// are. It is immutable and safe for concurrent use.
type Route struct {
	queues   []Queue
	brokerOf []int32 // queue index -> broker index
	brokers  []Broker
}

// Broker is a master broker of a route.
type Broker struct {
	Name    string
	Addr    string // host:port
	Cluster string
}

// NewRoute makes a route of writable queues, in the order in which a
// round-robin should meet them. Every queue's broker must be among brokers, and
// brokers must have unique names; both lists are copied.
func NewRoute(queues []Queue, brokers []Broker) (*Route, error) {
	r := &Route{queues: slices.Clone(queues), brokers: slices.Clone(brokers), brokerOf: make([]int32, len(queues))}
	index := make(map[string]int32, len(brokers))
	for i, b := range brokers {
		if _, dup := index[b.Name]; dup {
			return nil, fmt.Errorf("route: broker %q twice", b.Name)
		}
		if b.Addr == "" {
			return nil, fmt.Errorf("route: broker %q without address", b.Name)
		}
		index[b.Name] = int32(i)
	}
	for i, q := range queues {
		b, ok := index[q.Broker]
		if !ok {
			return nil, fmt.Errorf("route: queue %v of an unknown broker", q)
		}
		if q.ID < 0 {
			return nil, fmt.Errorf("route: negative queue id in %v", q)
		}
		r.brokerOf[i] = b
	}
	return r, nil
}

// Len is the number of writable queues.
func (r *Route) Len() int { return len(r.queues) }

// Queue returns queue i, 0 <= i < Len.
func (r *Route) Queue(i int) Queue { return r.queues[i] }

// Broker returns the broker of queue i.
func (r *Route) Broker(i int) Broker { return r.brokers[r.brokerOf[i]] }

// Brokers returns a copy of the brokers.
func (r *Route) Brokers() []Broker { return slices.Clone(r.brokers) }

// Index finds a queue, or -1.
func (r *Route) Index(q Queue) int { return slices.Index(r.queues, q) }

// Equal reports whether both routes lead to the same queues at the same places.
func (r *Route) Equal(o *Route) bool {
	if r == nil || o == nil {
		return r == o
	}
	return slices.Equal(r.queues, o.queues) && slices.Equal(r.brokers, o.brokers)
}
