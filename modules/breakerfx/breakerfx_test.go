package breakerfx_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/modules/breakerfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func basics(more ...fx.Option) fx.Option {
	lost := &coretest.Transport{Do: func(context.Context, *core.Attempt) (*core.Result, error) { return nil, core.ErrConnectionLost }}
	return fx.Options(append([]fx.Option{
		fx.NopLogger, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
		fx.Provide(coretest.NoRetry, coretest.InOrder,
			func() (core.Transport, core.RouteSource) { return lost, coretest.Routes(1, "a", "b") }),
	}, more...)...)
}

// first opens a breaker at the first failure.
func first(breaker.Counts) bool { return true }

// broker is one of the scripted transport's.
func broker(name string) core.Broker {
	return core.Broker{Name: name, Addr: name + ":10911", Cluster: "DefaultCluster"}
}

func health(b *breaker.Breakers) string {
	return fmt.Sprint(b.Health(broker("a")), " ", b.Health(broker("b")))
}

func TestProducersShareTheBreakers(t *testing.T) {
	var in struct {
		fx.In
		Breakers *breaker.Breakers
		Default  *core.Producer
		Audit    *core.Producer `name:"audit"`
	}
	opts := basics(breakerfx.Module, fx.Supply(breaker.Config{Trip: first, OpenFor: time.Hour}),
		rocketmqfx.Named("audit", func(p rocketmqfx.Params) (*core.Producer, error) {
			return rocketmqfx.New(liftoff.Config{Group: "audit"}, p)
		}), fx.Populate(&in))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts).RequireStart()
	defer app.RequireStop()
	if _, err := in.Default.Send(t.Context(), coretest.Message("x")); !errors.Is(err, core.ErrConnectionLost) {
		t.Fatal(err)
	}
	if got := health(in.Breakers); got != "down good" {
		t.Errorf("health of a and b is %s, want the breaker of a open", got)
	}
	// The other producer is refused by a, and b's breaker opens next.
	if _, err := in.Audit.Send(t.Context(), coretest.Message("x")); err == nil {
		t.Fatal("no error")
	}
	if got := health(in.Breakers); got != "down down" {
		t.Errorf("health of a and b is %s, want both breakers open", got)
	}
}

func TestBreakersOfOneProducer(t *testing.T) {
	var in struct {
		fx.In
		Breakers *breaker.Breakers
		Default  *core.Producer
		Own      *core.Producer `name:"own"`
	}
	app := fxtest.New(t, basics(breakerfx.Module, fx.Supply(breaker.Config{Trip: first, OpenFor: time.Hour}),
		rocketmqfx.Named("own", func(p rocketmqfx.Params) (*core.Producer, error) {
			p.Breaker = nil
			return rocketmqfx.New(liftoff.Config{Group: "own"}, p)
		}),
		fx.Populate(&in))).RequireStart()
	defer app.RequireStop()
	if _, err := in.Own.Send(t.Context(), coretest.Message("x")); err == nil {
		t.Fatal("no error")
	}
	if got := health(in.Breakers); got != "good good" {
		t.Errorf("the application's breakers say %s", got)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name string
		opts fx.Option
		want string
	}{
		{"no configuration", fx.Options(), "breaker.Config"},
		{"bad configuration", fx.Supply(breaker.Config{Window: -1}), "breakerfx"},
		{"the module twice", fx.Options(breakerfx.Module, fx.Supply(breaker.Config{})), "already provided"},
		{"provided as well", fx.Options(fx.Provide(breaker.New), fx.Supply(breaker.Config{})), "already provided"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := fx.New(basics(breakerfx.Module, fx.Invoke(func(*core.Producer) {}), tt.opts)).Err()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}

func ExampleModule() {
	var breakers *breaker.Breakers
	var p *core.Producer
	app := fx.New(basics(
		breakerfx.Module,
		fx.Supply(breaker.Config{OpenFor: 10 * time.Second, Trip: func(c breaker.Counts) bool { return c.ConsecutiveFailures >= 2 }}),
		fx.Populate(&p, &breakers)))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	for range 3 { // the broker loses every connection
		_, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")})
		fmt.Println(core.ClassOf(err), breakers.Health(broker("a")))
	}
	// Output:
	// network good
	// network down
	// network down
}

// New is plain Go.
func ExampleNew() {
	_, err := breakerfx.New(breakerfx.Params{Config: breaker.Config{Window: -time.Second}})
	fmt.Println(err)
	// Output: breakerfx: breaker: Window is negative: -1s
}
