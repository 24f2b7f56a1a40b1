package embeddedfx_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/wire"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func TestClusterLivesWithTheApplication(t *testing.T) {
	var in struct {
		fx.In
		Cluster  *embeddedfx.Cluster
		Producer *core.Producer
	}
	opts := fx.Options(fx.NopLogger, embeddedfx.Module, rocketmqfx.Module,
		fx.Supply(embedded.Config{Brokers: embedded.BrokerNames(2)}, liftoff.Config{Group: "orders"}), fx.Populate(&in))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts)
	if in.Cluster.Embedded() != nil {
		t.Error("the cluster runs before the start")
	}
	app.RequireStart()
	if n := len(in.Cluster.Embedded().Brokers()); n != 2 {
		t.Errorf("%d brokers, want 2", n)
	}
	const sends = 5
	for i := range sends {
		if _, err := in.Producer.Send(t.Context(), &core.Message{Topic: "T", Body: []byte{byte(i + 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	app.RequireStop()
	if n := in.Cluster.Embedded().StoredCount("T"); n != sends {
		t.Errorf("%d messages stored, want %d", n, sends)
	}
}

// With a port in Listen others can reach the cluster over TCP.
func TestListensOnAPort(t *testing.T) {
	// A port that was free a moment ago.
	addr := func() string {
		c := embedded.New(t, embedded.Config{})
		defer c.Close()
		return c.NameServers()[0]
	}()
	app := fxtest.New(t, fx.NopLogger, embeddedfx.Module, fx.Supply(embedded.Config{Listen: addr}), fx.Invoke(func(*embeddedfx.Cluster) {}))
	app.RequireStart()
	defer app.RequireStop()
	p, err := liftoff.New(liftoff.Config{Group: "other", NameServers: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background())
	if _, err := p.Send(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name string
		opts fx.Option
		want string
	}{
		{"port chosen by the system", fx.Supply(embedded.Config{Listen: "127.0.0.1:0"}), "has to name a port"},
		{"no port", fx.Supply(embedded.Config{Listen: "localhost"}), "has to name a port"},
		{"bad configuration", fx.Supply(embedded.Config{Brokers: []string{"a", "a"}}), "twice"},
		{"not on loopback", fx.Supply(embedded.Config{Listen: "10.0.0.1:9876"}), "loopback"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := fx.New(fx.NopLogger, embeddedfx.Module, tt.opts, fx.Invoke(func(core.Transport) {}))
			err := app.Err()
			if err == nil {
				err = app.Start(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}

// A timed message is taken back through a producer that fx made.
func TestRecall(t *testing.T) {
	var p *core.Producer
	var cluster *embeddedfx.Cluster
	app := fxtest.New(t, fx.NopLogger, embeddedfx.Module, rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders"}), fx.Populate(&p, &cluster)).RequireStart()
	defer app.RequireStop()
	res, err := p.Send(t.Context(), &core.Message{Topic: "T", Body: []byte("x"), DeliverAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	cluster.Embedded().ControlOnce(wire.RecallMessage, func(r *embedded.Request) embedded.Action {
		if got := r.Command.Ext.Get("recallHandle"); got != res.RecallHandle {
			t.Errorf("the broker is asked for %q, want %q", got, res.RecallHandle)
		}
		return embedded.ReplyWith(wire.Command{Ext: wire.Fields{{Key: "msgId", Value: res.MessageID.String()}}})
	})
	id, err := p.Recall(t.Context(), "T", res.RecallHandle)
	if err != nil || id != res.MessageID.String() {
		t.Errorf("recalled %q, %v, want %v", id, err, res.MessageID)
	}
}

// A test runs a program's own configuration: its name servers are not asked.
func TestNameServersAreLeftAlone(t *testing.T) {
	var p *core.Producer
	app := fxtest.New(t, fx.NopLogger, embeddedfx.Module, rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders", NameServers: []string{"rocketmq.example:9876"}}), fx.Populate(&p)).RequireStart()
	defer app.RequireStop()
	if _, err := p.Send(t.Context(), &core.Message{Topic: "T", Body: []byte("x")}); err != nil {
		t.Error(err)
	}
}

func ExampleModule() {
	var p *core.Producer
	var cluster *embeddedfx.Cluster
	app := fx.New(fx.NopLogger,
		embeddedfx.Module, // in place of remotingfx.Module
		rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders"}),
		fx.Populate(&p, &cluster))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	if _, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
	for _, m := range cluster.Embedded().Stored("Orders") {
		fmt.Printf("%s has %q\n", m.Broker, m.Body)
	}
	// Output: broker-a has "hello"
}

// Two clusters in one application: the second one has a name.
func ExampleNew() {
	var in struct {
		fx.In
		First  *embeddedfx.Cluster
		Second *embeddedfx.Cluster `name:"second"`
	}
	app := fx.New(fx.NopLogger,
		embeddedfx.Module,
		fx.Provide(fx.Annotated{Name: "second", Target: func(lc fx.Lifecycle) (*embeddedfx.Cluster, error) {
			r, err := embeddedfx.New(embeddedfx.Params{Lifecycle: lc, Config: embedded.Config{Brokers: embedded.BrokerNames(2)}})
			return r.Cluster, err
		}}),
		fx.Populate(&in))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	fmt.Println(len(in.First.Embedded().Brokers()), len(in.Second.Embedded().Brokers()))
	// Output: 1 2
}
