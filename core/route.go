package core

import (
	"fmt"
	"slices"

	"github.com/liftoff-mq/liftoff/internal/words"
)

// Route says to which queues a topic's messages can go, and where their brokers
// are. It is immutable and safe for concurrent use.
type Route struct {
	queues   []Queue
	brokerOf []int32 // queue index -> broker index
	spread   []int32 // queue indices, neighbours on different brokers
	brokers  []Broker
	static   bool // the number alone names a queue
}

// Broker is a master broker of a route. Its address and its network tell brokers apart: two
// clusters may use one name, and a broker that moved to another address is another process.
type Broker struct {
	Name    string // unique in its cluster, such as "broker-a"
	Addr    string // in the transport's form, such as host:port; empty if it is absent
	Cluster string // the cluster's name; may be empty
	// Network is empty where an address leads to one and the same broker for everybody in the
	// process. A client that reaches addresses in a way of its own, such as through a tunnel,
	// has a name of its own here, because another client may find another broker there.
	Network string
}

// Absent reports whether the broker has no address now. Its queues are in the route because
// they are the topic's, and keys must not move to others: a send to one of them fails without
// the transport and is certainly not sent.
func (b Broker) Absent() bool { return b.Addr == "" }

// NewRoute makes a route of writable queues, in the order in which a hash meets
// them: Java's is by broker name, then by id. Every queue's broker must be among brokers, and
// brokers must have unique names; one without an address is absent ([Broker.Absent]). Both
// lists are copied. It costs time in proportion to their lengths.
//
// Names, addresses and clusters come from a server and go into errors, logs, metrics and
// snapshots as they are. So a route takes only those that are printable UTF-8 of at most 300
// bytes.
func NewRoute(queues []Queue, brokers []Broker) (*Route, error) {
	r := &Route{queues: slices.Clone(queues), brokers: slices.Clone(brokers), brokerOf: make([]int32, len(queues))}
	index := make(map[string]int32, len(brokers))
	for i, b := range brokers {
		if _, dup := index[b.Name]; dup {
			return nil, fmt.Errorf("route: broker %s twice", words.Quote(b.Name))
		}
		if err := checkNames(b); err != nil {
			return nil, err
		}
		index[b.Name] = int32(i)
	}
	for i, q := range queues {
		b, ok := index[q.Broker]
		if !ok {
			return nil, fmt.Errorf("route: queue %d of the unknown broker %s", q.ID, words.Quote(q.Broker))
		}
		if q.ID < 0 {
			return nil, fmt.Errorf("route: negative queue id in %v", q)
		}
		r.brokerOf[i] = b
	}
	r.spread = alternate(r.brokerOf, len(brokers))
	return r, nil
}

// checkNames refuses a broker whose names cannot be shown to anybody.
func checkNames(b Broker) error {
	for _, n := range [...]struct{ what, name string }{{"the name", b.Name}, {"the address", b.Addr}, {"the cluster", b.Cluster}} {
		if n.name != "" && !words.IsName(n.name) {
			return fmt.Errorf("route: broker %s: %s is not printable text of at most %d bytes: %s",
				words.Quote(b.Name), n.what, words.MaxName, words.Quote(n.name))
		}
	}
	return nil
}

// NewStaticRoute makes a route of the logical queues of a static topic, each with the broker that
// leads it now, in the order of their numbers. The number alone names a queue, so that it stays
// the same one when another broker takes it over: [Route.Index] heeds no broker's name. No number
// may come twice; the other rules are those of [NewRoute].
func NewStaticRoute(queues []Queue, brokers []Broker) (*Route, error) {
	r, err := NewRoute(queues, brokers)
	if err != nil {
		return nil, err
	}
	seen := make(map[int]bool, len(queues))
	for _, q := range queues {
		if seen[q.ID] {
			return nil, fmt.Errorf("route: the number of %v twice in a static topic", q)
		}
		seen[q.ID] = true
	}
	r.static = true
	return r, nil
}

// Subset is a route of the queues with these indices, in this order, and of their brokers. It is
// static if r is. It costs time in proportion to the sizes of both.
func (r *Route) Subset(indices []int) *Route {
	sub := &Route{static: r.static, queues: make([]Queue, len(indices)), brokerOf: make([]int32, len(indices))}
	place := make([]int32, len(r.brokers)) // of r's brokers in sub, from 1
	for i, from := range indices {
		b := r.brokerOf[from]
		if place[b] == 0 {
			sub.brokers = append(sub.brokers, r.brokers[b])
			place[b] = int32(len(sub.brokers))
		}
		sub.queues[i], sub.brokerOf[i] = r.queues[from], place[b]-1
	}
	sub.spread = alternate(sub.brokerOf, len(sub.brokers))
	return sub
}

// alternate orders queues by their place among the queues of their broker, so
// that neighbours are on different brokers as far as that is possible.
func alternate(brokerOf []int32, brokers int) []int32 {
	place := make([]int32, len(brokerOf))
	seen := make([]int32, brokers)
	from := make([]int32, len(brokerOf)+1) // where the queues of a place begin
	for i, b := range brokerOf {
		place[i] = seen[b]
		seen[b]++
		from[seen[b]]++
	}
	for p := 1; p < len(from); p++ {
		from[p] += from[p-1]
	}
	order := make([]int32, len(brokerOf))
	for i, p := range place {
		order[from[p]] = int32(i)
		from[p]++
	}
	return order
}

// Static reports whether the topic is a static one, whose queues are known by their numbers
// alone ([NewStaticRoute]).
func (r *Route) Static() bool { return r.static }

// Len is the number of writable queues.
func (r *Route) Len() int { return len(r.queues) }

// Queue returns queue i, 0 <= i < Len.
func (r *Route) Queue(i int) Queue { return r.queues[i] }

// Broker returns the broker of queue i.
func (r *Route) Broker(i int) Broker { return r.brokers[r.brokerOf[i]] }

// Brokers returns a copy of the brokers.
func (r *Route) Brokers() []Broker { return slices.Clone(r.brokers) }

// named finds a broker by name, unless it is absent.
func (r *Route) named(name string) (Broker, bool) {
	for _, b := range r.brokers {
		if b.Name == name && !b.Absent() {
			return b, true
		}
	}
	return Broker{}, false
}

// Index finds a queue, or -1.
func (r *Route) Index(q Queue) int {
	if r.static {
		return slices.IndexFunc(r.queues, func(o Queue) bool { return o.ID == q.ID })
	}
	return slices.Index(r.queues, q)
}

// Equal reports whether both routes lead to the same queues at the same places.
func (r *Route) Equal(o *Route) bool {
	if r == nil || o == nil {
		return r == o
	}
	return r.static == o.static && slices.Equal(r.queues, o.queues) && slices.Equal(r.brokers, o.brokers)
}
