package metrics_test

import (
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/hooks/metrics"
	"github.com/liftoff-mq/liftoff/internal/race"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

func TestSteadyStateAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	measure := func(steps ...core.Step) float64 {
		p := coretest.Start(t, coretest.Config(&coretest.Transport{Forget: true}, steps...))
		m := coretest.Message("x")
		return testing.AllocsPerRun(2000, func() {
			if _, err := p.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		})
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	m, err := metrics.New(metrics.WithMeterProvider(provider))
	if err != nil {
		t.Fatal(err)
	}
	without, with := measure(), measure(m.Step())
	t.Logf("allocations per send: %v without, %v with metrics", without, with)
	if with > without {
		t.Errorf("metrics cost %v allocations", with-without)
	}
}
