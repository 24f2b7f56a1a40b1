package accumulate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
)

// The step keeps the rules of interceptors: with a short linger time, in which calls go
// together, and with one that is so long that a call waits for others until it ends.
func TestRules(t *testing.T) {
	for linger, skip := range map[time.Duration]map[string]string{
		time.Millisecond: {"I3": "no call waits for long"},
		time.Second:      {"I12": "once others have come, a lone call waits for them"},
	} {
		for _, rule := range steptest.StepRules() {
			t.Run(linger.String()+" "+rule.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rule.Test(t, func(tb steptest.TB) steptest.Step {
						a, err := accumulate.New(accumulate.Config{Linger: linger})
						if err != nil {
							tb.Fatalf("%v", err)
						}
						return steptest.Step{Step: a.Step(), MayWait: true, Skip: skip}
					})
				})
			})
		}
	}
}
