package core_test

import (
	"context"
	"slices"
	"testing"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// routesOf is a route source that is the client too.
type routesOf struct {
	core.RouteSource
	*registrar
}

func (r routesOf) Route(ctx context.Context, topic string) (*core.Route, error) {
	return r.RouteSource.Route(ctx, topic)
}

// A transport within another one keeps its group: its client is the route source too.
func TestWrappedTransportRegisters(t *testing.T) {
	var log []string
	client := &registrar{log: &log}
	cfg := coretest.Config(struct{ core.Transport }{client})
	cfg.Routes = routesOf{cfg.Routes, client}
	p := coretest.Start(t, cfg)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"register test", "unregister test"}; !slices.Equal(log, want) {
		t.Errorf("log %v, want %v", log, want)
	}
}
