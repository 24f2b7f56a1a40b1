package sendrules_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/sendrules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRules(tb testing.TB, cfg sendrules.Config) *sendrules.Rules {
	tb.Helper()
	r, err := sendrules.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// config is coretest's, with time to spare: the machine may be slow, and none of these tests
// is about time.
func config(t core.Transport, steps ...core.Step) core.Config {
	cfg := coretest.Config(t, steps...)
	cfg.Timeout, cfg.AttemptTimeout = 5*time.Minute, 5*time.Minute
	return cfg
}
