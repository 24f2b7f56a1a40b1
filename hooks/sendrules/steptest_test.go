package sendrules_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/sendrules"
)

// The step keeps the rules of interceptors.
func TestStepRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		rules, err := sendrules.New(sendrules.Config{MaxBody: 64 << 10})
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Step{Step: rules.Step(), Refused: []*core.Message{{Topic: "T", Body: make([]byte, 64<<10+1)}}}
	})
}
