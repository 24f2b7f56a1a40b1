package rocketmqfx_test

import (
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"go.uber.org/fx"
)

func newAudit(p rocketmqfx.Params) (*core.Producer, error) {
	p.Steps = append(p.Steps, passing("own"))
	p.Options = append(p.Options, liftoff.WithoutBreaker())
	p.Retry = coretest.Retry(3)
	return rocketmqfx.New(liftoff.Config{Group: "audit-group"}, p)
}

// bare takes nothing of the application's but the transport, and something else of the graph.
func newBare(p rocketmqfx.Params, group string) (*core.Producer, error) {
	return rocketmqfx.New(liftoff.Config{Group: group},
		rocketmqfx.Params{Lifecycle: p.Lifecycle, Transport: p.Transport, Routes: p.Routes})
}

func TestNamedProducers(t *testing.T) {
	tr := &coretest.Transport{}
	var in struct {
		fx.In
		Default *core.Producer
		Audit   *core.Producer `name:"audit"`
		Bare    *core.Producer `name:"bare"`
	}
	opts := basics(tr,
		rocketmqfx.AsStep(func() core.Step { return passing("shared") }),
		rocketmqfx.Named("audit", newAudit), rocketmqfx.Named("bare", newBare),
		fx.Supply("bare-group"), fx.Populate(&in))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	run(t, opts)
	tests := []struct {
		p             *core.Producer
		group         string
		call, attempt []string
	}{
		{in.Default, "orders", []string{"shared", "validate", "compress.zlib"}, []string{"breaker"}},
		{in.Audit, "audit-group", []string{"own", "shared", "validate", "compress.zlib"}, nil},
		{in.Bare, "bare-group", []string{"validate", "compress.zlib"}, []string{"breaker"}},
	}
	for _, tt := range tests {
		must(t, tt.p)
		call, attempt := tt.p.Pipeline().Names()
		if tt.p.Group() != tt.group || !slices.Equal(call, tt.call) || !slices.Equal(attempt, tt.attempt) {
			t.Errorf("group %q with steps %v and %v, want %q with %v and %v", tt.p.Group(), call, attempt, tt.group, tt.call, tt.attempt)
		}
	}
	if n := len(tr.Attempts()); n != len(tests) {
		t.Errorf("%d sends over the transport that they share, want %d", n, len(tests))
	}
}

// An application may have named producers alone. Each is made only if something takes it.
func TestNamedAlone(t *testing.T) {
	var in struct {
		fx.In
		Audit *core.Producer `name:"audit"`
	}
	run(t, fx.NopLogger, over(&coretest.Transport{}), rocketmqfx.Named("audit", newAudit),
		rocketmqfx.Named("unused", func() *core.Producer { t.Error("it was made"); return nil }), fx.Populate(&in))
	must(t, in.Audit)
}

// Without the application's transport a named producer has a client of its own.
func TestNamedClient(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	shared := &coretest.Transport{}
	var in struct {
		fx.In
		Default *core.Producer
		Own     *core.Producer `name:"own"`
	}
	run(t, basics(shared, fx.Populate(&in), rocketmqfx.Named("own", func(p rocketmqfx.Params) (*core.Producer, error) {
		p.Transport, p.Routes = nil, nil
		return rocketmqfx.New(liftoff.Config{Group: "own", NameServers: cluster.NameServers()}, p)
	})))
	must(t, in.Default)
	must(t, in.Own)
	if len(shared.Attempts()) != 1 || cluster.StoredCount("T") != 1 {
		t.Errorf("%d sends over the shared transport, %d to the own cluster", len(shared.Attempts()), cluster.StoredCount("T"))
	}
}
