package retry

import (
	"maps"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// None makes one attempt and no other. What a breaker refuses is no attempt: the producer goes
// on to the next broker all the same.
func None() core.RetryPolicy { return none{} }

type none struct{}

// Next implements [core.RetryPolicy].
func (none) Next(*core.Failure) core.Decision { return core.Decision{} }

// Describe implements [core.Describer].
func (none) Describe() core.Description { return core.Description{Summary: "none: one attempt"} }

// Limit bounds the retries of a policy by what went wrong. After a failure of a class that most
// names, inner is asked only if the call has made fewer retries so far than most says, whatever
// those were for. Other classes are left to inner, and no limit makes it retry what it does not.
//
//	retry.Limit(retry.AtLeastOnce(retry.Retries(5)), map[core.Class]int{core.ClassTimeout: 1})
//
// retries up to five times, but a time-out only as the first failure. [core.ClassNone] is what a
// message has that is stored with a weaker status. A number below 0 counts as 0. The map is copied.
//
// A nil policy is a mistake: the result is nil then, and a producer refuses it by the name of its
// field.
func Limit(inner core.RetryPolicy, most map[core.Class]int) core.RetryPolicy {
	if absent.Is(inner) {
		return (*limit)(nil)
	}
	return &limit{inner, maps.Clone(most)}
}

// limit is what Limit makes.
type limit struct {
	inner core.RetryPolicy
	most  map[core.Class]int
}

// Next implements [core.RetryPolicy].
func (l *limit) Next(f *core.Failure) core.Decision {
	if n, ok := l.most[f.Class]; ok && f.Attempt > n {
		return core.Decision{}
	}
	return l.inner.Next(f)
}
