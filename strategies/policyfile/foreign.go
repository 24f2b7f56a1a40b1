package policyfile

import (
	"context"
	"fmt"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// AcceptUnregistered accepts names with a dot that nobody has registered, with any options. It is
// for programs that look at a file and do not send by it, as liftoff policy does: in the place of
// such a part stands a plain one, which says so when it is described. [Policies.Unregistered] tells
// which there are.
func AcceptUnregistered() Option { return func(c *config) { c.foreign = true } }

// foreign stands in for a part of another program's, of whatever kind.
type foreign struct{ name string }

// standIn is such a part as a T.
func standIn[T any](name string) T {
	part, _ := any(foreign{name}).(T)
	return part
}

func (f foreign) Describe() core.Description {
	return core.Description{Summary: fmt.Sprintf("%s, a part of the program's own; a plain one stands here for it", f.name)}
}

func (f foreign) ForTopic(topic string) core.QueueSelector {
	return selector.RoundRobin().ForTopic(topic)
}

func (f foreign) Next(failure *core.Failure) core.Decision { return retry.AtLeastOnce().Next(failure) }
func (f foreign) Pause(*core.Failure) time.Duration        { return 0 }
func (f foreign) Health(core.Broker) core.Health           { return core.HealthGood }
func (f foreign) Withdraw(*core.Failure) bool              { return true }
func (f foreign) Deposit()                                 {}
func (f foreign) Name() string                             { return "zlib" } // which every transport knows
func (f foreign) Append(dst, src []byte) ([]byte, error)   { return append(dst, src...), nil }
func (f foreign) Step() core.Step                          { return core.CallStep(f.name, core.StageGuard, f) }

func (f foreign) Intercept(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
	return next(ctx, call)
}
