package tenantsfx_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants"
	"github.com/liftoff-mq/liftoff/examples/plugin/tenants/tenantsfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestModule(t *testing.T) {
	var in struct {
		fx.In
		Producer *core.Producer
		Tenants  *tenants.Tenants
	}
	options := fx.Options(
		fx.NopLogger, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "test"}),
		fx.Provide(func() (core.Transport, core.RouteSource) {
			return &coretest.Transport{}, coretest.Routes(1, "broker-a", "broker-b")
		}),
		tenantsfx.Module,
		fx.Supply(tenants.Config{Tenants: map[string]tenants.Tenant{"acme": {Brokers: []string{"broker-b"}}}, Default: "acme"}),
		fx.Populate(&in),
	)
	if err := fx.ValidateApp(options); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, options).RequireStart()
	defer app.RequireStop()
	for range 3 {
		if res, err := in.Producer.Send(t.Context(), coretest.Message("x")); err != nil || res.Queue.Broker != "broker-b" {
			t.Errorf("%+v, %v", res, err)
		}
	}
	shown := fmt.Sprint(in.Producer.Pipeline())
	for _, part := range []string{"in turn over the tenant's brokers", "a tenant's attempts go to its brokers only", "other brokers"} {
		if !strings.Contains(shown, part) {
			t.Errorf("the pipeline has no %q:\n%s", part, shown)
		}
	}
}

func TestErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		opts fx.Option
		want string
	}{
		"no configuration":  {fx.Options(), "tenants.Config"},
		"bad configuration": {fx.Supply(tenants.Config{}), "Tenants is empty"},
	} {
		err := fx.New(fx.NopLogger, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "test", NameServers: []string{"127.0.0.1:1"}}),
			tenantsfx.Module, tt.opts, fx.Invoke(func(*core.Producer) {})).Err()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
