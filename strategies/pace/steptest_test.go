package pace_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/steptest"
	"github.com/liftoff-mq/liftoff/strategies/pace"
)

// The step keeps the rules of attempt interceptors and listeners.
func TestRules(t *testing.T) {
	for _, mode := range []core.Mode{core.Sync, core.Oneway} {
		t.Run(mode.String(), func(t *testing.T) {
			steptest.TestStep(t, func(tb steptest.TB) steptest.Step {
				p, err := pace.New(pace.Config{MinWindow: 8, MaxWindow: 8})
				if err != nil {
					tb.Fatalf("%v", err)
				}
				return steptest.Step{Step: p.Step(), Modes: []core.Mode{mode}, MayWait: mode == core.Oneway, Permits: 20}
			})
		})
	}
}
