package limit_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
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
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// All limits together around the real client: one of three brokers hangs for a while. Plain sends
// see no error, and no more are ever in the hung broker than the bulkhead lets in, keyed sends
// included. When it is back everything has room again.
func TestHungBroker(t *testing.T) {
	perSecond := 4000
	if race.Enabled {
		perSecond = 1000
	}
	synctest.Test(t, func(t *testing.T) {
		c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(3), Network: embedded.NewNetwork()})
		if err := c.CreateTopic("T", 4); err != nil {
			t.Fatal(err)
		}
		client, err := remoting.NewClient(remoting.Config{NameServers: c.NameServers(), Dial: c.Dial})
		if err != nil {
			t.Fatal(err)
		}
		breakers, err := breaker.New(breaker.Config{})
		if err != nil {
			t.Fatal(err)
		}
		bulkhead, adaptive := newBulkhead(t, 8), newAdaptive(t, limit.AdaptiveConfig{})
		rate := newRate(t, limit.RateConfig{PerSecond: float64(perSecond)})
		p := coretest.Start(t, core.Config{
			Group: "limited", Timeout: 3 * time.Second, AttemptTimeout: time.Second,
			Transport: client, Routes: client, Own: []core.Service{client},
			Steps:  []core.Step{rate.Step(), bulkhead.Step(), adaptive.Step(), breakers.Step()},
			Health: breakers, Selector: selector.Hash(), Retry: retry.AtLeastOnce(),
		})
		var under, most atomic.Int64
		c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
			if r.Node != "broker-a" {
				return embedded.Delay(ms, embedded.Pass())
			}
			n := under.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.AfterFunc(ms/2, func() { under.Add(-1) }) // before the next attempt can come
			return embedded.Delay(ms, embedded.Pass())
		})
		ctx, cancel := context.WithCancel(bg)
		var all sync.WaitGroup
		var plain, keyed, failed atomic.Int64
		for i := range 40 {
			all.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					m := coretest.Message("x")
					if i%4 == 0 {
						m.ShardingKey = strconv.Itoa(n)
					}
					_, err := p.Send(ctx, m)
					switch {
					case err == nil && m.ShardingKey == "":
						plain.Add(1)
					case err == nil:
						keyed.Add(1)
					case ctx.Err() == nil && m.ShardingKey == "":
						t.Error(err)
					case ctx.Err() == nil:
						failed.Add(1)
					}
				}
			})
		}
		time.Sleep(2 * time.Second)
		if n := most.Load(); n == 0 || n > 8 {
			t.Errorf("%d attempts at a time, at most 8 may be", n)
		}
		c.Broker("broker-a").Pause()
		for range 20 {
			time.Sleep(200 * ms)
			if s := state(bulkhead.States(), "broker-a"); s.UnderWay > 8 {
				t.Errorf("%+v", s)
			}
		}
		c.Broker("broker-a").Resume()
		time.Sleep(8 * time.Second)
		before := keyed.Load()
		time.Sleep(2 * time.Second)
		if keyed.Load() == before {
			t.Error("keyed sends do not get through, though the broker is back")
		}
		cancel()
		all.Wait()
		t.Logf("%d plain and %d keyed sends, %d keyed ones failed", plain.Load(), keyed.Load(), failed.Load())
		// The rate lets through what it does in a second at once, and as much in each of 16.
		if n := int(plain.Load() + keyed.Load() + failed.Load()); n > 17*perSecond || int(plain.Load()) < 3*perSecond {
			t.Errorf("%d sends, %d of them plain", n, plain.Load())
		}
		for _, s := range append(bulkhead.States(), adaptive.States()...) {
			if s.UnderWay != 0 || s.Waiting != 0 {
				t.Errorf("room is lost: %+v", s)
			}
		}
	})
}
