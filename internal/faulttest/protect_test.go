package faulttest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/hooks/accumulate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// A broker is paused for 1.2 s, restarted, and busy for 300 ms, one after the other, under 64
// callers. Plain sends go to the other broker and none fails. Sends that belong to the ill
// broker, by a sharding key or a fixed queue, may fail while it cannot take them, but never
// because of an open breaker, and not later than a second after it is back. None goes to
// another queue.
//
// In every second seed the name server drops the restarted broker from the routes for that
// time, as it does when it sees the connection end; then keys move, as in Java. In every
// third, sends are put together.
func TestBoundSendsOutliveTheirBrokersTrouble(t *testing.T) {
	for seed := range uint64(20) {
		sub(t, fmt.Sprint("seed=", seed), func(t *testing.T) { boundTraffic(t, seed) })
	}
}

// callers is traffic of 64 callers, who note how their sends end.
type callers struct {
	sync.WaitGroup

	mu    sync.Mutex
	sends map[string]int
	place map[string]core.Queue // of each key
	moved map[string]int        // messages that are not where they belong
	bad   []failedSend
}

// failedSend is a send that failed.
type failedSend struct {
	kind string
	at   time.Time
	err  error
}

func boundTraffic(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, 2)
	var opts []liftoff.Option
	if seed%3 == 0 {
		a, err := accumulate.New(accumulate.Config{})
		if err != nil {
			t.Fatal(err)
		}
		opts = append(opts, liftoff.WithSteps(a.Step()))
	}
	p := w.start(t, opts...)
	p.warm(t, w)
	stop := make(chan struct{})
	c := callers{sends: map[string]int{}, place: map[string]core.Queue{}, moved: map[string]int{}}
	for i := range 64 {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)+1))
		c.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rnd.Int64N(int64(100 * time.Millisecond)))):
				}
				c.send(p, i, n)
			}
		})
	}
	// The times at which the broker is well again.
	var back []time.Time
	well := func() {
		back = append(back, time.Now())
		time.Sleep(2*time.Second + time.Duration(rnd.Int64N(int64(5*time.Second))))
	}
	b := w.Broker("broker-b")
	time.Sleep(time.Second)
	b.Pause()
	time.Sleep(1200 * time.Millisecond)
	b.Resume()
	well()
	if seed%2 == 0 {
		b.Stop()
	} else {
		b.Kill()
	}
	time.Sleep(time.Duration(rnd.Int64N(int64(3 * time.Second))))
	if err := b.Start(bg); err != nil {
		t.Fatal(err)
	}
	well()
	sane := w.busy("broker-b")
	time.Sleep(300 * time.Millisecond)
	sane()
	well()
	close(stop)
	c.Wait()
	c.judge(t, back)
	if c.moved["fixed"] > 0 || c.moved["keyed"] > 0 && seed%2 != 0 {
		t.Errorf("messages went to other queues: %v", c.moved)
	}
}

// busy makes a broker refuse what it is sent; "" is every broker.
func (w *world) busy(node string) (sane func()) {
	rule := func(r *embedded.Request) embedded.Action {
		if node != "" && r.Node != node {
			return embedded.Pass()
		}
		return embedded.Reply(rocketmq.CodeSystemBusy, "[PC_SYNCHRONIZED]broker busy")
	}
	single, batch := w.Control(wire.SendMessageV2, rule), w.Control(wire.SendBatchMessage, rule)
	return func() {
		single()
		batch()
	}
}

// send makes one send of caller i: a third of them use a key, a third a queue of broker-b.
func (c *callers) send(p *sender, i, n int) {
	m, kind := msg("x"), "plain"
	switch i % 3 {
	case 0:
		m.ShardingKey, kind = fmt.Sprint("key ", i, n%7), "keyed"
	case 1:
		m.Queue, kind = &core.Queue{Broker: "broker-b", ID: n % 4}, "fixed"
	}
	var err error
	var res core.Result
	switch n % 3 {
	case 0:
		res, err = p.Send(bg, m)
	case 1:
		var all core.BatchResult
		if all, err = p.SendBatch(bg, []*core.Message{m, m}); err == nil {
			res = all.At(1)
		}
	default:
		var one async
		one.send(bg, p.Producer, m)
		end := one.wait()[0]
		res, err = end.res, end.err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sends[kind]++
	switch belongs, known := c.place[m.ShardingKey]; {
	case err != nil:
		c.bad = append(c.bad, failedSend{kind, time.Now(), err})
	case kind == "fixed" && res.Queue != *m.Queue, kind == "keyed" && known && res.Queue != belongs:
		c.moved[kind]++
	case kind == "keyed":
		c.place[m.ShardingKey] = res.Queue
	}
}

func (c *callers) judge(t *testing.T, back []time.Time) {
	failed := map[string]int{}
	for _, f := range c.bad {
		failed[f.kind]++
		var last time.Duration // since the broker is back
		for _, b := range back {
			if f.at.After(b) {
				last = f.at.Sub(b)
			}
		}
		late := last > time.Second
		for i := 1; i < len(back); i++ {
			// A failure in the middle of the next trouble is no late one.
			late = late && !(f.at.After(back[i].Add(-3*time.Second)) && f.at.Before(back[i]))
		}
		if f.kind == "plain" || errors.Is(f.err, core.ErrCircuitOpen) || late {
			t.Errorf("%s, %v after the broker was back: %v", f.kind, last, f.err)
		}
	}
	t.Logf("%v sends, of which %v failed", c.sends, failed)
}

// All brokers are gone for 10 s under 1,000 messages a second: dead, hung or busy. The
// retries must not make a flood of that, and two seconds after the end every send succeeds.
func TestTotalOutageIsNoFlood(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin func(w *world) (end func())
	}{
		{"dead", func(w *world) func() {
			w.each((*embedded.Broker).Kill)
			return func() { w.each(func(b *embedded.Broker) { _ = b.Start(bg) }) }
		}},
		{"hung", func(w *world) func() {
			w.each((*embedded.Broker).Pause)
			return func() { w.each((*embedded.Broker).Resume) }
		}},
		{"busy", func(w *world) func() { return w.busy("") }},
	} {
		for _, keyed := range []bool{false, true} {
			sub(t, fmt.Sprintf("%s/keyed=%v", tt.name, keyed), func(t *testing.T) {
				w := newWorld(t, 2)
				p := w.start(t)
				p.warm(t, w)
				var load async
				during := func(d time.Duration) (messages, attempts int) {
					p.log.take()
					for end := time.Now().Add(d); time.Now().Before(end); messages++ {
						m := msg("x")
						if keyed {
							m.ShardingKey = fmt.Sprint(messages)
						}
						load.send(bg, p.Producer, m)
						time.Sleep(time.Millisecond)
					}
					for _, a := range p.log.take() {
						if !a.abandoned {
							attempts++
						}
					}
					return messages, attempts
				}
				during(10 * time.Second)
				synctest.Wait()
				end := tt.begin(w)
				n, attempts := during(10 * time.Second)
				if attempts > n*12/10 {
					t.Errorf("%d messages made %d requests, want at most 1.2 a message", n, attempts)
				}
				t.Logf("%d messages made %d requests", n, attempts)
				end()
				during(2 * time.Second)
				load.wait()
				var after async
				for i := range 100 {
					m := msg("later")
					if keyed {
						m.ShardingKey = fmt.Sprint(i)
					}
					after.send(bg, p.Producer, m)
				}
				for _, o := range after.wait() {
					if o.err != nil {
						t.Fatalf("two seconds after the outage: %v", o.err)
					}
				}
			})
		}
	}
}

// What one broker's end needs: all that was under way to it goes again to the other one, and
// nothing fails.
func TestRestartUnderFullLoad(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 2)
		p := w.start(t)
		p.warm(t, w)
		w.each((*embedded.Broker).Pause)
		var load sync.WaitGroup
		for range core.DefaultMaxInFlight {
			load.Go(func() {
				if _, err := p.Send(bg, msg("x")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		w.Broker("broker-b").Kill()
		w.Broker("broker-a").Resume()
		load.Wait()
		lost := 0
		for _, a := range p.log.take() {
			if a.broker == "broker-b" && a.err != nil {
				lost++
			}
		}
		if lost < core.DefaultMaxInFlight/3 {
			t.Errorf("only %d attempts were lost with the broker", lost)
		}
	})
}

// What the only broker needs that is busy for 300 ms: 64 callers wait for it, and none fails.
func TestOnlyBrokerIsBusyForAWhile(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 1)
		p := w.start(t)
		p.warm(t, w)
		stop := make(chan struct{})
		var callers sync.WaitGroup
		for i := range 64 {
			callers.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Millisecond):
					}
					m := msg("x")
					if i%2 == 0 {
						m.ShardingKey = fmt.Sprint(i)
					}
					if _, err := p.Send(bg, m); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 3 {
			time.Sleep(5 * time.Second)
			sane := w.busy("")
			time.Sleep(300 * time.Millisecond)
			sane()
		}
		time.Sleep(time.Second)
		close(stop)
		callers.Wait()
	})
}

// Sends that belong to a dead broker used up the retries of those that another broker would
// take when the next one died.
func TestBoundRetriesLeaveTheBudgetToOthers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		w := newWorld(t, 3)
		p := w.start(t)
		p.warm(t, w)
		w.Broker("broker-c").Kill()
		for n := range 4000 {
			m := msg("x")
			m.Queue = &core.Queue{Broker: "broker-c", ID: n % 4}
			if _, err := p.Send(bg, m); core.CertaintyOf(err) != core.NotSent {
				t.Fatal(err)
			}
		}
		w.Broker("broker-b").Kill()
		for range 100 {
			p.ok(t, "plain")
		}
	})
}

// each does something to every broker.
func (w *world) each(do func(*embedded.Broker)) {
	for _, b := range w.Brokers() {
		do(b)
	}
}

// Two clusters have brokers of the same names at the same addresses, each behind a dial
// function of its own, and their producers share breakers. The trouble of one closed the
// brokers of the other.
func TestClustersWithTheSameAddressesShareBreakers(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ill, well := newWorld(t, 2), newWorld(t, 2)
		for i, b := range ill.Brokers() {
			if b.Addr() != well.Brokers()[i].Addr() {
				t.Fatalf("the addresses differ: %s and %s", b.Addr(), well.Brokers()[i].Addr())
			}
		}
		shared, err := breaker.New(breaker.Config{})
		if err != nil {
			t.Fatal(err)
		}
		one, two := ill.start(t, liftoff.WithBreaker(shared)), well.start(t, liftoff.WithBreaker(shared))
		one.warm(t, ill)
		two.warm(t, well)
		ill.Broker("broker-a").Kill()
		for range 20 {
			one.ok(t, "around the dead broker")
		}
		before := len(well.nodes())
		for range 20 {
			two.ok(t, "x")
		}
		if got := well.nodes()[before:]; len(got)-len(slices.DeleteFunc(slices.Clone(got), func(n string) bool { return n == "broker-a" })) != 10 {
			t.Errorf("the healthy cluster's messages went to %v", got)
		}
		var states []string
		for _, s := range shared.States() {
			states = append(states, s.Broker+" "+s.State.String())
		}
		slices.Sort(states)
		if want := []string{"broker-a closed", "broker-a open", "broker-b closed", "broker-b closed"}; !slices.Equal(states, want) {
			t.Errorf("states %q, want %q", states, want)
		}
	})
}
