package requestreply_test

import (
	"testing"
	"testing/synctest"

	"github.com/liftoff-mq/liftoff/core/requestreply"
	"github.com/liftoff-mq/liftoff/core/steptest"
)

// Calls that are no requests pass the step by the rules of interceptors.
func TestRules(t *testing.T) {
	for _, rule := range steptest.StepRules() {
		t.Run(rule.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rule.Test(t, func(steptest.TB) steptest.Step {
					return steptest.Step{Step: must(requestreply.New(requestreply.Config{})).Step()}
				})
			})
		})
	}
}
