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

// over supplies a scripted transport.
func over(tr *coretest.Transport) fx.Option {
	return fx.Provide(func() (core.Transport, core.RouteSource) {
		return tr, coretest.Routes(2, "broker-a", "broker-b")
	})
}

// basics are the options of an application with one producer.
func basics(tr *coretest.Transport, more ...fx.Option) fx.Option {
	return fx.Options(append([]fx.Option{
		fx.NopLogger, over(tr), rocketmqfx.Module,
		rocketmqfx.Configure(liftoff.Config{Group: "orders"}),
	}, more...)...)
}

// run starts the application and stops it when the test ends.
func run(t *testing.T, options ...fx.Option) {
	t.Helper()
	app := fxtest.New(t, options...)
	app.RequireStart()
	t.Cleanup(func() { app.RequireStop() })
}

// wantErr wants the application not to build, with an error that names things,
// the same for the application and, unless constructors have to run, for ValidateApp.
func wantErr(t *testing.T, validates bool, options fx.Option, names ...string) {
	t.Helper()
	check := func(where string, err error) {
		if err == nil {
			t.Fatalf("%s: no error", where)
		}
		for _, n := range names {
			if !strings.Contains(err.Error(), n) {
				t.Errorf("%s: error does not name %q: %v", where, n, err)
			}
		}
	}
	check("New", fx.New(options).Err())
	if validates {
		check("ValidateApp", fx.ValidateApp(options))
	}
}

func note(name string, stage core.Stage, into *[]string) core.Step {
	return core.CallStep(name, stage, core.InterceptorFunc(
		func(ctx context.Context, call *core.Call, next core.Handler) (*core.Result, error) {
			*into = append(*into, name)
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
