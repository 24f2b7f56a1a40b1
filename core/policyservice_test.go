package core_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) write(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// take gives what was written since the last time.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := strings.Join(j.lines, ", ")
	j.lines = nil
	return out
}

// unit is a service that writes down its life.
type unit struct {
	name    string
	journal *journal
	start   func(ctx context.Context) error
	stop    func(ctx context.Context) error
}

func (u *unit) Start(ctx context.Context) error {
	u.journal.write("start " + u.name)
	if u.start == nil {
		return nil
	}
	return u.start(ctx)
}

func (u *unit) Shutdown(ctx context.Context) error {
	u.journal.write("stop " + u.name)
	if u.stop == nil {
		return nil
	}
	return u.stop(ctx)
}

// retryUnit is a retry policy that is a service; others are strategies and steps.
type (
	retryUnit struct {
		core.RetryPolicy
		*unit
	}
	healthUnit struct{ *unit }
	stepUnit   struct {
		core.Interceptor
		*unit
	}
	everything struct {
		passing
		healthUnit
	}
)

func (healthUnit) Health(core.Broker) core.Health { return core.HealthGood }

// policyOf is a policy whose retry strategy is the service u.
func policyOf(u *unit) *core.Policy {
	return &core.Policy{Name: u.name, Retry: &retryUnit{coretest.NoRetry(), u}}
}

func tableOf(u *unit) *core.PolicyTable { return &core.PolicyTable{Default: policyOf(u)} }

// running makes a producer on a gate that lets sends through when the test wants.
func running(t *testing.T, g *gate, source core.PolicySource) *core.Producer {
	t.Helper()
	cfg := g.config(10, 10)
	cfg.Policies = source
	cfg.Timeout = time.Hour
	p, err := core.NewProducer(cfg)
	if err == nil {
		err = p.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (j *journal) expect(t *testing.T, when, want string) {
	t.Helper()
	if got := j.take(); got != want {
		t.Errorf("%s: %q, want %q", when, got, want)
	}
}

// Own services come first, then the steps' by name, then the strategies'. A value that is
// several of these has one life.
func TestServicesHaveOneLife(t *testing.T) {
	j := &journal{}
	own, step, both, retry := &unit{name: "own", journal: j}, &unit{name: "step", journal: j}, &everything{healthUnit: healthUnit{&unit{name: "both", journal: j}}}, &retryUnit{coretest.NoRetry(), &unit{name: "retry", journal: j}}
	cfg := coretest.Config(&coretest.Transport{},
		core.CallStep("z.step", core.StageGuard, &stepUnit{passing{}, step}),
		core.CallStep("a.both", core.StageGuard, both).WithAttempt(core.AttemptGuard, both),
	)
	cfg.Own = []core.Service{own}
	cfg.Health, cfg.Retry = both, retry
	cfg.Policies = &core.PolicyTable{Default: &core.Policy{Name: "one"}, ByTopic: map[string]*core.Policy{"T": {Name: "two"}}}
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	j.expect(t, "made", "")
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "started", "start own, start both, start step, start retry")
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "shut down", "stop retry, stop step, stop both, stop own")
}

// A service that cannot be compared could not be told from itself.
func TestServicesCanBeCompared(t *testing.T) {
	type odd struct {
		healthUnit
		_ []int
	}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Health = odd{healthUnit: healthUnit{&unit{journal: &journal{}}}}
	_, err := core.NewProducer(cfg)
	if err == nil || !strings.Contains(err.Error(), `health of policy "default": core_test.odd is a service that cannot be compared`) {
		t.Errorf("got %v", err)
	}
}

// What a service must not do to the others.
func TestServiceFailsToStart(t *testing.T) {
	boom := errors.New("boom")
	for name, start := range map[string]func(context.Context) error{
		"error": func(context.Context) error { return boom },
		"panic": func(context.Context) error { panic(boom) },
		"time":  func(ctx context.Context) error { <-ctx.Done(); return boom },
	} {
		for _, when := range []string{"Start", "SetPolicies"} {
			t.Run(when+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					j := &journal{}
					first := &unit{name: "first", journal: j, stop: func(ctx context.Context) error { return ctx.Err() }}
					bad := &unit{name: "bad", journal: j, start: start}
					source := &core.PolicyTable{Default: policyOf(bad), ByTopic: map[string]*core.Policy{"T": policyOf(first)}}
					cfg := coretest.Config(&coretest.Transport{})
					if when == "Start" {
						cfg.Policies = source
					}
					p, err := core.NewProducer(cfg)
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					if when == "Start" {
						err = p.Start(ctx)
					} else {
						if err := p.Start(ctx); err != nil {
							t.Fatal(err)
						}
						err = p.SetPolicies(ctx, source)
					}
					if !errors.Is(err, boom) || errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v", err)
					}
					j.expect(t, "failed", "start first, start bad, stop first")
					if when == "SetPolicies" {
						if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
							t.Errorf("by the old policies: %v", err)
						}
					}
					if err := p.Shutdown(t.Context()); err != nil {
						t.Error(err)
					}
					j.expect(t, "shut down", "")
				})
			})
		}
	}
}

// The services of new policies run before the change, those of the old ones until the last
// call that began by them has ended.
func TestServicesOfReplacedPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, g := &journal{}, newGate()
		a, b := &unit{name: "a", journal: j}, &unit{name: "b", journal: j}
		tableA, tableB := tableOf(a), tableOf(b)
		p := running(t, g, tableA)
		j.expect(t, "started", "start a")
		outcome := make(chan error, 1)
		send := func() {
			p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { outcome <- err })
			synctest.Wait()
		}
		set := func(table *core.PolicyTable, want string) {
			t.Helper()
			if err := p.SetPolicies(t.Context(), table); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			j.expect(t, "replaced", want)
		}
		send() // by a
		set(tableB, "start b")
		set(tableA, "") // a runs still, since a call uses it, and b, since one might
		set(tableB, "")
		g.open <- struct{}{}
		if err := <-outcome; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		j.expect(t, "after the last call", "stop a")
		set(tableB, "")
		set(tableA, "start a, stop b")
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		j.expect(t, "shut down", "stop a")
	})
}

// A service that is taken back while it is being shut down is started again afterwards, or
// not at all where the time ends.
func TestServiceIsWantedWhileItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, g, hold := &journal{}, newGate(), make(chan struct{})
		a := &unit{name: "a", journal: j, stop: func(context.Context) error { <-hold; return nil }}
		c := &unit{name: "c", journal: j}
		tableA, tableB := tableOf(a), tableOf(&unit{name: "b", journal: j})
		p := running(t, g, tableA)
		if err := p.SetPolicies(t.Context(), tableB); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		j.expect(t, "replaced", "start a, start b, stop a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		wanted := &core.PolicyTable{Default: tableA.Default, ByTopic: map[string]*core.Policy{"T": policyOf(c)}}
		if err := p.SetPolicies(ctx, wanted); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		j.expect(t, "out of time", "start c, stop c")
		set := make(chan error)
		go func() { set <- p.SetPolicies(t.Context(), tableA) }()
		synctest.Wait()
		j.expect(t, "waiting", "")
		close(hold)
		if err := <-set; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		j.expect(t, "started again", "start a, stop b")
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		j.expect(t, "shut down", "stop a")
	})
}

// Several changes may wait for the end of calls, each with its own services.
func TestServicesOfSeveralChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, g, hold := &journal{}, newGate(), make(chan struct{})
		slow := &unit{name: "slow", journal: j, stop: func(context.Context) error { <-hold; return nil }}
		tableB, tableC := tableOf(&unit{name: "b", journal: j}), tableOf(&unit{name: "c", journal: j})
		p := running(t, g, tableOf(slow))
		set := func(table *core.PolicyTable, want string) {
			t.Helper()
			if err := p.SetPolicies(t.Context(), table); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			j.expect(t, "replaced", want)
		}
		set(tableB, "start slow, start b, stop slow")
		p.SendAsync(t.Context(), coretest.Message("x"), nil)
		synctest.Wait()
		set(tableC, "start c") // b waits for the call
		close(hold)            // slow is over
		synctest.Wait()
		set(tableB, "") // b runs still
		g.open <- struct{}{}
		synctest.Wait()
		j.expect(t, "after the call", "stop c")
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		j.expect(t, "shut down", "stop b")
	})
}

// A change that fails gives services that were taken back to their end again.
func TestServiceTakenBackForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, g := &journal{}, newGate()
		a, boom := &unit{name: "a", journal: j}, errors.New("boom")
		bad := &unit{name: "bad", journal: j, start: func(context.Context) error { return boom }}
		tableA, tableB := tableOf(a), tableOf(&unit{name: "b", journal: j})
		p := running(t, g, tableA)
		p.SendAsync(t.Context(), coretest.Message("x"), nil)
		synctest.Wait()
		if err := p.SetPolicies(t.Context(), tableB); err != nil {
			t.Fatal(err)
		}
		j.expect(t, "replaced", "start a, start b")
		wanted := &core.PolicyTable{Default: policyOf(bad), ByTopic: map[string]*core.Policy{"T": tableA.Default}}
		if err := p.SetPolicies(t.Context(), wanted); !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		j.expect(t, "failed", "start bad")
		g.open <- struct{}{}
		synctest.Wait()
		j.expect(t, "after the last call", "stop a")
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		j.expect(t, "shut down", "stop b")
	})
}

// A service of an old policy that is still in use when the producer ends is shut down with
// it: after the calls, before the owned services.
func TestShutdownWithServicesOfReplacedPolicies(t *testing.T) {
	for _, abort := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			j, g := &journal{}, newGate()
			do := g.Do
			g.Do = func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
				res, err := do(ctx, at)
				time.Sleep(10 * time.Millisecond) // also an abort takes its time to arrive
				return res, err
			}
			cfg := g.config(10, 10)
			cfg.Timeout = time.Hour
			cfg.Own = []core.Service{&unit{name: "own", journal: j}}
			cfg.Policies = tableOf(&unit{name: "a", journal: j})
			p, err := core.NewProducer(cfg)
			if err == nil {
				err = p.Start(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			p.SendAsync(t.Context(), coretest.Message("x"), func(core.Result, error) { j.write("done") })
			synctest.Wait()
			if err := p.SetPolicies(t.Context(), tableOf(&unit{name: "b", journal: j})); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if !abort {
				time.AfterFunc(time.Second, func() { g.open <- struct{}{} })
			}
			if err := p.Shutdown(ctx); (err != nil) != abort {
				t.Error(err)
			}
			if got, want := j.take(), "start own, start a, start b, done, stop a, stop b, stop own"; got != want {
				t.Errorf("abort %v: %q, want %q", abort, got, want)
			}
		})
	}
}

// A service that panics or does not end when it is shut down costs nobody else anything.
func TestServiceEndsBadly(t *testing.T) {
	t.Run("panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			j, logs := &journal{}, &logLines{}
			bad := &unit{name: "bad", journal: j, stop: func(context.Context) error { panic("boom") }}
			cfg := coretest.Config(&coretest.Transport{})
			cfg.Logger = logs.logger()
			cfg.Policies = &core.PolicyTable{Default: policyOf(bad), ByTopic: map[string]*core.Policy{"T": policyOf(&unit{name: "good", journal: j})}}
			p, err := core.NewProducer(cfg)
			if err == nil {
				err = p.Start(t.Context())
			}
			if err == nil {
				err = p.SetPolicies(t.Context(), &core.PolicyTable{Default: &core.Policy{Name: "new"}})
			}
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			j.expect(t, "replaced", "start good, start bad, stop bad, stop good")
			if n := logs.count("a service of a replaced policy did not shut down"); n != 1 {
				t.Errorf("%d warnings", n)
			}
			if err := p.SetPolicies(t.Context(), tableOf(bad)); err != nil {
				t.Error(err)
			}
			var pe *core.PanicError
			if err := p.Shutdown(t.Context()); !errors.As(err, &pe) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("never", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hold := make(chan struct{})
			stuck := &unit{name: "stuck", journal: &journal{}, stop: func(context.Context) error { <-hold; return nil }}
			p := running(t, newGate(), tableOf(stuck))
			if err := p.SetPolicies(t.Context(), tableOf(&unit{name: "b", journal: &journal{}})); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second) // longer than the service may take
			start := time.Now()
			if err := p.Shutdown(t.Context()); err == nil || !strings.Contains(err.Error(), "left behind services of replaced policies") {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("Shutdown waited %v", took)
			}
			close(hold)
		})
	})
}

// Before Start a change only changes what Start will do.
func TestSetPoliciesBeforeStart(t *testing.T) {
	j := &journal{}
	cfg := coretest.Config(&coretest.Transport{})
	cfg.Policies = tableOf(&unit{name: "a", journal: j})
	p, err := core.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.SetPolicies(t.Context(), tableOf(&unit{name: "b", journal: j})); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "replaced", "")
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "started", "start b")
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.expect(t, "shut down", "stop b")
	if got := p.Snapshot().Policies; !slices.Equal(got, []string{"b"}) {
		t.Errorf("policies %v", got)
	}
}

// A producer that has ended takes no policies, and starts none of their services.
func TestSetPoliciesTooLate(t *testing.T) {
	j, boom := &journal{}, errors.New("boom")
	for want, start := range map[string]func(context.Context) error{
		"it is shut down":    nil,
		"it is start failed": func(context.Context) error { return boom },
	} {
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Policies = tableOf(&unit{name: "a", journal: &journal{}, start: start})
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err == nil {
			err = p.Shutdown(t.Context())
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := p.SetPolicies(t.Context(), tableOf(&unit{name: "b", journal: j})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		j.expect(t, want, "")
		if got := p.Snapshot().Policies; !slices.Equal(got, []string{"a"}) {
			t.Errorf("policies %v", got)
		}
	}
}

// A change and a Shutdown do not run beside each other: each waits for the other, within
// its context.
func TestSetPoliciesBesideShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, g, hold := &journal{}, newGate(), make(chan struct{})
		p := running(t, g, tableOf(&unit{name: "a", journal: j}))
		slow := &unit{name: "slow", journal: j, start: func(context.Context) error { <-hold; return nil }}
		set := make(chan error, 1)
		go func() { set <- p.SetPolicies(t.Context(), tableOf(slow)) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) || p.State() != core.StateRunning {
			t.Errorf("a Shutdown that does not get its turn: %v, %v", err, p.State())
		}
		end := make(chan error, 1)
		p.SendAsync(t.Context(), coretest.Message("x"), nil) // which holds Shutdown up
		go func() { end <- p.Shutdown(t.Context()) }()
		close(hold)
		if err := <-set; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.SetPolicies(late, tableOf(&unit{name: "late", journal: j})); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a change that does not get its turn: %v", err)
		}
		g.open <- struct{}{}
		if err := <-end; err != nil {
			t.Error(err)
		}
		if got := j.take(); got != "start a, start slow, stop a, stop slow" {
			t.Errorf("%q", got)
		}
	})
}

// Sends that began before a change of policies and after it are all counted.
func TestSendsInFlightAroundAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, g := &journal{}, newGate()
		p := running(t, g, tableOf(&unit{name: "a", journal: j}))
		for i, name := range []string{"b", "c"} {
			p.SendAsync(t.Context(), coretest.Message("x"), nil)
			if err := p.SetPolicies(t.Context(), tableOf(&unit{name: name, journal: j})); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			p.SendAsync(t.Context(), coretest.Message("y"), nil)
			synctest.Wait()
			if n := p.Snapshot().InFlight.Sends; n != 2*(i+1) {
				t.Errorf("%d sends are in flight, want %d", n, 2*(i+1))
			}
		}
		close(g.open)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
