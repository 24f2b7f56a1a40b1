package limit_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/strategies/limit"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"

	"github.com/liftoff-mq/liftoff/core/coretest"
)

// traffic is what callers saw in a part of an incident.
type traffic struct {
	mu     sync.Mutex
	took   []time.Duration
	sick   int // messages that broker-a took
	errors int
}

func (c *traffic) note(res core.Result, err error, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
	if err != nil {
		c.errors++
	} else if res.Queue.Broker == "broker-a" {
		c.sick++
	}
}

func (c *traffic) percentile(p float64) time.Duration {
	slices.Sort(c.took)
	return c.took[int(p*float64(len(c.took)-1))]
}

const ill, well = 10 * time.Second, 3 * time.Second

// incident is three brokers, each with four threads that take 1 ms for a message, 1 ms away, and
// 64 callers that send one message after the other. After 3 s broker-a takes 50 ms for
// a message, for 10 s: it can do 80 messages a second. It refuses what waits for 200 ms.
func incident(t *testing.T, steps ...core.Step) (before, meanwhile *traffic) {
	synctest.Test(t, func(t *testing.T) {
		w := world{}
		for _, b := range []string{"broker-a", "broker-b", "broker-c"} {
			w[b] = newServer(4, ms, ms)
			w[b].patience = 200 * ms
		}
		cfg := coretest.Config(w, steps...)
		cfg.Routes = coretest.Routes(4, "broker-a", "broker-b", "broker-c")
		cfg.Selector, cfg.Retry = selector.RoundRobin(), retry.AtLeastOnce()
		p := coretest.Start(t, cfg)
		before, meanwhile = new(traffic), new(traffic)
		start := time.Now()

		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				for time.Since(start) < well+ill {
					began := time.Now()
					res, err := p.Send(context.Background(), coretest.Message("x"))
					c := before
					if began.Sub(start) >= well {
						c = meanwhile
					}
					c.note(res, err, time.Since(began))
				}
			})
		}
		time.Sleep(well)
		w["broker-a"].takes(50 * ms)
		all.Wait()
	})
	return before, meanwhile
}

// A broker that becomes slow holds the callers of all brokers without a limit. With one it
// holds a part of them.
func TestSlowBroker(t *testing.T) {
	run := func(name string, steps ...core.Step) (before, meanwhile *traffic) {
		before, meanwhile = incident(t, steps...)
		for i, c := range []*traffic{before, meanwhile} {
			t.Logf("%-12s %-9s %6d/s, p50 %7v, p99 %7v, max %v, %4.1f%% at the sick broker, %d errors", name, []string{"before", "meanwhile"}[i],
				len(c.took)/int([]time.Duration{well, ill}[i]/time.Second), c.percentile(.5).Round(100*time.Microsecond), c.percentile(.99).Round(100*time.Microsecond),
				c.percentile(1).Round(ms), float64(c.sick)*100/float64(len(c.took)), c.errors)
		}
		if before.errors+meanwhile.errors > 0 {
			t.Errorf("%s: %d errors before, %d meanwhile", name, before.errors, meanwhile.errors)
		}
		return before, meanwhile
	}
	_, none := run("none")
	_, bulk := run("bulkhead 24", newBulkhead(t, 24).Step())
	before, adaptive := run("adaptive", newAdaptive(t, limit.AdaptiveConfig{}).Step())
	if n := len(none.took); len(bulk.took) < 8*n || len(adaptive.took) < 8*n {
		t.Errorf("%d messages without a limit, %d with a bulkhead, %d with an adaptive limit", n, len(bulk.took), len(adaptive.took))
	}
	if n := len(before.took) / int(well/time.Second); n < 11_500 {
		t.Errorf("an adaptive limit lets %d messages a second through, the brokers can do 12,000", n)
	}
	if got := len(adaptive.took) / int(ill/time.Second); got < 7_200 {
		t.Errorf("%d messages a second, the two others can do 8,000", got)
	}
	if a, b := adaptive.percentile(.99), bulk.percentile(.99); a > b/2 {
		t.Errorf("a 99th percentile of %v with an adaptive limit, %v with a bulkhead", a, b)
	}
}
