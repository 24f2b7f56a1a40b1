package namespace_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core/steptest"
)

// The step keeps the rules of interceptors.
func TestRules(t *testing.T) {
	steptest.TestStep(t, func(steptest.TB) steptest.Step {
		return steptest.Step{Step: newNamespace(t, "ns").Step(), ChangesTopic: true}
	})
}
