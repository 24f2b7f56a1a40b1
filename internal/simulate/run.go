package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
)

// Policy is what is simulated: a name for it and the options of its producer.
type Policy struct {
	Name string
	// Options makes the options. It is called in virtual time, once for each run, because
	// strategies remember when they were made; so it must make all of them anew. Waits for
	// anything outside of it, such as a server, would never end.
	Options func() ([]liftoff.Option, error)
}

// FromSource is the policies that load returns, such as those of a file. Load is called as
// [Policy].Options is.
func FromSource(name string, load func() (core.PolicySource, error)) Policy {
	return Policy{name, func() ([]liftoff.Option, error) {
		source, err := load()
		if err != nil {
			return nil, err
		}
		return []liftoff.Option{liftoff.WithPolicies(source)}, nil
	}}
}

// Run runs a scenario with a policy and returns what it showed. Progress, which may be nil, is
// told the virtual time after each second of it. One run at a time is under way in a process:
// others wait. Errors are those of the scenario and of the policy, and ctx's if it ends early.
func Run(ctx context.Context, s Scenario, p Policy, progress func(done time.Duration)) (*Report, error) {
	s = s.WithDefaults()
	if err := s.Check(); err != nil {
		return nil, err
	}
	var report *Report
	err := bubble(s.Seed, func() (err error) {
		report, err = simulate(ctx, &s, p, progress)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("simulate policy %s: %w", p.Name, err)
	}
	return report, nil
}

// ending is how long the producer has for its shutdown, and then late answers for theirs.
const ending = 10 * time.Second

func simulate(outside context.Context, s *Scenario, p Policy, progress func(time.Duration)) (_ *Report, err error) {
	// Nothing here may wait for what is outside of virtual time, so outside is only asked.
	ctx, cancel := context.WithCancel(context.WithoutCancel(outside))
	defer cancel()
	cluster, err := newCluster(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { _ = cluster.Close() }() // its error is always nil
	options, err := p.Options()
	if err != nil {
		return nil, err
	}
	m := newMeter(cluster)
	cfg := liftoff.Config{Group: "simulated", NameServers: cluster.NameServers()}
	cfg.Client.Dial = cluster.Dial
	producer, err := liftoff.New(cfg, append(options, liftoff.WithSteps(core.ListenerStep("simulation", m)))...)
	if err != nil {
		return nil, err
	}
	if err := producer.Start(ctx); err != nil {
		return nil, err
	}
	err = warm(ctx, s, producer, m)
	if err == nil {
		m.begin()
		t := traffic{scenario: s, producer: producer, meter: m}
		err = t.run(ctx, outside, cluster.script(ctx), progress)
	}
	end, stop := context.WithTimeout(ctx, ending)
	defer stop()
	if failed := producer.Shutdown(end); err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	time.Sleep(ending)
	return m.report(p.Name), nil
}

// warm opens the connections, and learns to which broker each key goes.
func warm(ctx context.Context, s *Scenario, p *core.Producer, m *meter) error {
	send := func(i int, key string) (string, error) {
		res, err := p.Send(ctx, &core.Message{Topic: s.Topic, Body: []byte("warm " + strconv.Itoa(i) + key), ShardingKey: key})
		if err != nil {
			return "", fmt.Errorf("a send %s before the incident, to brokers that are all well: %w", kindOf(key), err)
		}
		return res.Queue.Broker, nil
	}
	if s.Keyed < 1 {
		for i := range 2 * queues * s.Brokers {
			if _, err := send(i, ""); err != nil {
				return err
			}
		}
	}
	if s.Keyed > 0 {
		for i := range keyCount {
			home, err := send(i, keyName(i))
			if err != nil {
				return err
			}
			m.homes[i] = home
		}
	}
	return nil
}

func kindOf(key string) string {
	if key == "" {
		return "without a key"
	}
	return "with a key"
}

func keyName(i int) string { return "key-" + strconv.Itoa(i) }

// traffic is the callers, and the incident beside them.
type traffic struct {
	scenario *Scenario
	producer *core.Producer
	meter    *meter
	load     sync.WaitGroup
}

// run makes the traffic until its time is over or outside ends.
func (t *traffic) run(ctx, outside context.Context, script []step, progress func(time.Duration)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for i := range t.scenario.Callers {
		t.load.Go(func() { t.caller(ctx, i) })
	}
	began := time.Now()
	t.load.Go(func() {
		for _, step := range script {
			time.Sleep(step.at - time.Since(began))
			if outside.Err() != nil {
				return
			}
			step.do()
		}
	})
	for done := time.Duration(0); done < t.scenario.Duration && outside.Err() == nil; {
		time.Sleep(min(time.Second, t.scenario.Duration-done))
		done = time.Since(began)
		if progress != nil {
			progress(done)
		}
	}
	stop()
	t.load.Wait()
	return outside.Err()
}

// caller sends one message after the other, with random pauses. Its numbers are its own, so what
// it draws does not depend on the others.
func (t *traffic) caller(ctx context.Context, number int) {
	s := t.scenario
	rnd := rand.New(rand.NewPCG(s.Seed, uint64(number)))
	pause := float64(s.Callers) / s.Rate * float64(time.Second)
	for n := 0; ; n++ {
		time.Sleep(time.Duration(rnd.ExpFloat64() * pause))
		if ctx.Err() != nil {
			return
		}
		msg := &core.Message{Topic: s.Topic, Body: fmt.Appendf(nil, "%d/%d", number, n)}
		key := plain
		if rnd.Float64() < s.Keyed {
			key = rnd.IntN(keyCount)
			msg.ShardingKey = keyName(key)
		}
		began := time.Now()
		// Not with ctx: the last sends are to have their whole time.
		res, err := t.producer.Send(context.WithoutCancel(ctx), msg)
		t.meter.called(key, began, res, err)
	}
}
