package validate_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/validate"
)

// The step keeps the rules of interceptors.
func TestRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		v, err := validate.New()
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Step{Step: v.Step(), Refused: []*core.Message{
			{Topic: "", Body: []byte("x")},
			{Topic: "T T", Body: []byte("x")},
			{Topic: "T"},
			{Topic: "T", Body: []byte("x"), Properties: map[string]string{"UNIQ_KEY": "mine"}},
		}}
	})
}
