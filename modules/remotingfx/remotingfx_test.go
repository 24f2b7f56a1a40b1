package remotingfx_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/remotingfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func message(body string) *core.Message { return &core.Message{Topic: "Orders", Body: []byte(body)} }

func TestTwoProducersShareTheClient(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	var in struct {
		fx.In
		Client  *remoting.Client
		Default *core.Producer
		Audit   *core.Producer `name:"audit"`
	}
	opts := fx.Options(fx.NopLogger, remotingfx.Module, remotingfx.NameServers(cluster.NameServers()...),
		rocketmqfx.Module, rocketmqfx.Configure(liftoff.Config{Group: "orders"}),
		rocketmqfx.Named("audit", rocketmqfx.Configure(liftoff.Config{Group: "audit"})),
		fx.Populate(&in))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts).RequireStart()
	for _, p := range []*core.Producer{in.Default, in.Audit} {
		if _, err := p.Send(t.Context(), message(p.Group())); err != nil {
			t.Error(err)
		}
	}
	broker := cluster.Brokers()[0]
	if n := broker.Connections(); n != 1 {
		t.Errorf("%d connections to the broker, want one that both share", n)
	}
	app.RequireStop()
	if got := broker.ProducerGroups(); len(got) != 0 {
		t.Errorf("groups %v are left", got)
	}
	if n := cluster.StoredCount("Orders"); n != 2 {
		t.Errorf("%d messages stored, want 2", n)
	}
}

func TestNamedClient(t *testing.T) {
	shared, own := embedded.New(t, embedded.Config{}), embedded.New(t, embedded.Config{})
	var in struct {
		fx.In
		Default *core.Producer
		Own     *core.Producer `name:"own"`
	}
	app := fxtest.New(t, fx.NopLogger, remotingfx.Module, remotingfx.NameServers(shared.NameServers()...),
		rocketmqfx.Module, rocketmqfx.Configure(liftoff.Config{Group: "orders"}),
		rocketmqfx.Named("own", rocketmqfx.Configure(liftoff.Config{Group: "own"}),
			remotingfx.Module, remotingfx.NameServers(own.NameServers()...)),
		fx.Populate(&in)).RequireStart()
	defer app.RequireStop()
	for _, p := range []*core.Producer{in.Default, in.Own} {
		if _, err := p.Send(t.Context(), message("x")); err != nil {
			t.Error(err)
		}
	}
	if shared.StoredCount("Orders") != 1 || own.StoredCount("Orders") != 1 {
		t.Errorf("%d messages in the shared cluster, %d in the own", shared.StoredCount("Orders"), own.StoredCount("Orders"))
	}
}

func TestNameServersOfTheEnvironment(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	t.Setenv(liftoff.NameServerEnv, strings.Join(cluster.NameServers(), ";"))
	var p *core.Producer
	app := fxtest.New(t, fx.NopLogger, remotingfx.Module, remotingfx.NameServers(),
		rocketmqfx.Module, rocketmqfx.Configure(liftoff.Config{Group: "orders"}), fx.Populate(&p)).RequireStart()
	defer app.RequireStop()
	if _, err := p.Send(t.Context(), message("x")); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	t.Setenv(liftoff.NameServerEnv, "")
	needs := fx.Invoke(func(core.Transport, core.RouteSource) {})
	tests := []struct {
		name      string
		app       fx.Option
		validates bool
		want      string
	}{
		{"no configuration", fx.Options(remotingfx.Module, needs), true, "remoting.Config"},
		{"no name server", fx.Options(remotingfx.Module, remotingfx.NameServers(), needs), false, "remotingfx"},
		{"twice", fx.Options(remotingfx.Module, remotingfx.Module, needs), true, "already provided"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := fx.New(fx.NopLogger, tt.app).Err()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %s", err, tt.want)
			}
			if verr := fx.ValidateApp(fx.NopLogger, tt.app); tt.validates != (verr != nil) {
				t.Errorf("ValidateApp: %v", verr)
			}
		})
	}
}

func ExampleNew() {
	// In a real program the cluster is elsewhere.
	ctx := context.Background()
	cluster, err := embedded.Start(ctx, embedded.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cluster.Close()

	var p *core.Producer
	app := fx.New(fx.NopLogger,
		remotingfx.Module, // provides New
		remotingfx.NameServers(cluster.NameServers()...),
		rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders"}),
		fx.Populate(&p))
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer app.Stop(ctx)
	res, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")})
	fmt.Println(res.Status, err)
	// Output: SEND_OK <nil>
}
