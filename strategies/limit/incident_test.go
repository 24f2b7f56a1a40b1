package limit_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/race"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/limit"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// traffic is what callers saw in a part of an incident.
type traffic struct {
	mu     sync.Mutex
	took   []time.Duration
	slow   int // messages that broker-a took
	errors int
}

func (c *traffic) note(res core.Result, err error, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
	if err != nil {
		c.errors++
	} else if res.Queue.Broker == "broker-a" {
		c.slow++
	}
}

func (c *traffic) percentile(p float64) time.Duration {
	slices.Sort(c.took)
	return c.took[int(p*float64(len(c.took)-1))]
}

const ill, well = 10 * time.Second, 3 * time.Second

// incident is three brokers, each with four threads that take 1 ms for a message, 1 ms away, and
// 64 callers that send one message after the other. After 3 s broker-a takes 50 ms for
// a message, for 10 s: it can do 80 messages a second. It refuses what waits longer than patience, if that
// is not 0.
func incident(t *testing.T, patience time.Duration, health core.HealthView, steps ...core.Step) (before, meanwhile *traffic) {
	synctest.Test(t, func(t *testing.T) {
		w := world{}
		for _, b := range []string{"broker-a", "broker-b", "broker-c"} {
			w[b] = newServer(4, ms, ms)
			w[b].patience = patience
		}
		cfg := coretest.Config(w, steps...)
		cfg.Routes = coretest.Routes(4, "broker-a", "broker-b", "broker-c")
		cfg.Selector, cfg.Retry = selector.RoundRobin(), retry.AtLeastOnce()
		cfg.Health = health
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

// A broker that becomes slow holds the callers of all brokers without a limit, and with a
// breaker too unless it refuses messages. With a limit it holds a part of them.
func TestSlowBroker(t *testing.T) {
	if race.Enabled {
		t.Skip("this is about figures, and has a million sends")
	}
	for name, patience := range map[string]time.Duration{"refuses": 200 * ms, "never refuses": 0} {
		t.Run(name, func(t *testing.T) {
			run := func(name string, breakers *breaker.Breakers, steps ...core.Step) (before, meanwhile *traffic) {
				var health core.HealthView
				if breakers != nil {
					health, steps = breakers, append(steps, breakers.Step())
				}
				before, meanwhile = incident(t, patience, health, steps...)
				for i, c := range []*traffic{before, meanwhile} {
					t.Logf("%-20s %-9s %6d/s, p50 %7v, p99 %7v, max %v, %4.1f%% at the slow broker", name, []string{"before", "meanwhile"}[i],
						len(c.took)/int([]time.Duration{well, ill}[i]/time.Second), c.percentile(.5).Round(100*time.Microsecond),
						c.percentile(.99).Round(100*time.Microsecond), c.percentile(1).Round(ms), float64(c.slow)*100/float64(len(c.took)))
				}
				if before.errors+meanwhile.errors > 0 {
					t.Errorf("%s: %d errors before, %d meanwhile", name, before.errors, meanwhile.errors)
				}
				return before, meanwhile
			}
			breakers := func() *breaker.Breakers {
				b, err := breaker.New(breaker.Config{})
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			_, none := run("none", nil)
			run("breaker", breakers())
			_, bulk := run("bulkhead", nil, newBulkhead(t, 24).Step())
			before, adaptive := run("adaptive", nil, newAdaptive(t, limit.AdaptiveConfig{}).Step())
			_, both := run("adaptive and breaker", breakers(), newAdaptive(t, limit.AdaptiveConfig{}).Step())
			for _, c := range []*traffic{bulk, adaptive, both} {
				if got := len(c.took) / int(ill/time.Second); got < 6_800 || len(c.took) < 8*len(none.took) {
					t.Errorf("%d messages a second; the two others can do 8,000, and without a limit they were %d in all", got, len(none.took))
				}
			}
			if n := len(before.took) / int(well/time.Second); n < 11_500 {
				t.Errorf("an adaptive limit lets %d messages a second through, the brokers can do 12,000", n)
			}
			if a, b := adaptive.percentile(.99), bulk.percentile(.99); a > b/2 {
				t.Errorf("a 99th percentile of %v with an adaptive limit, %v with a bulkhead", a, b)
			}
		})
	}
}
