package rocketmqfx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"
	"go.uber.org/fx/fxtest"
)

func TestProducerLivesWithTheApplication(t *testing.T) {
	var p *core.Producer
	opts := basics(&coretest.Transport{}, fx.Populate(&p))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts)
	if p.State() != core.StateCreated {
		t.Errorf("before the start it is %v", p.State())
	}
	app.RequireStart()
	must(t, p)
	if p.Group() != "orders" {
		t.Errorf("group %q", p.Group())
	}
	app.RequireStop()
	if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrClosed) {
		t.Errorf("after the stop: %v", err)
	}
}

// Without a transport in the graph the producer has a client of its own, which lives and ends
// with it.
func TestClientOfItsOwn(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	var p *core.Producer
	app := fxtest.New(t, fx.NopLogger, rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders", NameServers: cluster.NameServers()}), fx.Populate(&p))
	app.RequireStart()
	must(t, p)
	app.RequireStop()
	if got := cluster.Brokers()[0].ProducerGroups(); len(got) != 0 {
		t.Errorf("groups %v are left", got)
	}
}

func TestNobodyAsksNobodyStarts(t *testing.T) {
	for name, want := range map[string]bool{"lazy": false, "asked for": true} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			opts := fx.Options()
			if want {
				opts = asked
			}
			app := fxtest.New(t, basics(&coretest.Transport{}, opts, fx.Supply(slog.New(slog.NewTextHandler(&log, nil)))))
			app.RequireStart().RequireStop()
			if got := strings.Contains(log.String(), "new=running"); got != want {
				t.Errorf("it started: %v, want %v; the graph's logger got\n%s", got, want, log.String())
			}
		})
	}
}

func TestModulesHaveNames(t *testing.T) {
	var events names
	fx.New(basics(&coretest.Transport{}), rocketmqfx.Named("audit", newAudit), fx.WithLogger(func() fxevent.Logger { return &events }))
	for _, want := range []string{"liftoff.rocketmq", "liftoff.rocketmq.audit"} {
		if !events[want] {
			t.Errorf("no module %q in fx's log: %v", want, events)
		}
	}
}

// names are those of the modules that provide something.
type names map[string]bool

func (n *names) LogEvent(e fxevent.Event) {
	if p, ok := e.(*fxevent.Provided); ok {
		if *n == nil {
			*n = names{}
		}
		(*n)[p.ModuleName] = true
	}
}

func TestStopDrains(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{})
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		close(entered)
		<-release
		return tr.Ack(at), nil
	}
	var p *core.Producer
	app := fxtest.New(t, basics(tr, fx.Populate(&p)))
	app.RequireStart()
	done, stopped := make(chan error, 1), make(chan error, 1)
	p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { done <- err })
	<-entered
	go func() { stopped <- app.Stop(context.Background()) }()
	for p.State() != core.StateShutdown {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a send in flight: %v", err)
	default:
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the send in flight: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// A broker that does not answer takes half of the time to stop and no more.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &coretest.Transport{Do: func(ctx context.Context, at *core.Attempt) (*core.Result, error) {
			return nil, coretest.Hang(ctx, at)
		}}
		var p *core.Producer
		var left time.Duration
		app := fx.New(
			fx.NopLogger, over(tr), rocketmqfx.Module,
			fx.Supply(liftoff.Config{Group: "orders", Timeout: time.Hour, AttemptTimeout: time.Hour}),
			fx.Invoke(func(lc fx.Lifecycle) { // stops after the producer
				lc.Append(fx.StopHook(func(ctx context.Context) {
					deadline, _ := ctx.Deadline()
					left = time.Until(deadline)
				}))
			}),
			fx.Populate(&p))
		if err := app.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) { done <- err })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := app.Stop(ctx)
		var se *core.ShutdownError
		if !errors.As(err, &se) || se.Undelivered != 1 {
			t.Errorf("stop: %v, want one undelivered send", err)
		}
		if err := <-done; !errors.Is(err, core.ErrAborted) {
			t.Errorf("the send: %v", err)
		}
		if left != 5*time.Second {
			t.Errorf("%v are left for the others, want half of 10 s", left)
		}
	})
}

// With a stop time of 2 s and 5,000 sends at a broker that hangs, while the group's leaving
// blocks too, the producer takes half of the time, and every later hook runs. What was
// aborted is the error of the stop; it is logged too, since fx drops it where a later hook
// takes too long.
func TestStopLeavesTimeForLaterHooks(t *testing.T) {
	for _, overrun := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const sends = 5000
			release := make(chan struct{})
			tr := &stuck{release: release}
			var log bytes.Buffer
			var p *core.Producer
			var hooks []string
			hook := func(name string) fx.Option {
				return fx.Invoke(func(lc fx.Lifecycle) {
					lc.Append(fx.StopHook(func(ctx context.Context) {
						hooks = append(hooks, name)
						if overrun && name == "database" {
							<-ctx.Done()
						}
					}))
				})
			}
			app := fx.New(
				fx.NopLogger, fx.StopTimeout(2*time.Second), over(tr), rocketmqfx.Module,
				fx.Supply(liftoff.Config{
					Group: "orders", Timeout: time.Hour, AttemptTimeout: time.Hour, MaxInFlight: sends,
					Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
				}),
				hook("files"), hook("metrics"), hook("database"),
				fx.Populate(&p))
			if err := app.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			var ended atomic.Int32
			for range sends {
				p.SendAsync(t.Context(), coretest.Message("x"), func(_ core.Result, err error) {
					if errors.Is(err, core.ErrAborted) {
						ended.Add(1)
					}
				})
			}
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), app.StopTimeout())
			defer cancel()
			start := time.Now()
			err := app.Stop(ctx)
			took := time.Since(start)
			synctest.Wait() // fx leaves a hook behind that is late
			var se *core.ShutdownError
			switch {
			case overrun && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("stop: %v", err)
			case !overrun && (!errors.As(err, &se) || se.Undelivered != sends || took > 1050*time.Millisecond):
				t.Errorf("stop after %v: %v", took, err)
			}
			if want := "[database metrics files]"; !overrun && fmt.Sprint(hooks) != want || overrun && len(hooks) == 0 {
				t.Errorf("the later hooks %v ran, want %v", hooks, want)
			}
			if !strings.Contains(log.String(), "shutdown aborted 5000 sends in flight") {
				t.Errorf("logged %q", log.String())
			}
			if ended.Load() != sends {
				t.Errorf("%d callbacks, want %d", ended.Load(), sends)
			}
			close(release)
		})
	}
}

// stuck is a transport that answers nothing.
type stuck struct {
	coretest.Transport
	release chan struct{}
}

func (*stuck) RoundTrip(ctx context.Context, at *core.Attempt) (*core.Result, error) {
	return nil, coretest.Hang(ctx, at)
}
func (*stuck) RegisterGroup(context.Context, core.Registration) error { return nil }
func (s *stuck) UnregisterGroup(context.Context, string) error {
	<-s.release
	return nil
}

func TestStartFailureIsTheApplications(t *testing.T) {
	boom := errors.New("no group today")
	app := fx.New(basics(&registrar{err: boom}, asked))
	if err := app.Start(t.Context()); !errors.Is(err, boom) {
		t.Errorf("start: %v", err)
	}
}

// registrar is a transport with groups.
type registrar struct {
	coretest.Transport
	err   error
	inbox *core.Inbox
}

func (r *registrar) RegisterGroup(_ context.Context, reg core.Registration) error {
	r.inbox = reg.Inbox
	return r.err
}
func (*registrar) UnregisterGroup(context.Context, string) error { return nil }

// What replaces the application's configuration or transport is used.
func TestReplacing(t *testing.T) {
	first, second := &coretest.Transport{}, &coretest.Transport{}
	for name, replace := range map[string]fx.Option{
		"replace": fx.Replace(liftoff.Config{Group: "test"}, fx.Annotate(second, fx.As(new(core.Transport)))),
		"decorate": fx.Decorate(func(liftoff.Config, core.Transport) (liftoff.Config, core.Transport) {
			return liftoff.Config{Group: "test"}, second
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var p *core.Producer
			run(t, basics(first, replace, fx.Populate(&p)))
			before := len(second.Attempts())
			must(t, p)
			if p.Group() != "test" || len(first.Attempts()) != 0 || len(second.Attempts()) != before+1 {
				t.Errorf("group %q, %d sends to the first transport, %d to the second", p.Group(), len(first.Attempts()), len(second.Attempts()))
			}
		})
	}
}

// New is plain Go: it works with a lifecycle and no container.
func TestNewWithoutContainer(t *testing.T) {
	lc := fxtest.NewLifecycle(t, fxtest.EnforceTimeout(true))
	p, err := rocketmqfx.New(liftoff.Config{Group: "g"},
		rocketmqfx.Params{Lifecycle: lc, Transport: &coretest.Transport{}, Routes: coretest.Routes(1, "a")})
	if err != nil {
		t.Fatal(err)
	}
	lc.RequireStart()
	must(t, p)
	lc.RequireStop()
}
