package forbid_test

import (
	"context"
	"errors"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
)

// The step keeps the rules of attempt interceptors.
func TestRules(t *testing.T) {
	steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
		check, err := forbid.New(forbid.Func("secrets", func(_ context.Context, c *forbid.Context) error {
			if c.Topic() == "Secrets" {
				return errors.New("not from here")
			}
			return nil
		}))
		if err != nil {
			tb.Fatalf("%v", err)
		}
		return steptest.Step{Step: check.Step(), Refused: []*core.Message{{Topic: "Secrets", Body: []byte("x")}}}
	})
}
