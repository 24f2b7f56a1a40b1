package limit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/limit"
)

func TestExplore(t *testing.T) {
	for _, tt := range []struct {
		threads int
		each, far time.Duration
	}{
		{1, ms, ms}, {1, 100*time.Microsecond, 200*time.Microsecond}, {4, ms, ms}, {16, 10*ms, ms}, {1, ms, 100*ms}, {200, 100*ms, ms},{1, 10*ms, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(tt.threads, tt.each, tt.far)
			a := newAdaptive(t, limit.AdaptiveConfig{})
			cfg := coretest.Config(world{"broker-a": s}, a.Step())
			cfg.Routes = coretest.Routes(1, "broker-a")
			cfg.Timeout = 5 * time.Minute
			p := coretest.Start(t, cfg)
			var all sends
			stop := time.Now().Add(60 * time.Second)
			done := 0
			for range 500 {
				all.wg.Go(func() {
					for time.Now().Before(stop) {
						if _, err := p.Send(bg, coretest.Message("x")); err != nil { t.Error(err) }
						all.mu.Lock(); done++; all.mu.Unlock()
					}
				})
			}
			for i := range 24 {
				time.Sleep(2500*ms)
				if i == 11 { t.Logf("now 10 times slower; %d done", done); done=0; s.takes(tt.each*10) }
				if i%2==1 { t.Logf("%v %+v", i, a.States()[0]) }
			}
			all.wg.Wait()
			t.Logf("%d threads %v each %v far: %d done of %d", tt.threads, tt.each, tt.far, done, int(30*time.Second/(tt.each*10))*tt.threads)
		})
	}
	_ = core.ErrTimeout
}
