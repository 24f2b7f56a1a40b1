package limit

import (
	"fmt"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
)

// All producers agree on a broker's turns by its address, and the turns of brokers differ.
func TestTurns(t *testing.T) {
	made := func(addr string) *follower {
		a, err := NewAdaptive(AdaptiveConfig{})
		if err != nil {
			t.Fatal(err)
		}
		return a.brokers.Get(core.Broker{Addr: addr})
	}
	start := time.Unix(1_700_000_000, 0)
	// next is when the next turn begins.
	next := func(f *follower) time.Duration {
		for d := time.Duration(0); d <= measureEvery; d += time.Millisecond {
			if f.turn(start.Add(d)) != f.turn(start) {
				return d
			}
		}
		t.Fatal("there is no turn within the time of one")
		return 0
	}
	seen := map[time.Duration]bool{}
	for i := range 20 {
		addr := fmt.Sprintf("10.0.0.%d:10911", i)
		at := next(made(addr))
		if again := next(made(addr)); again != at {
			t.Errorf("%s: turns begin after %v and %v", addr, at, again)
		}
		seen[at/time.Second] = true
	}
	if len(seen) < 5 {
		t.Errorf("the turns of 20 brokers begin in %d seconds of 10", len(seen))
	}
}
