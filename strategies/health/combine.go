package health

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// Worst combines views: a broker is as good as the worst of them says. Without views every
// broker is good.
//
// Views that listen to attempts and routes still do. One that is a [core.Service] is started and
// shut down with the combination, so it must not be given to the producer by itself as well
// ([core.Config].Own), and not to a second combination unless it copes with several starts, as
// [Reachability] does. Other roles of a view are not passed on.
//
// A nil view is a mistake: the result is nil then, and a producer refuses it by the name of
// its field.
func Worst(views ...core.HealthView) core.HealthView { return combine("worst", worst, views) }

// First combines views in an order of precedence: the first view that knows something bad of a
// broker, suspect or down, decides, and those behind it are not asked. Where no view knows
// anything bad the broker is good. A view cannot say by good that it knows better, because good
// means that nothing bad is known ([core.HealthGood]).
//
// So it differs from [Worst] in one case: where an earlier view says suspect and a later one
// down. It is for a view that shall soften what others say: brokers that it calls suspect are
// used when no good one is left, and not only as a last resort.
//
// What [Worst] says of listeners, services and nil holds here too.
func First(views ...core.HealthView) core.HealthView { return combine("first", first, views) }

// combine makes a combination with a name; judge is what tells it from others.
func combine(name string, judge func(views []core.HealthView, b core.Broker) core.Health, views []core.HealthView) *combination {
	for _, v := range views {
		if absent.Is(v) {
			return nil
		}
	}
	return &combination{name, judge, slices.Clone(views)}
}

// combination is several views that are used as one.
type combination struct {
	name  string
	judge func(views []core.HealthView, b core.Broker) core.Health
	views []core.HealthView
}

func worst(views []core.HealthView, b core.Broker) core.Health {
	h := core.HealthGood
	for _, v := range views {
		h = max(h, v.Health(b))
	}
	return h
}

func first(views []core.HealthView, b core.Broker) core.Health {
	for _, v := range views {
		if h := v.Health(b); h != core.HealthGood {
			return h
		}
	}
	return core.HealthGood
}

// Health implements [core.HealthView].
func (c *combination) Health(b core.Broker) core.Health { return c.judge(c.views, b) }

// AttemptDone implements [core.AttemptListener].
func (c *combination) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	for _, v := range c.views {
		if l, ok := v.(core.AttemptListener); ok {
			l.AttemptDone(ctx, r)
		}
	}
}

// RouteChanged implements [core.RouteListener].
func (c *combination) RouteChanged(r *core.RouteReport) {
	for _, v := range c.views {
		if l, ok := v.(core.RouteListener); ok {
			l.RouteChanged(r)
		}
	}
}

// Start implements [core.Service]. If a view cannot be started none runs afterwards.
func (c *combination) Start(ctx context.Context) error {
	var begun []core.Service
	all := false
	defer func() { // also if a view panics
		if !all {
			_ = shutDown(ctx, begun)
		}
	}()
	for _, v := range c.views {
		if s, ok := v.(core.Service); ok {
			if err := s.Start(ctx); err != nil {
				return err
			}
			begun = append(begun, s)
		}
	}
	all = true
	return nil
}

// Shutdown implements [core.Service].
func (c *combination) Shutdown(ctx context.Context) error {
	var running []core.Service
	for _, v := range c.views {
		if s, ok := v.(core.Service); ok {
			running = append(running, s)
		}
	}
	return shutDown(ctx, running)
}

// shutDown shuts services down, the last first.
func shutDown(ctx context.Context, services []core.Service) error {
	var errs []error
	for _, s := range slices.Backward(services) {
		errs = append(errs, s.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// BrokerReport implements [core.BrokerReporter]. It leaves out the views that are steps too,
// such as breakers: each of them reports as a step.
func (c *combination) BrokerReport(b core.Broker) []core.Setting {
	var all []core.Setting
	for _, v := range c.views {
		if _, isStep := v.(core.AttemptInterceptor); isStep {
			continue
		}
		if r, ok := v.(core.BrokerReporter); ok {
			all = append(all, r.BrokerReport(b)...)
		}
	}
	return all
}

// Describe implements [core.Describer]: what each view says of itself.
func (c *combination) Describe() core.Description {
	if len(c.views) == 0 {
		return core.Description{Summary: c.name + " of no views: every broker counts as good"}
	}
	var names []string
	var all []core.Setting
	for _, v := range c.views {
		d := core.Describe(v)
		names = append(names, d.Summary)
		all = append(all, d.Settings...)
	}
	return core.Description{Summary: c.name + " of " + strings.Join(names, " and "), Settings: all}
}
