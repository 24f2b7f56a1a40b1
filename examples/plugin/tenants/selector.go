package tenants

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
)

// Selector gives a tenant's messages to the queues of its brokers in turn. Brokers that are
// healthy and that the call has not tried come first. A message of a tenant that has no broker
// in the route fails with [core.ErrForbidden], not sent. In a batch the first message counts.
func (t *Tenants) Selector() core.SelectorFactory { return (*selectors)(t) }

// selectors makes a selector for each topic.
type selectors Tenants

// ForTopic implements [core.SelectorFactory].
func (s *selectors) ForTopic(string) core.QueueSelector {
	return &selector{(*Tenants)(s), make([]atomic.Uint32, len(s.byName)+1)}
}

// Describe implements [core.Describer].
func (s *selectors) Describe() core.Description {
	return (*Tenants)(s).describe("in turn over the tenant's brokers", func(one *tenant) string {
		return strings.Join(one.brokers, " ")
	})
}

// selector is the selector of one topic, which all sends to it share.
type selector struct {
	tenants *Tenants
	// turns counts the messages of each tenant. With one counter for all, what others send would
	// decide which of its queues a tenant's messages get.
	turns []atomic.Uint32
}

// Select implements [core.QueueSelector].
func (s *selector) Select(_ context.Context, sel *core.Selection) (int, error) {
	tenant, err := s.tenants.of(sel.Message())
	if err != nil {
		return 0, err
	}
	own := 0 // queues at the tenant's brokers
	for i := range sel.Len() {
		if tenant.mayUse(sel.Queue(i).Broker) {
			own++
		}
	}
	if own == 0 {
		return 0, fmt.Errorf("%w: no broker of tenant %q has a queue of topic %q", core.ErrForbidden, tenant.name, sel.Topic())
	}
	turn := int((s.turns[tenant.place()].Add(1) - 1) % uint32(own))
	best, least := -1, 0
	for k, n := 0, 0; k < sel.Len(); k++ {
		i := sel.Spread(k) // neighbours in this order are on different brokers
		if !tenant.mayUse(sel.Queue(i).Broker) {
			continue
		}
		// First how well the broker is, then how far the queue is from the one whose turn it is.
		if cost := grade(sel, i)*own + (n-turn+own)%own; best < 0 || cost < least {
			best, least = i, cost
		}
		n++
	}
	return best, nil
}

// grade is 0 for the best brokers: good, suspect and down ones, and then those that the call
// has tried, in the same order.
func grade(sel *core.Selection, i int) int {
	g := int(sel.Health(i))
	if sel.Tried(i) {
		g += int(core.HealthDown) + 1
	}
	return g
}
