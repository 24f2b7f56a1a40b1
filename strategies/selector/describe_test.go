package selector_test

import (
	"context"
	"testing"

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
