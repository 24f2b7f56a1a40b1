package health

import (
	"context"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
)

// Worst combines views: a broker is as good as the worst of them says. Views
// that listen to attempts and routes still do. Nil views are left out; with
// none left every broker is good.
func Worst(views ...core.HealthView) core.HealthView {
	return &worst{views: slices.DeleteFunc(slices.Clone(views), func(v core.HealthView) bool { return v == nil })}
}

type worst struct{ views []core.HealthView }

// Health implements [core.HealthView].
func (w *worst) Health(broker string) core.Health {
	h := core.HealthGood
	for _, v := range w.views {
		h = max(h, v.Health(broker))
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
