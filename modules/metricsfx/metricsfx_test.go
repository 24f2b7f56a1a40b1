package metricsfx_test

import (
	"context"
	"fmt"
	"log"
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
		fx.NopLogger, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
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
	opts := basics(tracingfx.Module, metricsfx.RequireProvider, metricsfx.With(metrics.WithDurationBuckets(1, 2)),
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
		{"no provider", fx.Options(metricsfx.Module, metricsfx.RequireProvider), true, "metric.MeterProvider"},
		{"bad buckets", metricsfx.With(metrics.WithDurationBuckets(2, 1)), false, "ascend"},
		{"nil option", metricsfx.With(nil), false, "metricsfx: option 0 is nil"},
		{"twice", fx.Options(metricsfx.Module, metricsfx.Module), false, `step "otel.metrics": given more than once`},
		{"With beside Module", fx.Options(metricsfx.Module, metricsfx.With()), false, `step "otel.metrics": given more than once`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := basics(fx.Invoke(func(*core.Producer) {}), tt.opts)
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

// reader provides a meter provider that is read by hand.
func reader() (*sdkmetric.ManualReader, fx.Option) {
	r := sdkmetric.NewManualReader()
	return r, fx.Provide(func() metric.MeterProvider { return sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)) })
}

// sendOne runs the application for one send.
func sendOne(options ...fx.Option) {
	var p *core.Producer
	app := fx.New(basics(fx.Options(options...), fx.Populate(&p)))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	if _, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
}

// show prints the names of what was measured, and the boundaries of histograms.
func show(r *sdkmetric.ManualReader) {
	var rm metricdata.ResourceMetrics
	if err := r.Collect(context.Background(), &rm); err != nil {
		log.Fatal(err)
	}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		fmt.Print(m.Name)
		if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
			fmt.Print(" ", h.DataPoints[0].Bounds)
		}
		fmt.Println()
	}
}

func ExampleModule() {
	r, provider := reader()
	sendOne(provider, metricsfx.Module)
	show(r)
	// Unordered output:
	// messaging.client.operation.duration [0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10]
	// messaging.client.sent.messages
}

func ExampleWith() {
	r, provider := reader()
	sendOne(provider, metricsfx.With(metrics.WithDurationBuckets(0.01, 0.1, 1)))
	show(r)
	// Unordered output:
	// messaging.client.operation.duration [0.01 0.1 1]
	// messaging.client.sent.messages
}

// A graph without a meter provider would measure with OpenTelemetry's global one.
func ExampleRequireProvider() {
	err := fx.New(fx.NopLogger, metricsfx.Module, metricsfx.RequireProvider).Err()
	fmt.Println(strings.Contains(err.Error(), "missing type: metric.MeterProvider"))
	// Output: true
}

// New makes the step for one producer alone.
func ExampleNew() {
	r, provider := reader()
	var in struct {
		fx.In
		Measured *core.Producer `name:"measured"`
	}
	app := fx.New(basics(provider,
		rocketmqfx.Named("measured", func(p rocketmqfx.Params, graph metricsfx.Params) (*core.Producer, error) {
			m, err := metricsfx.New(graph, metrics.WithDurationBuckets(1))
			if err != nil {
				return nil, err
			}
			p.Hooks = append(p.Hooks, m)
			return rocketmqfx.New(liftoff.Config{Group: "measured"}, p)
		}),
		fx.Populate(&in)))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	if _, err := in.Measured.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
	show(r)
	// Unordered output:
	// messaging.client.operation.duration [1]
	// messaging.client.sent.messages
}
