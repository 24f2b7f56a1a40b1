package tracingfx_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/tracing"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/modules/tracingfx"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func basics(tr *coretest.Transport, more ...fx.Option) fx.Option {
	return fx.Options(append([]fx.Option{
		fx.NopLogger, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
		fx.Provide(func() (core.Transport, core.RouteSource) { return tr, coretest.Routes(1, "a", "b") }),
	}, more...)...)
}

// provider provides a tracer provider that shuts down with the application.
func provider(p *sdktrace.TracerProvider) fx.Option {
	return fx.Provide(func(lc fx.Lifecycle) trace.TracerProvider {
		lc.Append(fx.StopHook(p.Shutdown))
		return p
	})
}

func TestProviderOfTheGraph(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tr := &coretest.Transport{}
	var p *core.Producer
	opts := basics(tr, tracingfx.RequireProvider, tracingfx.With(tracing.WithNamespace("n"), tracing.WithAttemptSpans(true)),
		provider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))),
		fx.Provide(func() propagation.TextMapPropagator { return propagation.TraceContext{} }), fx.Populate(&p))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts).RequireStart()
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	app.RequireStop()
	if n := len(spans.Ended()); n != 2 {
		t.Errorf("%d spans, want send and attempt", n)
	}
	if !strings.Contains(tr.Attempts()[0].Properties, "traceparent") {
		t.Errorf("message carries %q", tr.Attempts()[0].Properties)
	}
	if s := p.Pipeline().String(); !strings.HasPrefix(s, "call     observe  otel.trace ") {
		t.Errorf("pipeline:\n%s", s)
	}
}

func TestProviderOfTheGlobals(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	defer otel.SetTracerProvider(noop.NewTracerProvider())
	tr := &coretest.Transport{}
	var p *core.Producer
	app := fxtest.New(t, basics(tr, tracingfx.Module, fx.Populate(&p))).RequireStart()
	defer app.RequireStop()
	if _, err := p.Send(t.Context(), coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	if n := len(spans.Ended()); n != 1 {
		t.Errorf("%d spans, want 1", n)
	}
	if !strings.Contains(tr.Attempts()[0].Properties, "traceparent") {
		t.Errorf("message carries %q", tr.Attempts()[0].Properties)
	}
}

func TestWithoutTheModule(t *testing.T) {
	var p *core.Producer
	app := fxtest.New(t, basics(&coretest.Transport{}, provider(sdktrace.NewTracerProvider()), fx.Populate(&p)))
	app.RequireStart().RequireStop()
	if s := p.Pipeline().String(); strings.Contains(s, "otel") {
		t.Errorf("pipeline:\n%s", s)
	}
}

func TestOneNamedProducer(t *testing.T) {
	var in struct {
		fx.In
		Default *core.Producer
		Traced  *core.Producer `name:"traced"`
	}
	app := fxtest.New(t, basics(&coretest.Transport{}, fx.Populate(&in),
		rocketmqfx.Named("traced", func(p rocketmqfx.Params, graph tracingfx.Params) (*core.Producer, error) {
			step, err := tracingfx.New(graph)
			if err != nil {
				return nil, err
			}
			p.Hooks = append(p.Hooks, step)
			return rocketmqfx.New(liftoff.Config{Group: "traced"}, p)
		})))
	app.RequireStart().RequireStop()
	if strings.Contains(in.Default.Pipeline().String(), "otel.trace") || !strings.Contains(in.Traced.Pipeline().String(), "otel.trace") {
		t.Errorf("default:\n%straced:\n%s", in.Default.Pipeline(), in.Traced.Pipeline())
	}
}

// The producer drains before the provider of the graph shuts down: the span of a
// send that ends during the stop is exported.
func TestSpansOfTheDrainAreKept(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	kept := &keeper{InMemoryExporter: exporter}
	release, entered := make(chan struct{}), make(chan struct{})
	tr := &coretest.Transport{}
	tr.Do = func(_ context.Context, at *core.Attempt) (*core.Result, error) {
		close(entered)
		<-release
		return tr.Ack(at), nil
	}
	var p *core.Producer
	app := fxtest.New(t, basics(tr, tracingfx.Module,
		provider(sdktrace.NewTracerProvider(sdktrace.WithBatcher(kept))), fx.Populate(&p))).RequireStart()
	p.SendAsync(t.Context(), coretest.Message("x"), nil)
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- app.Stop(context.Background()) }()
	for p.State() != core.StateShutdown {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if kept.spans != 1 {
		t.Errorf("%d spans exported, want that of the drained send", kept.spans)
	}
}

// keeper counts what the in-memory exporter forgets at its shutdown.
type keeper struct {
	*tracetest.InMemoryExporter
	spans int
}

func (k *keeper) ExportSpans(ctx context.Context, s []sdktrace.ReadOnlySpan) error {
	k.spans += len(s)
	return k.InMemoryExporter.ExportSpans(ctx, s)
}

func TestRequireProvider(t *testing.T) {
	type key struct{}
	tests := map[string]fx.Option{
		"none":                 fx.Options(),
		"not as the interface": fx.Provide(func() *sdktrace.TracerProvider { return sdktrace.NewTracerProvider() }),
		"broken":               fx.Provide(func(*key) trace.TracerProvider { return noop.NewTracerProvider() }),
	}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			app := func(more ...fx.Option) fx.Option {
				return basics(&coretest.Transport{}, append(more, opts, tracingfx.Module, fx.Invoke(func(*core.Producer) {}))...)
			}
			if err := fx.ValidateApp(app(tracingfx.RequireProvider)); err == nil {
				t.Error("no error with RequireProvider")
			}
			if err := fx.New(app()).Err(); err != nil {
				t.Errorf("without it: %v", err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	tests := map[string]struct {
		opts fx.Option
		says string
	}{
		"nil option":                {tracingfx.With(nil), "tracingfx: option 0 is nil"},
		"nil option behind another": {tracingfx.With(tracing.WithBodySize(), nil), "tracingfx: option 1 is nil"},
		"twice":                     {fx.Options(tracingfx.Module, tracingfx.Module), `step "otel.trace": given more than once`},
		"With beside Module":        {fx.Options(tracingfx.Module, tracingfx.With(tracing.WithBodySize())), `step "otel.trace": given more than once`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := fx.New(basics(&coretest.Transport{}, fx.Invoke(func(*core.Producer) {}), tt.opts)).Err()
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error that says %s", err, tt.says)
			}
		})
	}
}

// recorder provides a tracer provider that keeps the spans.
func recorder() (*tracetest.SpanRecorder, fx.Option) {
	spans := tracetest.NewSpanRecorder()
	return spans, provider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
}

// sendOne runs the application for one send.
func sendOne(options ...fx.Option) {
	var p *core.Producer
	app := fx.New(basics(&coretest.Transport{}, fx.Options(options...), fx.Populate(&p)))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	if _, err := p.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
}

func ExampleModule() {
	spans, provider := recorder()
	sendOne(provider, tracingfx.Module)
	for _, s := range spans.Ended() {
		fmt.Println(s.Name())
	}
	// Output: send Orders
}

func ExampleWith() {
	spans, provider := recorder()
	sendOne(provider, tracingfx.With(tracing.WithAttemptSpans(true)))
	for _, s := range spans.Ended() {
		fmt.Println(s.Name())
	}
	// Output:
	// attempt Orders
	// send Orders
}

// A graph without a tracer provider would trace with OpenTelemetry's global one.
func ExampleRequireProvider() {
	err := fx.New(fx.NopLogger, tracingfx.Module, tracingfx.RequireProvider).Err()
	fmt.Println(strings.Contains(err.Error(), "missing type: trace.TracerProvider"))
	// Output: true
}

// New makes the step for one producer alone, or for each with options of its own.
func ExampleNew() {
	spans, provider := recorder()
	var in struct {
		fx.In
		Traced *core.Producer `name:"traced"`
	}
	app := fx.New(basics(&coretest.Transport{}, provider,
		rocketmqfx.Named("traced", func(p rocketmqfx.Params, graph tracingfx.Params) (*core.Producer, error) {
			step, err := tracingfx.New(graph, tracing.WithClientID("traced"))
			if err != nil {
				return nil, err
			}
			p.Hooks = append(p.Hooks, step)
			return rocketmqfx.New(liftoff.Config{Group: "traced"}, p)
		}),
		fx.Populate(&in)))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	if _, err := in.Traced.Send(ctx, &core.Message{Topic: "Orders", Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(spans.Ended()), "span")
	// Output: 1 span
}
