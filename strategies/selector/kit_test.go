package selector_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/strategies/strategytest"
)

// Every selector keeps the rules, and so does each around a random one and around a hash.
func TestRules(t *testing.T) {
	keyed := coretest.Message("x")
	keyed.ShardingKey = "order-42"
	all := maps.Clone(ranked)
	all["healthy"] = func() core.SelectorFactory { return selector.Healthy(coretest.InOrder()) }
	narrow := []string{"healthy", "zone", "zone around a hash"} // they use some queues only while all are well
	for f := selector.HashJava; f <= selector.HashRendezvous; f++ {
		all["hash "+f.String()] = func() core.SelectorFactory { return made(t)(selector.NewHash(selector.HashConfig{Function: f})) }
	}
	for name, wrap := range around(t) {
		all[name] = func() core.SelectorFactory { return wrap(selector.Random()) }
		all[name+" around a hash"] = func() core.SelectorFactory { return wrap(selector.Hash()) }
	}
	all["zone"] = func() core.SelectorFactory { return zone(t, selector.ZoneConfig{Brokers: []string{"a"}}) }
	all["zone around a hash"] = func() core.SelectorFactory {
		return zone(t, selector.ZoneConfig{Brokers: []string{"a"}, Inner: selector.Hash()})
	}
	for i, name := range slices.Sorted(maps.Keys(all)) {
		newFactory := all[name]
		t.Run(name, func(t *testing.T) {
			if race.Enabled && i%4 != 0 {
				t.Skip("three of four are for the run without the race detector, which is ten times as slow")
			}
			strategytest.TestSelector(t, newFactory, strategytest.SelectorOptions{Keyed: keyed, Narrow: slices.Contains(narrow, name)})
		})
	}
}
