package core

import "slices"

// Selection is what a queue selector chooses from: the route's queues with what
// is known about them in this call. It is valid only during Select.
type Selection struct {
	route  *Route
	call   *Call
	health HealthView
}

// Len is the number of queues, at least 1.
func (s *Selection) Len() int { return s.route.Len() }

// Queue is queue i, 0 <= i < Len.
func (s *Selection) Queue(i int) Queue { return s.route.Queue(i) }

// Spread is the index of queue i, 0 <= i < Len, in an order in which neighbours
// are on different brokers as far as that is possible. A selector that goes round
// in this order spreads a few messages over all brokers, and meets one that is
// down soon; in the order of Queue it would stay on one broker for all its queues.
func (s *Selection) Spread(i int) int { return int(s.route.spread[i]) }

// Brokers is the number of brokers, at least 1.
func (s *Selection) Brokers() int { return len(s.route.brokers) }

// Tried reports whether an attempt of this call at queue i's broker has failed.
func (s *Selection) Tried(i int) bool {
	return slices.Contains(s.call.tried, s.route.Broker(i).Name)
}

// Health is the health of queue i's broker: HealthDown if it is absent, HealthGood without a
// health view. It asks the [HealthView], so a selector that is one itself must not hold the lock
// that its own Health method takes.
func (s *Selection) Health(i int) Health {
	if s.route.brokers[s.route.brokerOf[i]].Absent() {
		return HealthDown
	}
	if s.health == nil {
		return HealthGood
	}
	// A panic ends the selector too, but it is not the selector's.
	defer func() {
		if v := recover(); v != nil {
			panic(panicError("health view", v))
		}
	}()
	return s.health.Health(s.route.Broker(i))
}

// Index finds a queue by broker and id, in a static topic by its id alone, or returns -1.
func (s *Selection) Index(q Queue) int { return s.route.Index(q) }

// Message is the message, for reading only; in a batch the first.
func (s *Selection) Message() *Message { return s.call.Message() }

// Topic is the topic that is sent to, with its namespace if it has one.
func (s *Selection) Topic() string { return s.call.Outgoing().Topic() }

// Attempt is the number of the attempt to choose for, from 1.
func (s *Selection) Attempt() int { return s.call.attempts + 1 }

// Route is the route whose queues these are. It is one value for as long as the route stays, so
// a selector can keep what it worked out of a route, and work it out anew when this is another.
func (s *Selection) Route() *Route { return s.route }

// Over is a selection of the same call from the queues of another route, such as some of this
// one's ([Route.Subset]), for a selector that wraps another one. It has a queue at least. An
// index that is chosen from it is the other route's. It is valid as long as s is.
func (s *Selection) Over(r *Route) Selection {
	return Selection{route: r, call: s.call, health: s.health}
}

// Call is the call, for slots.
func (s *Selection) Call() *Call { return s.call }
