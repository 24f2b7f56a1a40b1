package health

import (
	"context"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
)

// Worst combines views: a broker is as good as the worst of them says. Without views every
// broker is good. Views that listen to attempts and routes still do. Other roles of a view
// are not passed on: one that is a [core.Service] has to be started by itself
// ([core.Config].Own).
//
// A nil view is a mistake: the result is nil then, and a producer refuses it by the name of
// its field.
func Worst(views ...core.HealthView) core.HealthView {
	for _, v := range views {
		if absent.Is(v) {
			return (*worst)(nil)
		}
	}
	return &worst{views: slices.Clone(views)}
}

type worst struct{ views []core.HealthView }

// Health implements [core.HealthView].
func (w *worst) Health(b core.Broker) core.Health {
	h := core.HealthGood
	for _, v := range w.views {
		h = max(h, v.Health(b))
	}
	return h
}

// AttemptDone implements [core.AttemptListener].
func (w *worst) AttemptDone(ctx context.Context, r *core.AttemptReport) {
	for _, v := range w.views {
		if l, ok := v.(core.AttemptListener); ok {
			l.AttemptDone(ctx, r)
		}
	}
}

// RouteChanged implements [core.RouteListener].
func (w *worst) RouteChanged(r *core.RouteReport) {
	for _, v := range w.views {
		if l, ok := v.(core.RouteListener); ok {
			l.RouteChanged(r)
		}
	}
}

// BrokerReport implements [core.BrokerReporter]. It leaves out the views that are steps too,
// such as breakers: each of them reports as a step.
func (w *worst) BrokerReport(b core.Broker) []core.Setting {
	var all []core.Setting
	for _, v := range w.views {
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
func (w *worst) Describe() core.Description {
	if len(w.views) == 0 {
		return core.Description{Summary: "worst of no views: every broker counts as good"}
	}
	var names []string
	var all []core.Setting
	for _, v := range w.views {
		d := core.Describe(v)
		names = append(names, d.Summary)
		all = append(all, d.Settings...)
	}
	return core.Description{Summary: "worst of " + strings.Join(names, " and "), Settings: all}
}
