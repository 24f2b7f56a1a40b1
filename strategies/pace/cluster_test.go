package pace_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/pace"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// cluster starts a cluster in virtual time and a producer with a pacer, breakers and the
// usual strategies.
func cluster(t *testing.T, pc *pace.Pacer, brokers int) (*embedded.Cluster, *core.Producer) {
	t.Helper()
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(brokers), Network: embedded.NewNetwork()})
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
	p, err := core.NewProducer(core.Config{
		Group: "paced", Timeout: time.Minute, Transport: client, Routes: client, Own: []core.Service{client},
		Steps: []core.Step{pc.Step(), breakers.Step()}, Health: breakers,
		Selector: selector.RoundRobin(), Retry: retry.AtLeastOnce(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(bg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c, p
}

// shedding makes every broker one that needs a while for each message and drops
// what would wait for more than 200 ms, as real ones do: it answers that it is
// busy where an answer is wanted, and else says nothing.
func shedding(c *embedded.Cluster, each time.Duration) (dropped *atomic.Int64) {
	dropped = new(atomic.Int64)
	var mu sync.Mutex
	free := map[string]time.Time{}
	c.Control(wire.SendMessageV2, func(r *embedded.Request) embedded.Action {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		wait := max(free[r.Node].Sub(now), 0)
		if wait > 200*ms {
			dropped.Add(1)
			if r.Command.IsOneway() {
				return embedded.Hang()
			}
			return embedded.Reply(rocketmq.CodeSystemBusy, "[TIMEOUT_CLEAN_QUEUE]broker busy")
		}
		free[r.Node] = now.Add(wait + each)
		return embedded.Delay(wait+each, embedded.Pass())
	})
	return dropped
}

// Many senders, two brokers that shed load: without the pacer most is lost, with
// it nothing.
func TestClusterShedsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const senders, each = 16, 250
		pc := pacer(t, pace.Config{})
		c, p := cluster(t, pc, 2)
		dropped := shedding(c, ms)
		var all sync.WaitGroup
		for range senders {
			all.Go(func() {
				for range each {
					if err := p.SendOneway(bg, &core.Message{Topic: "T", Body: []byte("x")}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second) // what is in the queues
		if n := len(c.Stored("T")); n != senders*each || dropped.Load() != 0 {
			t.Errorf("%d of %d messages are stored, %d were dropped", n, senders*each, dropped.Load())
		}
		for _, s := range pc.States() {
			if s.Window > 200 || s.Samples != 0 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// A broker that answers late is sent to at its own pace. One that answers nothing
// at all holds no send for longer than it may take.
func TestClusterSlowAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pc := pacer(t, pace.Config{})
		c, p := cluster(t, pc, 1)
		send := func() error {
			return p.SendOneway(bg, &core.Message{Topic: "T", Body: []byte("x")}, core.SendTimeout(3*time.Second))
		}
		for range 1000 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
		before := state(pc, "broker-a").Window
		var slow atomic.Bool
		slow.Store(true)
		c.Control(wire.SendMessageV2, func(*embedded.Request) embedded.Action {
			if slow.Load() {
				return embedded.StoreThen(embedded.Delay(100*ms, embedded.Pass()))
			}
			return embedded.StoreThen(embedded.Hang())
		})
		for range 1000 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
		if after := state(pc, "broker-a").Window; before < 256 || after >= before {
			t.Errorf("the window was %d and is %d", before, after)
		}
		slow.Store(false)
		failed := 0
		for range 100 {
			start := time.Now()
			if err := send(); err != nil {
				failed++
				if core.ClassOf(err) != core.ClassTimeout || core.CertaintyOf(err) != core.MaybeStored {
					t.Error(err)
				}
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("a send took %v", took)
			}
		}
		if failed == 0 || failed > 50 {
			t.Errorf("%d of 100 sends failed", failed)
		}
		synctest.Wait() // the last were only written
		if n := len(c.Stored("T")); n != 2100 {
			t.Errorf("%d messages are stored, want 2100", n)
		}
	})
}
