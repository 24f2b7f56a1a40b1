package selector

import "github.com/liftoff-mq/liftoff/core"

// rank grades a queue, best first; see the package comment.
type rank uint8

const (
	fresh rank = iota
	freshSuspect
	freshDown
	tried
	triedDown
	worst
)

func rankOf(sel *core.Selection, i int) rank {
	health, isTried := sel.Health(i), sel.Tried(i)
	switch {
	case isTried && health == core.HealthDown:
		return triedDown
	case isTried:
		return tried
	case health == core.HealthGood:
		return fresh
	case health == core.HealthDown:
		return freshDown
	default:
		return freshSuspect
	}
}

// best looks from queue start onwards, one lap at most, for the queue of the
// best rank.
func best(sel *core.Selection, start int) (index int) {
	n := sel.Len()
	var (
		top    = worst
		last   rank
		broker string
	)
	for k, i := 0, start; k < n; k++ {
		// A route mostly lists a broker's queues side by side, so that one
		// judgement serves them all.
		if b := sel.Queue(i).Broker; k == 0 || b != broker {
			broker, last = b, rankOf(sel, i)
		}
		if last < top {
			top, index = last, i
			if top == fresh {
				break
			}
		}
		if i++; i == n {
			i = 0
		}
	}
	return index
}
