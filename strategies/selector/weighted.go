package selector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/internal/random"
)

// maxWeight is the largest weight: finer shares than one in a million cannot be seen.
const maxWeight = 1_000_000

// WeightedConfig configures a selector by weights.
//
// It can be decoded from YAML, JSON and environment variables; the tags have the names.
type WeightedConfig struct {
	// Weights are the brokers' weights by name, 0 to 1,000,000. One at least is needed that is not
	// 0, here or in Others.
	Weights map[string]int `json:"weights" yaml:"weights" env:"WEIGHTS"`
	// Others is the weight of each broker that Weights does not name, 1 by default. A negative
	// number means 0.
	Others int `json:"others" yaml:"others" env:"OTHERS"`
}

// UnmarshalJSON refuses unknown members.
func (c *WeightedConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is not zero.
func (c WeightedConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// withDefaults fills the zero values and reports everything that is wrong.
func (c WeightedConfig) withDefaults() (WeightedConfig, error) {
	const hint = "only the proportion of weights counts"
	var errs []error
	positive := false
	c.Weights = maps.Clone(c.Weights)
	for _, name := range slices.Sorted(maps.Keys(c.Weights)) {
		w := c.Weights[name]
		if name == "" {
			errs = append(errs, plausible.Named("Weights", errors.New("has a broker without a name")))
		}
		errs = append(errs, plausible.Named("Weights["+strconv.Quote(name)+"]", plausible.Number(w, 0, maxWeight, hint)))
		positive = positive || w > 0
	}
	switch {
	case c.Others == 0:
		c.Others = 1
	case c.Others < 0:
		c.Others = 0
	}
	errs = append(errs, plausible.Named("Others", plausible.Number(c.Others, 0, maxWeight, hint)))
	switch {
	case len(c.Weights) == 0:
		errs = append(errs, plausible.Named("Weights", errors.New("is empty: name a broker, or use Random, which gives each queue the same")))
	case !positive && c.Others == 0:
		errs = append(errs, errors.New("all weights are 0: no broker would get anything"))
	}
	return c, errors.Join(errs...)
}

// NewWeighted makes a selector that gives brokers shares by their weights: a random broker,
// as often as its weight has it, and of its queues a random one. How many queues a broker has
// does not change its share. It reports all mistakes in cfg at once.
//
// A broker of weight 0 gets nothing as long as another one is left that is not tried and not
// down. So a broker is emptied before it is taken out of service. When a broker ails, the
// healthy others share its part by their weights.
//
// It is for brokers that differ in what they can carry, and does not learn: a weight that is
// wrong stays wrong, where [NewPowerOfTwo] finds out by itself. The shares are those of chance: of
// n messages a broker with the share p gets n*p, with a standard deviation of the square root of
// n*p*(1-p). A pick costs the same for any number of queues and brokers, and where the broker
// ails a look at each broker.
func NewWeighted(cfg WeightedConfig) (core.SelectorFactory, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("selector weighted: %w", err)
	}
	var shares []string
	for _, name := range slices.Sorted(maps.Keys(cfg.Weights)) {
		shares = append(shares, fmt.Sprintf("%s %d", name, cfg.Weights[name]))
	}
	return &factory{
		core.Description{Summary: "random broker by weight", Settings: []core.Setting{
			{Name: "weights", Value: strings.Join(append(shares, fmt.Sprintf("others %d", cfg.Others)), ", ")},
			preference,
		}},
		func() core.QueueSelector {
			w := new(weighted)
			w.drawn.make = func(r *core.Route) *lottery { return newLottery(r, cfg) }
			return w
		},
	}, nil
}

type weighted struct{ drawn perRoute[lottery] }

// Select implements [core.QueueSelector].
func (w *weighted) Select(_ context.Context, sel *core.Selection) (int, error) {
	l := w.drawn.of(sel.Route())
	if len(l.columns) > 0 {
		if g := &l.groups[l.draw(random.Uint64())]; rankOf(sel, g.queues[0]) == fresh {
			return g.any(), nil
		}
	}
	return l.best(sel).any(), nil
}

// any is a random one of the broker's queues.
func (g *group) any() int { return g.queues[random.IntN(len(g.queues))] }

// lottery draws brokers by weight, by the alias method (Walker, Vose): each column has two
// brokers, its own and another one that fills it up.
type lottery struct {
	groups  []group
	weights []uint64 // of groups
	columns []column // none where all weights are 0
}

type column struct {
	own, other int
	share      uint64 // of own, in 1/2^64 of the column
}

func newLottery(r *core.Route, cfg WeightedConfig) *lottery {
	l := &lottery{groups: groupsOf(r)}
	sum := uint64(0)
	for _, g := range l.groups {
		w, named := cfg.Weights[g.broker.Name]
		if !named {
			w = cfg.Others
		}
		l.weights = append(l.weights, uint64(w))
		sum += uint64(w)
	}
	if sum > 0 {
		l.columns = columnsOf(l.weights, sum)
	}
	return l
}

// columnsOf fills as many columns as there are weights, each with as much as their mean. All
// weights are multiplied by the number of columns, so that the mean is the sum, a whole number.
func columnsOf(weights []uint64, sum uint64) []column {
	left := make([]uint64, len(weights))
	var poor, rich []int
	for i, w := range weights {
		if left[i] = w * uint64(len(weights)); left[i] < sum {
			poor = append(poor, i)
		} else {
			rich = append(rich, i)
		}
	}
	columns := make([]column, 0, len(weights))
	for len(poor) > 0 {
		p, r := poor[len(poor)-1], rich[len(rich)-1]
		poor = poor[:len(poor)-1]
		share, _ := bits.Div64(left[p], 0, sum) // below 1, since left < sum
		columns = append(columns, column{p, r, share})
		if left[r] -= sum - left[p]; left[r] < sum {
			rich, poor = rich[:len(rich)-1], append(poor, r)
		}
	}
	for _, r := range rich { // exactly full
		columns = append(columns, column{r, r, math.MaxUint64})
	}
	return columns
}

// draw gives the broker that a random number stands for: its upper part is the column, the
// rest the place in it.
func (l *lottery) draw(number uint64) int {
	i, place := bits.Mul64(number, uint64(len(l.columns)))
	c := &l.columns[i]
	if place < c.share {
		return c.own
	}
	return c.other
}

// best draws by weight among the brokers of the best rank. A broker of weight 0 comes behind
// all others that are not tried and not down.
func (l *lottery) best(sel *core.Selection) *group {
	var least choice
	for i := range l.groups {
		r, w := 2*rankOf(sel, l.groups[i].queues[0]), l.weights[i]
		if w == 0 {
			r, w = max(r, 2*freshSuspect)+1, 1
		}
		least.offer(i, r, 0, w)
	}
	return &l.groups[least.index]
}
