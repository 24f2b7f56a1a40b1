package rocketmqfx_test

import (
	"context"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

// over provides a scripted transport.
func over(tr core.Transport) fx.Option {
	return fx.Provide(func() (core.Transport, core.RouteSource) {
		return tr, coretest.Routes(2, "broker-a", "broker-b")
	})
}

// basics are the options of an application with one producer.
func basics(tr core.Transport, more ...fx.Option) fx.Option {
	return fx.Options(fx.NopLogger, over(tr), rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders"}), fx.Options(more...))
}

// asked makes the producer even if no test code takes it.
var asked = fx.Invoke(func(*core.Producer) {})

// run starts the application and stops it when the test ends.
func run(t *testing.T, options ...fx.Option) {
	t.Helper()
	app := fxtest.New(t, options...)
	app.RequireStart()
	t.Cleanup(func() { app.RequireStop() })
}

// wantErr wants the application not to build, with an error that says things: the same for
// the application and, unless constructors have to run, for ValidateApp.
func wantErr(t *testing.T, validates bool, app fx.Option, says ...string) {
	t.Helper()
	check := func(where string, err error) {
		if err == nil {
			t.Fatalf("%s: no error", where)
		}
		for _, s := range says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error does not say %q: %v", where, s, err)
			}
		}
	}
	check("New", fx.New(fx.NopLogger, app).Err())
	if validates {
		check("ValidateApp", fx.ValidateApp(fx.NopLogger, app))
	}
}

// passing is a step that does nothing.
func passing(name string) core.Step {
	return core.CallStep(name, core.StageGuard, core.InterceptorFunc(
		func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
			return next(ctx, call)
		}))
}

func must(t *testing.T, p *core.Producer) core.Result {
	t.Helper()
	res, err := p.Send(t.Context(), coretest.Message("x"))
	if err != nil {
		t.Fatal(err)
	}
	return res
}
