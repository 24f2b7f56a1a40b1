package rocketmqfx_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func TestProducerLivesWithTheApplication(t *testing.T) {
	var p *core.Producer
	var pipeline *core.Pipeline
	opts := basics(&coretest.Transport{}, fx.Populate(&p, &pipeline))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts)
	if p.State() != core.StateCreated {
		t.Errorf("before the start it is %v", p.State())
	}
	app.RequireStart()
	must(t, p)
	if p.Pipeline() != pipeline || p.Group() != "orders" {
		t.Errorf("group %q, pipeline %v", p.Group(), pipeline)
	}
	app.RequireStop()
	if _, err := p.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrClosed) {
		t.Errorf("after the stop: %v", err)
	}
}

func TestOrderNeverDependsOnTheContainer(t *testing.T) {
	var first string
	const apps = 100
	for range apps {
		var into []string
		var pipeline *core.Pipeline
		app := fx.New(basics(&coretest.Transport{},
			rocketmqfx.AsStep(func() core.Step { return note("delta", core.StageGuard, &into) }),
			rocketmqfx.AsStep(func() core.Step { return note("alpha", core.StageGuard, &into) }),
			rocketmqfx.Steps(note("charlie", core.StageGuard, &into), note("bravo", core.StageGuard, &into)),
			rocketmqfx.AsInterceptor("echo", core.StageGuard, newPass),
			rocketmqfx.AsForbidHook(newForbid("two")), rocketmqfx.AsForbidHook(newForbid("one")),
			rocketmqfx.AsSendHook(newSendHook("two")), rocketmqfx.AsSendHook(newSendHook("one")),
			rocketmqfx.AsListener("listen", newCounter),
			fx.Populate(&pipeline)))
		if err := app.Err(); err != nil {
			t.Fatal(err)
		}
		switch s := pipeline.String(); {
		case first == "":
			first = s
		case s != first:
			t.Fatalf("another pipeline:\n%s\nfirst was:\n%s", s, first)
		}
	}
	for _, name := range []string{"alpha", "bravo", "charlie", "delta", "echo", "forbid.one", "forbid.two", "sendhook.one", "sendhook.two", "listen"} {
		if !strings.Contains(first, name) {
			t.Errorf("pipeline without %s:\n%s", name, first)
		}
	}
}

func TestOrderFixesTheOrder(t *testing.T) {
	var into []string
	var p *core.Producer
	run(t, basics(&coretest.Transport{}, rocketmqfx.WithoutCompression(),
		rocketmqfx.Steps(note("a", core.StageGuard, &into), note("b", core.StageGuard, &into)),
		rocketmqfx.Order(core.Order{Call: []string{"b", "validate", "a"}}), fx.Populate(&p)))
	must(t, p)
	if !slices.Equal(into, []string{"b", "a"}) {
		t.Errorf("steps ran as %v", into)
	}
}

func TestNobodyAsksNobodyStarts(t *testing.T) {
	tests := []struct {
		name string
		more []fx.Option
		want bool
	}{
		{"lazy", nil, false},
		{"eager", []fx.Option{rocketmqfx.Eager()}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			started := false
			l := &stateListener{func(r *core.StateReport) { started = started || r.New == core.StateRunning }}
			run(t, basics(&coretest.Transport{}, append(tt.more, rocketmqfx.AsListener("state", func() *stateListener { return l }))...))
			if started != tt.want {
				t.Errorf("started: %v, want %v", started, tt.want)
			}
		})
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
			fx.NopLogger, over(tr), rocketmqfx.Module, rocketmqfx.WithoutBreaker(),
			rocketmqfx.Configure(liftoff.Config{Group: "orders", Timeout: time.Hour, AttemptTimeout: time.Hour}),
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

func TestStartFailureIsTheApplications(t *testing.T) {
	boom := errors.New("no group today")
	app := fx.New(fx.NopLogger, rocketmqfx.Module, rocketmqfx.Configure(liftoff.Config{Group: "orders"}), rocketmqfx.Eager(),
		fx.Provide(func() (core.Transport, core.RouteSource) {
			return &registrar{Transport: &coretest.Transport{}, err: boom}, coretest.Routes(1, "a")
		}))
	if err := app.Start(t.Context()); !errors.Is(err, boom) {
		t.Errorf("start: %v", err)
	}
}

type registrar struct {
	*coretest.Transport
	err error
}

func (r *registrar) RegisterGroup(context.Context, string) error   { return r.err }
func (r *registrar) UnregisterGroup(context.Context, string) error { return nil }

func TestConfigurationErrors(t *testing.T) {
	tr := &coretest.Transport{}
	missing := func(more ...fx.Option) fx.Option {
		return fx.Options(append([]fx.Option{fx.NopLogger, rocketmqfx.Module, rocketmqfx.Eager()}, more...)...)
	}
	wantErr(t, true, missing(over(tr)), "liftoff.Config")
	wantErr(t, true, missing(rocketmqfx.Configure(liftoff.Config{Group: "g"})), "core.Transport")
	wantErr(t, false, missing(over(tr), rocketmqfx.Configure(liftoff.Config{Group: "not a group"})), "not a group")
	wantErr(t, false, missing(over(tr), rocketmqfx.Configure(liftoff.Config{Group: "g", NameServers: []string{"a:1"}})), "NameServers", "remotingfx")
	wantErr(t, true, missing(over(tr), rocketmqfx.Configure(liftoff.Config{Group: "g"}), rocketmqfx.Module), "already provided")
	wantErr(t, true, missing(over(tr), rocketmqfx.Configure(liftoff.Config{Group: "g"}), rocketmqfx.Configure(liftoff.Config{Group: "h"})), "already provided", "liftoff.Config")
	wantErr(t, false, missing(over(tr), rocketmqfx.AsConfig(func() (liftoff.Config, error) { return liftoff.Config{}, errors.New("no file") })), "no file")
}

func TestLoggerOfTheGraph(t *testing.T) {
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	app := fxtest.New(t, basics(&coretest.Transport{}, fx.Supply(log), rocketmqfx.Eager()))
	app.RequireStart().RequireStop()
	if !strings.Contains(text.String(), "producer state") {
		t.Errorf("log: %s", text.String())
	}
}

// What replaces the application's configuration leaves the named producers theirs.
func TestReplaceConfig(t *testing.T) {
	for name, replace := range map[string]fx.Option{
		"replace":  fx.Replace(liftoff.Config{Group: "test"}),
		"decorate": fx.Decorate(func(c liftoff.Config) liftoff.Config { c.Group = "test"; return c }),
	} {
		t.Run(name, func(t *testing.T) {
			var in struct {
				fx.In
				Default *core.Producer
				Audit   *core.Producer `name:"audit"`
			}
			run(t, basics(&coretest.Transport{}, replace, fx.Populate(&in),
				rocketmqfx.Named("audit", rocketmqfx.Configure(liftoff.Config{Group: "audit"}))))
			if d, a := in.Default.Group(), in.Audit.Group(); d != "test" || a != "audit" {
				t.Errorf("groups %q and %q, want test and audit", d, a)
			}
		})
	}
}

func TestReplaceTransport(t *testing.T) {
	first, second := &coretest.Transport{}, &coretest.Transport{}
	var p *core.Producer
	run(t, basics(first, fx.Populate(&p), fx.Replace(fx.Annotate(second, fx.As(new(core.Transport))))))
	must(t, p)
	if len(first.Attempts()) != 0 || len(second.Attempts()) != 1 {
		t.Errorf("%d sends to the first transport, %d to the second", len(first.Attempts()), len(second.Attempts()))
	}
}

// New is plain Go: it works with a lifecycle and no container.
func TestNewWithoutContainer(t *testing.T) {
	lc := fxtest.NewLifecycle(t, fxtest.EnforceTimeout(true))
	r, err := rocketmqfx.New(rocketmqfx.Params{
		Config: liftoff.Config{Group: "g"},
		Deps:   rocketmqfx.Deps{Lifecycle: lc, Transport: &coretest.Transport{}, Routes: coretest.Routes(1, "a")},
	})
	if err != nil {
		t.Fatal(err)
	}
	lc.RequireStart()
	must(t, r.Producer)
	lc.RequireStop()
}
