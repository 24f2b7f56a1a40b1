package msgtrace_test

import (
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/msgtrace"
)

// The step keeps the rules of attempt and operation interceptors.
func TestRules(t *testing.T) {
	for _, rule := range steptest.StepRules() {
		t.Run(rule.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rule.Test(t, func(tb steptest.TB) steptest.Step {
					trace, err := msgtrace.New(msgtrace.Config{})
					if err != nil {
						tb.Fatalf("%v", err)
					}
					return steptest.Step{Step: trace.Step()}
				})
			})
		})
	}
}
