package selector_test

import (
	"context"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

func TestDescriptions(t *testing.T) {
	const prefers = "prefers brokers that are healthy and not tried yet)"
	const keys = "with a key one queue whatever its broker's health, without a key round-robin, "
	own := factory(func(context.Context, *core.Selection) (int, error) { return 0, nil })
	listens := listeningFactory{&listening{}, &listening{}}
	for _, tt := range []struct {
		f    core.SelectorFactory
		want string
	}{
		{selector.RoundRobin(), "round-robin over queues, neighbours on different brokers (" + prefers},
		{selector.Random(), "random queue (" + prefers},
		{selector.Hash(), "hash of the sharding key, as in Java (" + keys + prefers},
		{selector.HashBy(func(*core.Message) string { return "" }), "hash of a key of the program's own, as in Java (" + keys + prefers},
		{selector.Healthy(own), "core.SelectorFactoryFunc (" + prefers},
		{selector.Healthy(listens), "selector_test.listeningFactory (" + prefers},
		{selector.Healthy(selector.Random()), "random queue (" + prefers},
		{selector.AvoidTried(own), "core.SelectorFactoryFunc (prefers brokers that are not tried yet)"},
		{selector.AvoidTried(selector.Random()), "random queue (" + prefers},
		{selector.Fallback(own, selector.Random()), "a selector, or another where it fails or its broker was tried or is down (first core.SelectorFactoryFunc, second random queue (" + prefers + ")"},
		{
			selector.Filter(selector.Random(), func(core.Queue) bool { return true }),
			"random queue (only queues that the program keeps, " + prefers,
		},
		{weighted(t, 0, map[string]int{"b": 3, "a": 0}), "random broker by weight (weights a 0, b 3, others 1, " + prefers},
		{weighted(t, -1, map[string]int{"b": 3}), "random broker by weight (weights b 3, others 0, " + prefers},
		{sticky(t, selector.StickyConfig{Messages: 10}), "one queue for 10 messages, then the next (next round-robin over queues, neighbours on different brokers (" + prefers + ", leaves a broker that is not healthy or was tried)"},
		{sticky(t, selector.StickyConfig{Messages: 10, For: time.Second, Inner: own}), "one queue for 10 messages or 1s, then the next (next core.SelectorFactoryFunc, leaves a broker that is not healthy or was tried)"},
		{selector.LeastInFlight(), "broker with the fewest attempts under way (" + prefers},
		{
			powerOfTwo(t, selector.PowerOfTwoConfig{}),
			"of two random brokers the one with less latency and fewer attempts under way (latency fades to 1/e in 3s, a failure counts as 1s at least, " + prefers,
		},
		{
			zone(t, selector.ZoneConfig{Brokers: []string{"a", "b-*"}, Inner: selector.LeastInFlight()}),
			"a zone's brokers first (zone a, b-*, spills over where others are healthier or not tried yet, in the zone and outside broker with the fewest attempts under way (" + prefers + ")",
		},
		{hashed(t, selector.HashGo), "hash of the sharding key, as in the Go client (FNV-1a) (" + keys + prefers},
		{hashed(t, selector.HashV5), "hash of the sharding key, as in the v5 clients (SipHash) (" + keys + prefers},
		{hashed(t, selector.HashProxy), "hash of the sharding key, as in the proxy (jump hash of Java's) (" + keys + prefers},
		{hashed(t, selector.HashJump), "hash of the sharding key, jump consistent hash (" + keys + prefers},
		{hashed(t, selector.HashRendezvous), "hash of the sharding key, rendezvous hash (" + keys + prefers},
		{
			made(t)(selector.NewHash(selector.HashConfig{Rest: own})),
			"hash of the sharding key, as in Java (with a key one queue whatever its broker's health, without a key core.SelectorFactoryFunc)",
		},
	} {
		if got := core.Describe(tt.f).String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	random := selector.Random()
	core.Describe(random).Settings[0].Value = "changed"
	if got := core.Describe(random).Settings[0].Value; got == "changed" {
		t.Error("a description can be changed from outside")
	}
}

func hashed(tb testing.TB, f selector.HashFunc) core.SelectorFactory {
	return made(tb)(selector.NewHash(selector.HashConfig{Function: f}))
}
