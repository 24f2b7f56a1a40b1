package core_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
)

// slowRegistrar is a transport whose brokers do not answer when a group leaves.
type slowRegistrar struct{ coretest.Transport }

func (*slowRegistrar) RegisterGroup(context.Context, core.Registration) error { return nil }

func (*slowRegistrar) UnregisterGroup(ctx context.Context, _ string) error {
	<-ctx.Done() // brokers find out by themselves later, so this is no error
	return nil
}

// timed is a service that notes how much time it gets to shut down.
type timed struct{ left time.Duration }

func (*timed) Start(context.Context) error { return nil }

func (s *timed) Shutdown(ctx context.Context) error {
	if d, ok := ctx.Deadline(); ok {
		s.left = time.Until(d)
	}
	return ctx.Err()
}

// Brokers that do not answer the unregistering leave time to close the
// connections to them.
func TestUnregisteringLeavesTimeForTheServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := coretest.Config(&slowRegistrar{})
		s := &timed{}
		cfg.Own = []core.Service{s}
		p, err := core.NewProducer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if s.left <= 0 {
			t.Errorf("the service got %v", s.left)
		}
	})
}
