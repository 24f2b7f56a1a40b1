package selector

import (
	"math/bits"

	"github.com/liftoff-mq/liftoff/internal/random"
)

// choice finds, in one walk over candidates, the one of the best rank and of those the one of
// the lowest cost; one of several by chance. The zero choice has seen none.
type choice struct {
	index int
	rank  rank
	cost  float64
	total uint64 // the weights of those that are as good
	state uint64 // of the random numbers
}

// offer shows candidate i. Its weight, at least 1, is its chance among those that are as good.
func (c *choice) offer(i int, r rank, cost float64, weight uint64) {
	switch {
	case c.total == 0:
		c.state = random.Uint64()
	case r > c.rank, r == c.rank && cost > c.cost:
		return
	case r == c.rank && cost == c.cost:
		c.total += weight
		// It takes the place of those before by its part of all. The numbers are SplitMix64's.
		c.state += 0x9e3779b97f4a7c15
		if part, _ := bits.Mul64(mix(c.state), c.total); part < weight {
			c.index = i
		}
		return
	}
	c.index, c.rank, c.cost, c.total = i, r, cost, weight
}
