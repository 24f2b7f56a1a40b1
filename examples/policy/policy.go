package main

import (
	"context"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
)

// vipBroker is the broker that the team keeps for its best customers.
const vipBroker = "broker-vip"

// lanes is a queue selector: orders of VIP customers go to the broker kept for
// them, all others to the rest, in turn. A retry may leave its lane: a stored
// order is worth more than a tidy lane.
type lanes struct{ turn atomic.Uint32 }

// Select scores each queue and takes the best, from a new place each time.
func (l *lanes) Select(_ context.Context, sel *core.Selection) (int, error) {
	vip := sel.Message().Properties["tier"] == "vip"
	start := int(l.turn.Add(1))
	best, bestScore := 0, -1
	for n := range sel.Len() {
		i, score := (start+n)%sel.Len(), 0
		if !sel.Tried(i) && sel.Health(i) != core.HealthDown {
			score += 2
		}
		if vip == (sel.Queue(i).Broker == vipBroker) {
			score++
		}
		if score > bestScore {
			best, bestScore = i, score
		}
	}
	return best, nil
}

// payOnce is a retry policy: what a broker may have stored is never sent again,
// whatever otherwise would say. What was surely not stored may be. This is what
// retry.Safe does, too; here it shows how a policy is written.
func payOnce(otherwise core.RetryPolicy) core.RetryPolicy {
	return core.RetryPolicyFunc(func(f *core.Failure) core.Decision {
		if !f.Certainty.Safe() {
			return core.Decision{} // give up
		}
		return otherwise.Next(f)
	})
}
