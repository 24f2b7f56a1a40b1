package requestreply_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is coretest's, with time to spare: the machine may be slow, and none of
// these tests is about time.
func config(t core.Transport, steps ...core.Step) core.Config {
	cfg := coretest.Config(t, steps...)
	cfg.Timeout, cfg.AttemptTimeout = 5*time.Minute, 5*time.Minute
	return cfg
}
