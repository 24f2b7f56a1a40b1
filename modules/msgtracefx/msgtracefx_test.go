package msgtracefx_test

import (
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/hooks/msgtrace"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/msgtracefx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func with(cfg msgtrace.Config, more ...fx.Option) fx.Option {
	return fx.Options(append([]fx.Option{
		fx.NopLogger, rocketmqfx.Module, embeddedfx.Module, msgtracefx.Module, fx.Supply(liftoff.Config{Group: "orders"}, cfg),
	}, more...)...)
}

// The producer of the graph is traced, into the topic of the configuration.
func TestModule(t *testing.T) {
	var p *liftoff.Producer
	var c *embeddedfx.Cluster
	app := fxtest.New(t, with(msgtrace.Config{Topic: "Traces"}, fx.Populate(&p, &c))).RequireStart()
	_, err := p.Send(t.Context(), &liftoff.Message{Topic: "Orders", Body: []byte("x")})
	for len(c.Embedded().Stored("Traces")) == 0 && err == nil && t.Context().Err() == nil {
		continue
	}
	app.RequireStop()
	if err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	err := fx.New(with(msgtrace.Config{Topic: "a b"}, fx.Invoke(func(*liftoff.Producer) {}))).Err()
	if err == nil || !strings.Contains(err.Error(), "msgtracefx: msgtrace: Topic") {
		t.Errorf("%v", err)
	}
}
