package core_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// slowRegistrar is a transport whose brokers do not answer when a group leaves.
type slowRegistrar struct{ coretest.Transport }

func (*slowRegistrar) RegisterGroup(context.Context, core.Registration) error { return nil }

func (*slowRegistrar) UnregisterGroup(ctx context.Context, _ string) error {
	<-ctx.Done() // brokers find out by themselves later, so this is no error
	return nil
}

// timed is a service that notes how much time it gets to shut down.
type timed struct{ left time.Duration }

func (*timed) Start(context.Context) error { return nil }

func (s *timed) Shutdown(ctx context.Context) error {
	if d, ok := ctx.Deadline(); ok {
		s.left = time.Until(d)
	}
	return ctx.Err()
}

// Brokers that do not answer the unregistering leave time to close the
// connections to them.
func TestUnregisteringLeavesTimeForTheServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := coretest.Config(&slowRegistrar{})
		s := &timed{}
		cfg.Own = []core.Service{s}
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if s.left <= 0 {
			t.Errorf("the service got %v", s.left)
		}
	})
}

// deafRegistrar does not heed its context.
type deafRegistrar struct {
	slowRegistrar
	release chan struct{}
}

func (r *deafRegistrar) UnregisterGroup(context.Context, string) error {
	<-r.release
	return nil
}

// Of a short context a part that blocks takes no more than half.
func TestAPartThatBlocksLeavesHalfOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &deafRegistrar{release: make(chan struct{})}
		cfg := coretest.Config(tr)
		s := &timed{}
		cfg.Own = []core.Service{s}
		p := must(core.NewProducer(cfg))
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var se *core.ShutdownError
		if err := p.Shutdown(ctx); !errors.As(err, &se) || len(se.Left) != 1 || se.Left[0] != "the group's unregistering" || !errors.Is(err, core.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		if s.left < 200*time.Millisecond {
			t.Errorf("the service got %v of a second", s.left)
		}
		close(tr.release)
	})
}

// A part of Shutdown has a second, but no more than half of what is left, and of that seven
// eighths for itself. What is left ends 50 ms after the context, also where that ended long ago.
func TestTimeOfAPart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before time.Duration // of the call; the context has that much time, if it is not 0
		limit  time.Duration
		cancel bool
		want   time.Duration
	}{
		{"no deadline", 0, 0, false, time.Second * 7 / 8},
		{"a far deadline", 0, time.Hour, false, time.Second * 7 / 8},
		{"a near deadline", 0, time.Second, false, (time.Second + 50*time.Millisecond) / 2 * 7 / 8},
		{"cancelled before", 0, 0, true, 25 * time.Millisecond * 7 / 8},
		{"cancelled long before its deadline", 0, time.Hour, true, 25 * time.Millisecond * 7 / 8},
		{"over just now", time.Second, time.Second, false, 25 * time.Millisecond * 7 / 8},
		{"over long ago", time.Minute, time.Second, false, 25 * time.Millisecond * 7 / 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &timed{}
				cfg := coretest.Config(&coretest.Transport{})
				cfg.Own = []core.Service{s}
				p := must(core.NewProducer(cfg))
				if err := p.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				if tt.limit > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.limit)
				}
				defer cancel()
				time.Sleep(tt.before)
				if tt.cancel {
					cancel()
				}
				if err := p.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				if s.left != tt.want {
					t.Errorf("the service got %v, want %v", s.left, tt.want)
				}
			})
		})
	}
}

// late is a service that shuts down until its context ends, or until release is closed.
type late struct {
	release chan struct{}
	after   chan time.Duration // gets the time from the call to the end of the context
}

func (*late) Start(context.Context) error { return nil }

func (s *late) Shutdown(ctx context.Context) error {
	begun := time.Now()
	<-ctx.Done()
	if s.after != nil {
		s.after <- time.Since(begun)
	}
	if s.release != nil {
		<-s.release
	}
	return nil
}

// When the context ends under a part, the part has half of the 50 ms that are left.
func TestContextEndsUnderAPart(t *testing.T) {
	for name, deaf := range map[string]bool{"heeds its context": false, "does not": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &late{after: make(chan time.Duration, 1)}
				if deaf {
					s.release = make(chan struct{})
				}
				cfg := coretest.Config(&coretest.Transport{})
				cfg.Own = []core.Service{s}
				p := must(core.NewProducer(cfg))
				if err := p.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				start := time.Now()
				time.AfterFunc(100*time.Millisecond, cancel)
				err := p.Shutdown(ctx)
				took := time.Since(start) - 100*time.Millisecond
				if after := <-s.after - 100*time.Millisecond; after != 25*time.Millisecond*7/8 {
					t.Errorf("the service's context ended %v after the caller's", after)
				}
				var se *core.ShutdownError
				if left := errors.As(err, &se); left != deaf {
					t.Errorf("got %v", err)
				}
				if want := 25 * time.Millisecond; deaf && took != want || !deaf && took >= want {
					t.Errorf("it took %v", took)
				}
				if deaf {
					close(s.release)
				}
			})
		})
	}
}

// One part after the other takes half of what is left after the context's end.
func TestPartsShareTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		first := &timed{}
		cfg := coretest.Config(&coretest.Transport{})
		cfg.Own = []core.Service{first, &late{release: release}, &late{release: release}}
		p := must(core.NewProducer(cfg))
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var se *core.ShutdownError
		if err := p.Shutdown(ctx); !errors.As(err, &se) || len(se.Left) != 2 || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if want := 50 * time.Millisecond / 8 * 7 / 8; first.left.Round(time.Microsecond) != want.Round(time.Microsecond) { // 25 ms and 12.5 ms are gone
			t.Errorf("the last service got %v, want %v", first.left, want)
		}
		close(release)
	})
}

// Shutdown counts the sends that it aborted and those that do not even come back then, and says
// what holds them.
func TestWhatShutdownLeaves(t *testing.T) {
	for _, tt := range []struct {
		name                string
		hang, block, behind int // sends that wait for an answer, whose step blocks, whose batch's step does
		want                string
	}{
		{"all come back", 3, 0, 0, "shutdown aborted 3 sends in flight: context canceled"},
		{"a step blocks", 0, 2, 0, "shutdown aborted 2 sends in flight and left behind 2 sends: a step, a done function or a local transaction blocks: context canceled"},
		{"some come back", 3, 1, 0, "shutdown aborted 4 sends in flight and left behind 1 sends: a step, a done function or a local transaction blocks: context canceled"},
		{"a batch's step blocks", 0, 0, 2, "shutdown left behind 2 batches: a step blocks: rocketmq: timeout"},
		{"sends and batches", 0, 2, 1, "shutdown aborted 2 sends in flight and left behind 2 sends: a step, a done function or a local transaction blocks: context canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				hang := &coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) { return nil, coretest.Hang(ctx, at) }}
				cfg := coretest.Config(hang, around("block", func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
					switch c.Message().Tag {
					case "block":
						<-release
					case "behind":
						b := c.Producer().NewBatch()
						if _, err := b.Add(c, 1<<20); err != nil {
							return nil, err
						}
						b.Go(context.WithoutCancel(ctx), func(context.Context, *core.Call) (*core.Result, error) {
							<-release
							return nil, core.ErrConnect
						}, func() {})
						return nil, b.Leave(c, core.ErrConnect)
					}
					return next(ctx, c)
				}))
				cfg.Timeout = time.Hour
				p := must(core.NewProducer(cfg))
				if err := p.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				for tag, n := range map[string]int{"hang": tt.hang, "block": tt.block, "behind": tt.behind} {
					for range n {
						p.SendAsync(t.Context(), &core.Message{Topic: "T", Tag: tag, Body: []byte("x")}, nil)
					}
				}
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				if tt.hang+tt.block > 0 {
					cancel()
				}
				defer cancel()
				err := p.Shutdown(ctx)
				var se *core.ShutdownError
				if !errors.As(err, &se) || se.Error() != tt.want || se.Undelivered != tt.hang+tt.block {
					t.Errorf("got  %v\nwant %s", err, tt.want)
				}
				close(release)
				synctest.Wait()
			})
		})
	}
}

// What a ShutdownError says.
func TestShutdownErrorText(t *testing.T) {
	boom := errors.New("boom")
	for want, e := range map[string]core.ShutdownError{
		"shutdown aborted 0 sends in flight: boom":                           {},
		"shutdown aborted 3 sends in flight: boom":                           {Undelivered: 3},
		"shutdown left behind a; b: boom":                                    {Left: []string{"a", "b"}},
		"shutdown aborted 1 sends in flight and left behind a service: boom": {Undelivered: 1, Left: []string{"a service"}},
	} {
		e.Cause = boom
		if e.Error() != want || !errors.Is(&e, boom) {
			t.Errorf("got  %v\nwant %s", &e, want)
		}
	}
}

// stateUser is a state listener.
type stateUser func(*core.StateReport)

func (f stateUser) StateChanged(r *core.StateReport) { f(r) }

// A state listener may shut the producer down. It hears of that when it has returned: changes
// are told one after the other.
func TestStateListenerMayShutDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		var p *core.Producer
		p = must(core.NewProducer(coretest.Config(&coretest.Transport{}, core.ListenerStep("user", stateUser(func(r *core.StateReport) {
			j.write("told " + r.New.String())
			if r.New == core.StateRunning {
				if err := p.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}
			j.write("heard " + r.New.String())
		})))))
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		j.expect(t, "started", "told running, heard running, told shut down, heard shut down")
		if p.State() != core.StateShutdown {
			t.Errorf("it is %v", p.State())
		}
	})
}

// A state listener that ends its goroutine hears of later changes all the same.
func TestStateListenerEndsItsGoroutine(t *testing.T) {
	j := &journal{}
	p := must(core.NewProducer(coretest.Config(&coretest.Transport{}, core.ListenerStep("user", stateUser(func(r *core.StateReport) {
		j.write(r.New.String())
		runtime.Goexit()
	})))))
	started := make(chan struct{})
	go func() {
		defer close(started)
		_ = p.Start(t.Context())
	}()
	<-started
	if err := p.Shutdown(t.Context()); !errors.Is(err, core.ErrContract) {
		t.Errorf("got %v", err)
	}
	j.expect(t, "shut down", "running, shut down")
}

// What a step holds is waited for as a send: by Flush, and by Shutdown until its context ends.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := must(core.NewProducer(coretest.Config(&coretest.Transport{})))
		if _, err := p.Hold(); !errors.Is(err, core.ErrNotRunning) {
			t.Errorf("before the start: %v", err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, wait := range []func(context.Context) error{p.Flush, p.Shutdown} {
			var release []func()
			for range 2 {
				f, err := p.Hold()
				if err != nil {
					t.Fatal(err)
				}
				release = append(release, f)
			}
			go func() {
				time.Sleep(time.Minute)
				release[0]()
				release[0]() // which must not be the other one's
				time.Sleep(time.Minute)
				release[1]()
			}()
			began := time.Now()
			if err := wait(t.Context()); err != nil || time.Since(began) != 2*time.Minute {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		if _, err := p.Hold(); !errors.Is(err, core.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Undelivered is what has no outcome: neither a send whose done function blocks, nor what a step holds, nor a transaction
// besides its half.
func TestUndeliveredHasNoOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		l := &teller{}
		cfg := transactional(l)
		cfg.Timeout = time.Hour
		cfg.Steps = append(cfg.Steps, core.CallStep("stuck", core.StageGuard, core.InterceptorFunc(func(ctx context.Context, c *core.Call, next core.Handler) (*core.Result, error) {
			switch c.Message().Tag {
			case "stuck":
				<-stuck
			case "hung":
				return nil, c.Wait(ctx, nil)
			}
			return next(ctx, c)
		})))
		p := must(core.NewProducer(cfg))
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		released, held := must(p.Hold()), must(p.Hold())
		released() // like the send and the transaction after it: what is over does not count
		over := make(chan error, 1)
		p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { over <- err })
		_, err := p.SendTransaction(t.Context(), coretest.Message("x"), decides(core.TransactionCommit, nil))
		if err = errors.Join(<-over, err); err != nil {
			t.Fatal(err)
		}
		tagged := func(tag string) *core.Message { return &core.Message{Topic: "T", Tag: tag, Body: []byte("x")} }
		blocks := func(core.Result, error) { <-stuck }
		p.SendAsync(t.Context(), tagged("hung"), blocks)   // aborted; its function blocks
		p.SendAsync(t.Context(), tagged("stored"), blocks) // acknowledged; its function blocks
		p.SendAsync(t.Context(), tagged("stuck"), nil)
		go func() { _, _ = p.SendTransaction(t.Context(), tagged("stuck"), decides(core.TransactionCommit, nil)) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = p.Shutdown(ctx)
		var se *core.ShutdownError
		if !errors.As(err, &se) || se.Undelivered != 3 || !slices.Contains(se.Left, "6 sends: a step, a done function or a local transaction blocks") {
			t.Errorf("got %v", err)
		}
		close(stuck)
		held()
		synctest.Wait()
	})
}
