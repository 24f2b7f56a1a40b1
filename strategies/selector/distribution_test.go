package selector_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/internal/random"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// The table of docs/strategies.md:
//
//	go test ./strategies/selector -run TestDistribution -picks 1000000 -v
var picks = flag.Int("picks", 10_000, "how many picks TestDistribution makes of each selector and size")

// sizes are brokers with a number of queues each, 1 to 64 queues in all.
var sizes = []struct{ brokers, queues int }{
	{1, 1}, {1, 2}, {1, 64}, {2, 1}, {2, 32}, {3, 4}, {3, 21}, {7, 9}, {8, 8}, {16, 1}, {16, 4},
}

// shown are the sizes of the table.
var shown = []int{5, 8, 10}

// dealer is a selector with what its doc says of its distribution.
type dealer struct {
	name    string
	factory func(brokers []string) core.SelectorFactory
	exact   int                                           // how far a queue may be off; 0: as chance has it
	loose   bool                                          // its doc promises nothing
	share   func(broker int, brokers, queues int) float64 // of a queue; nil: all the same
}

func dealers() []dealer {
	same := func(f func() core.SelectorFactory) func([]string) core.SelectorFactory {
		return func([]string) core.SelectorFactory { return f() }
	}
	half := func(brokers int) int { return (brokers + 1) / 2 }
	list := []dealer{
		{name: "RoundRobin", factory: same(selector.RoundRobin), exact: 1},
		{name: "NewSticky, 100 messages", factory: same(func() core.SelectorFactory { return must(selector.NewSticky(selector.StickyConfig{Messages: 100})) }), exact: 100},
		{name: "Random", factory: same(selector.Random)},
		{
			name: "NewWeighted, weights 1, 2, 3, 1, ...",
			factory: func(names []string) core.SelectorFactory {
				weights := map[string]int{}
				for i, b := range names {
					weights[b] = i%3 + 1
				}
				return must(selector.NewWeighted(selector.WeightedConfig{Weights: weights}))
			},
			share: func(broker, brokers, queues int) float64 {
				sum := 0
				for i := range brokers {
					sum += i%3 + 1
				}
				return float64(broker%3+1) / float64(sum*queues)
			},
		},
		{name: "LeastInFlight, all idle", factory: same(selector.LeastInFlight)},
		{name: "NewPowerOfTwo, all alike", factory: same(ranked["power of two"])},
		{
			name: "Filter on half of the brokers, Random",
			factory: func(names []string) core.SelectorFactory {
				kept := strings.Join(names[:half(len(names))], " ")
				return selector.Filter(selector.Random(), func(q core.Queue) bool { return strings.Contains(kept, q.Broker) })
			},
			share: func(broker, brokers, queues int) float64 {
				if broker >= half(brokers) {
					return 0
				}
				return 1 / float64(half(brokers)*queues)
			},
		},
		{
			name: "NewZone of half of the brokers, RoundRobin", exact: 1,
			factory: func(names []string) core.SelectorFactory {
				return must(selector.NewZone(selector.ZoneConfig{Brokers: names[:half(len(names))]}))
			},
			share: func(broker, brokers, queues int) float64 {
				if broker >= half(brokers) {
					return 0
				}
				return 1 / float64(half(brokers)*queues)
			},
		},
	}
	for f := selector.HashJava; f <= selector.HashRendezvous; f++ {
		for _, kind := range []struct{ name, format string }{{"keys in a row", "order-%[1]d"}, {"random keys", "%016[2]x"}} {
			loose := f == selector.HashJava && kind.name == "keys in a row"
			list = append(list, dealer{name: fmt.Sprintf("NewHash, %v, %s", f, kind.name), loose: loose, factory: func([]string) core.SelectorFactory {
				n := 0
				return must(selector.NewHash(selector.HashConfig{Function: f, Key: func(*core.Message) string {
					n++
					return fmt.Sprintf(kind.format, n, random.Uint64())
				}}))
			}})
		}
	}
	return list
}

// deal counts the queues of n picks, and says how far the worst one is off, in parts of its
// share and in standard deviations of chance.
func deal(t *testing.T, d dealer, brokers_, queues int) (off, sigmas float64, most int) {
	names := brokers(brokers_)
	counts, all := make([]int, brokers_*queues), *picks
	if race.Enabled {
		all = min(all, 2000)
	}
	in(t, situation{routes: coretest.Routes(queues, names...)}, func(ctx context.Context, sel *core.Selection) {
		s := d.factory(names).ForTopic("T")
		for range all {
			counts[pick(t, ctx, s, sel)]++
		}
	})
	for i, n := range counts {
		p := 1 / float64(len(counts))
		if d.share != nil {
			p = d.share(i/queues, brokers_, queues)
		}
		if p == 0 {
			if n > 0 {
				t.Errorf("queue %d got %d picks, want none", i, n)
			}
			continue
		}
		mean := float64(all) * p
		diff := math.Abs(float64(n) - mean)
		off = max(off, diff/mean)
		most = max(most, int(math.Ceil(diff-1e-9)))
		if p < 1 {
			sigmas = max(sigmas, diff/math.Sqrt(mean*(1-p)))
		}
	}
	return off, sigmas, most
}

// Each selector's distribution is what its doc says, for 1 to 64 queues and 1 to 16 brokers. Six
// standard deviations are what chance exceeds once in some hundred million times.
func TestDistribution(t *testing.T) {
	table := "\n| selector | 12 queues, 3 brokers | 64 queues, 8 brokers | 64 queues, 16 brokers |\n| --- | --- | --- | --- |\n"
	for _, d := range dealers() {
		table += "| " + d.name
		for i, size := range sizes {
			off, sigmas, most := deal(t, d, size.brokers, size.queues)
			for _, s := range shown {
				if s == i {
					table += fmt.Sprintf(" | %.2f%% (%.1f σ)", 100*off, sigmas)
				}
			}
			switch {
			case d.exact > 0 && most > d.exact:
				t.Errorf("%s, %v: a queue is off by %d picks, want %d", d.name, size, most, d.exact)
			case d.exact == 0 && !d.loose && sigmas > 6:
				t.Errorf("%s, %v: a queue is off by %.1f standard deviations (%.2f%%)", d.name, size, sigmas, 100*off)
			}
		}
		table += " |\n"
	}
	t.Log(table)
}

// How many keys move when one of 16 brokers with 4 queues each leaves, also for docs/strategies.md.
// It is as many when the broker comes back.
func TestKeysThatMove(t *testing.T) {
	keys, names := numbered(*picks), brokers(16)
	table := "\n| function | the first broker | one in the middle | the last |\n| --- | --- | --- | --- |\n"
	for f := selector.HashJava; f <= selector.HashRendezvous; f++ {
		before := places(t, f, coretest.Routes(4, names...), keys)
		table += "| " + f.String()
		for _, gone := range []int{0, 7, 15} {
			left := append(append([]string(nil), names[:gone]...), names[gone+1:]...)
			moved := 0
			for i, q := range places(t, f, coretest.Routes(4, left...), keys) {
				if q != before[i] {
					moved++
				}
			}
			table += fmt.Sprintf(" | %.2f%%", 100*float64(moved)/float64(len(keys)))
			if f == selector.HashRendezvous || gone == 15 && (f == selector.HashJump || f == selector.HashProxy) {
				checkShare(t, fmt.Sprint(f, " without broker ", gone), moved, len(keys), 1./16)
			} else if moved < len(keys)/4 {
				t.Errorf("%v without broker %d: %d of %d keys move, the doc says that more do", f, gone, moved, len(keys))
			}
		}
		table += " |\n"
	}
	t.Log(table)
}
