package selector

import (
	"context"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/random"
)

// throws is how many random queues are looked at before a lap begins. A lap's
// find is biased: the queue behind a down broker's is found more often.
const throws = 8

// Random gives each message to a random queue.
func Random() core.SelectorFactory {
	return &factory{
		core.Description{Summary: "random queue", Settings: []core.Setting{preference}},
		func() core.QueueSelector { return core.QueueSelectorFunc(pickRandom) },
	}
}

func pickRandom(_ context.Context, sel *core.Selection) (int, error) {
	var i int
	for range throws {
		i = random.IntN(sel.Len())
		if rankOf(sel, i) == fresh {
			return i, nil
		}
	}
	i = best(sel, i)
	return i, nil
}
