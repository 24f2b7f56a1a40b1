package selector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/plausible"
)

// ZoneConfig configures a selector that prefers some brokers.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names.
type ZoneConfig struct {
	// Brokers are the zone's: names, or beginnings of names with a * behind them, such as
	// "eu-1-*". One is needed.
	Brokers []string `json:"brokers" yaml:"brokers" env:"BROKERS"`
	// Inner chooses within the zone, and another selector of it among the other brokers;
	// [RoundRobin] by default. It listens, if it is a listener, as it would by itself.
	Inner core.SelectorFactory `json:"-" yaml:"-"`
}

// UnmarshalJSON refuses unknown members.
func (c *ZoneConfig) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero.
func (c ZoneConfig) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// withDefaults fills the zero values and reports everything that is wrong.
func (c ZoneConfig) withDefaults() (ZoneConfig, error) {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, plausible.Named("Brokers", errors.New("is empty: name the zone's brokers, or beginnings of their names with a * behind them")))
	}
	for i, b := range c.Brokers {
		var wrong error
		switch before, _, star := strings.Cut(b, "*"); {
		case b == "":
			wrong = errors.New("is empty")
		case b == "*":
			wrong = errors.New("is *, every broker: that is no zone")
		case star && len(before) != len(b)-1:
			wrong = fmt.Errorf("is %q: a * stands at the end only", b)
		}
		errs = append(errs, plausible.Named(fmt.Sprintf("Brokers[%d]", i), wrong))
	}
	c.Brokers = slices.Clone(c.Brokers)
	switch {
	case c.Inner == nil:
		c.Inner = RoundRobin()
	case absent.Is(c.Inner):
		errs = append(errs, plausible.Named("Inner", fmt.Errorf("is a nil %T", c.Inner)))
	}
	return c, errors.Join(errs...)
}

// has reports whether a broker is of the zone.
func (c *ZoneConfig) has(broker string) bool {
	return slices.ContainsFunc(c.Brokers, func(b string) bool {
		if prefix, star := strings.CutSuffix(b, "*"); star {
			return strings.HasPrefix(broker, prefix)
		}
		return b == broker
	})
}

// NewZone makes a selector that chooses among a zone's brokers, and among the others where
// one of those has a better rank (see the package comment) than all of the zone: where the
// zone's are down, tried by the call, or suspect. It reports all mistakes in cfg at once.
//
// So messages stay near, where that is quicker or costs less, and a zone without a broker does
// not stop a producer in it. The trade-off: the load of a zone's brokers is what its producers
// make. As long as one broker of the zone is well it gets all of it; how much it can carry
// nobody asks. Inner divides the messages within the zone as it does among all queues, and so
// among the others.
//
// For a second choice of zones let Inner be such a selector too. A route whose brokers are all
// of the zone, or none, is inner's alone. Messages whose choice inner requires to be
// consistent go where inner says, among all queues: a key must not move with the zone's
// health. A pick costs what inner's costs and, where the zone ails, a look at each broker.
func NewZone(cfg ZoneConfig) (core.SelectorFactory, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("selector zone: %w", err)
	}
	// Two selectors of one factory: each has its own turn.
	o := outer{
		inner: []core.SelectorFactory{cfg.Inner, cfg.Inner},
		say: func(inner []core.Description) core.Description {
			return core.Description{Summary: "a zone's brokers first", Settings: []core.Setting{
				{Name: "zone", Value: strings.Join(cfg.Brokers, ", ")},
				{Name: "spills over", Value: "where others are healthier or not tried yet"},
				{Name: "in the zone and outside", Value: inner[0].String()},
			}}
		},
		around: func(inner []core.QueueSelector) (core.QueueSelector, requirer) {
			consistent := consistencyOf(inner[0])
			s := &zone{inside: inner[0], outside: inner[1], consistent: consistent}
			s.parts.make = func(r *core.Route) *parts {
				in, out := split(r, func(q core.Queue) bool { return cfg.has(q.Broker) })
				return &parts{in, out}
			}
			return s, consistent
		},
	}
	return o.factory(), nil
}

type zone struct {
	inside, outside core.QueueSelector
	consistent      requirer
	parts           perRoute[parts]
}

// parts are a route's queues in the zone and outside.
type parts struct{ inside, outside part }

// Select implements [core.QueueSelector].
func (s *zone) Select(ctx context.Context, sel *core.Selection) (int, error) {
	if requires(s.consistent, sel.Message()) {
		return s.inside.Select(ctx, sel)
	}
	p := s.parts.of(sel.Route())
	switch {
	case p.outside.empty():
		return s.inside.Select(ctx, sel)
	case p.inside.empty():
		return s.outside.Select(ctx, sel)
	}
	if near := p.inside.rank(sel); near == fresh || near <= p.outside.rank(sel) {
		return p.inside.choose(ctx, s.inside, sel)
	}
	return p.outside.choose(ctx, s.outside, sel)
}
