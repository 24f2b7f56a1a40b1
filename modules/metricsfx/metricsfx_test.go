package metricsfx_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"github.com/liftoff-mq/liftoff/modules/metricsfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/modules/tracingfx"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func basics(more ...fx.Option) fx.Option {
	return fx.Options(append([]fx.Option{
		fx.NopLogger, rocketmqfx.Module, rocketmqfx.Configure(liftoff.Config{Group: "orders"}),
		fx.Provide(func() (core.Transport, core.RouteSource) {
			return &coretest.Transport{}, coretest.Routes(1, "a")
		}),
	}, more...)...)
}

// bounds are those of the duration's histogram, nil if there is none.
func bounds(t *testing.T, r sdkmetric.Reader) []float64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
				return h.DataPoints[0].Bounds
			}
		}
	}
	return nil
}

func send(t *testing.T, p *core.Producer) {
	t.Helper()
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
}

func TestProviderOfTheGraph(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	var p *core.Producer
	opts := basics(metricsfx.Module, tracingfx.Module, metricsfx.RequireProvider, metricsfx.With(metrics.WithDurationBuckets(1, 2)),
		fx.Provide(func() metric.MeterProvider { return sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)) }), fx.Populate(&p))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts).RequireStart()
	send(t, p)
	app.RequireStop()
	if got := bounds(t, reader); !slices.Equal(got, []float64{1, 2}) {
		t.Errorf("bounds %v", got)
	}
	if call, _ := p.Pipeline().Names(); !slices.Equal(call[:2], []string{"otel.trace", "otel.metrics"}) {
		t.Errorf("steps %v", call)
	}
}

func TestProviderOfTheGlobals(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	defer otel.SetMeterProvider(noop.NewMeterProvider())
	var p *core.Producer
	app := fxtest.New(t, basics(metricsfx.Module, fx.Populate(&p))).RequireStart()
	defer app.RequireStop()
	send(t, p)
	if got := bounds(t, reader); !slices.Equal(got, metrics.DefaultBuckets()) {
		t.Errorf("bounds %v", got)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name      string
		opts      fx.Option
		validates bool
		want      string
	}{
		{"no provider", metricsfx.RequireProvider, true, "metric.MeterProvider"},
		{"bad buckets", metricsfx.With(metrics.WithDurationBuckets(2, 1)), false, "ascend"},
		{"twice", metricsfx.Module, false, `"otel.metrics"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := basics(metricsfx.Module, rocketmqfx.Eager(), tt.opts)
			err := fx.New(app).Err()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
			if verr := fx.ValidateApp(app); tt.validates != (verr != nil) {
				t.Errorf("ValidateApp: %v", verr)
			}
		})
	}
}

func ExampleNew() {
	reader := sdkmetric.NewManualReader()
	var p *core.Producer
	app := fx.New(basics(
		metricsfx.Module, // adds what New makes
		fx.Provide(func() metric.MeterProvider { return sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)) }),
		fx.Populate(&p)))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer app.Stop(ctx)
	if _, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
		fmt.Println(err)
		return
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &rm); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		fmt.Println(m.Name)
	}
	// Unordered output:
	// messaging.client.operation.duration
	// messaging.client.sent.messages
}
