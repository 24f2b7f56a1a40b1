package selector

import (
	"context"

	"github.com/liftoff-mq/liftoff/core"
)

// LeastInFlight gives each attempt to the broker, among those of the best rank (see the
// package comment), that has the fewest attempts under way, and there to a random queue. Of
// several such brokers it takes a random one.
//
// A slow broker has its attempts under way for longer, so it gets fewer of them: in
// proportion to how fast it answers, as long as many are under way at once. A producer whose
// sends are one after the other has none under way at a choice, and then this is a random
// broker. A hung broker gets as many attempts as the others have under way, and then no
// more. What it does not see is the load that other producers make. A broker that fails at
// once looks idle: use it with a health view, which the default producer has.
//
// Counted is what this factory's selectors chose, over all topics and producers that share
// it. Brokers to which no route leads are forgotten. Where all brokers are idle, each gets the
// same, give or take what chance does (a standard deviation of the square root of n*p*(1-p) for
// n messages and a share p); how many queues a broker has does not change its share. A pick
// costs a look at each broker.
func LeastInFlight() core.SelectorFactory {
	return &leastInFlight{newLoads("least in flight")}
}

type leastInFlight struct{ loads *loads }

// Describe implements [core.Describer].
func (f *leastInFlight) Describe() core.Description {
	return core.Description{Summary: "broker with the fewest attempts under way", Settings: []core.Setting{preference}}
}

// RouteChanged implements [core.RouteListener].
func (f *leastInFlight) RouteChanged(r *core.RouteReport) { f.loads.table.RouteChanged(r) }

// ForTopic implements [core.SelectorFactory].
func (f *leastInFlight) ForTopic(string) core.QueueSelector {
	s := &leastSelector{loads: f.loads}
	s.brokers.make = f.loads.of
	return s
}

type leastSelector struct {
	loads   *loads
	brokers perRoute[loaded]
}

// Select implements [core.QueueSelector].
func (s *leastSelector) Select(_ context.Context, sel *core.Selection) (int, error) {
	at := s.brokers.of(sel.Route())
	var least choice
	for i := range at.groups {
		least.offer(i, rankOf(sel, at.groups[i].queues[0]), float64(at.loads[i].inFlight.Load()), 1)
	}
	s.loads.take(sel.Call(), at.loads[least.index])
	return at.groups[least.index].any(), nil
}

// AttemptDone implements [core.AttemptListener].
func (s *leastSelector) AttemptDone(_ context.Context, r *core.AttemptReport) {
	if _, old := s.loads.done(r.Attempt); old {
		s.brokers.forget()
	}
}
