package transactionfx_test

import (
	"context"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/embeddedfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/modules/transactionfx"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func checker() core.TransactionChecker {
	return liftoff.CheckFunc(func(context.Context, *core.TransactionCheck) (core.TransactionDecision, error) {
		return core.TransactionCommit, nil
	})
}

func with(more ...fx.Option) fx.Option {
	return fx.Options(append([]fx.Option{
		fx.NopLogger, rocketmqfx.Module, embeddedfx.Module, transactionfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
	}, more...)...)
}

func TestProducersSendTransactions(t *testing.T) {
	var in struct {
		fx.In
		Producer *core.Producer
		Cluster  *embeddedfx.Cluster
	}
	opts := with(fx.Provide(checker), fx.Supply(transactionfx.Config{Topics: []string{"Orders"}}), fx.Populate(&in))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts).RequireStart()
	defer app.RequireStop()
	res, err := in.Producer.SendTransaction(t.Context(), &core.Message{Topic: "Orders", Body: []byte("x")},
		func(context.Context, *core.Result) (core.TransactionDecision, error) {
			return core.TransactionCommit, nil
		})
	if err != nil || len(in.Cluster.Embedded().Stored("Orders")) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if listing := in.Producer.Pipeline().String(); !strings.Contains(listing, "Orders: looked up at the start") {
		t.Errorf("the topic is not kept:\n%s", listing)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts fx.Option
		want string
	}{
		{"no checker", fx.Options(), "core.TransactionChecker"},
		{"nil checker", fx.Provide(func() core.TransactionChecker { return nil }), "the checker is nil"},
		{"bad topic", fx.Options(fx.Provide(checker), fx.Supply(transactionfx.Config{Topics: []string{"a b"}})), "Config.Topics[0]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := fx.New(with(fx.Invoke(func(*core.Producer) {}), tt.opts)).Err()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}
