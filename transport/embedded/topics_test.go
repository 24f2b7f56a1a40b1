package embedded_test

import (
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/transport/embedded"
)

func TestTopicsAreNamedOnceAndSorted(t *testing.T) {
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2)})
	before := c.Topics()
	if !slices.Contains(before, "TBW102") {
		t.Errorf("topics at the start: %v, want the system's own", before)
	}
	for topic, brokers := range map[string][]string{"a-everywhere": nil, "zz-one": {"broker-b"}} {
		if err := c.CreateTopic(topic, 4, brokers...); err != nil {
			t.Fatal(err)
		}
	}
	want := append(slices.Clone(before), "a-everywhere", "zz-one")
	slices.Sort(want)
	if got := c.Topics(); !slices.Equal(got, want) {
		t.Errorf("topics %v, want %v", got, want)
	}
}
