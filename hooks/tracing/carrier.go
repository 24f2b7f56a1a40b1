package tracing

import (
	"context"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The properties that are left out first when there is no room for all.
const (
	baggage    = "baggage"
	tracestate = "tracestate"
)

// carrier collects what the propagators want to write, so that its size can be
// judged before anything is set.
type carrier struct{ entries []core.Property }

var _ propagation.TextMapCarrier = (*carrier)(nil)

// Get finds what Set collected.
func (c *carrier) Get(key string) string {
	if i := c.index(key); i >= 0 {
		return c.entries[i].Value
	}
	return ""
}

// Set collects a property. One that RocketMQ cannot encode is left out, because
// it would fail the send.
func (c *carrier) Set(key, value string) {
	if rocketmq.CheckProperty(key, value) != nil {
		return
	}
	if i := c.index(key); i >= 0 {
		c.entries[i].Value = value
		return
	}
	c.entries = append(c.entries, core.Property{Name: key, Value: value})
}

// Keys lists what was collected.
func (c *carrier) Keys() []string {
	keys := make([]string, len(c.entries))
	for i, e := range c.entries {
		keys[i] = e.Name
	}
	return keys
}

func (c *carrier) index(key string) int {
	return slices.IndexFunc(c.entries, func(e core.Property) bool { return e.Name == key })
}

func (c *carrier) reset() {
	clear(c.entries)
	c.entries = c.entries[:0]
}

// created is the creation context that the user put into the message, if any.
func (t *Tracing) created(m *core.Message) trace.SpanContext {
	if len(m.Properties) == 0 {
		return trace.SpanContext{}
	}
	// Background: the span of the caller's context must not pass for the message's.
	ctx := t.propagators.Extract(context.Background(), propagation.MapCarrier(m.Properties))
	return trace.SpanContextFromContext(ctx)
}

// inject sets ctx's trace context and baggage as properties of what is sent, as
// far as the limit of the properties allows.
func (t *Tracing) inject(ctx context.Context, out *core.Outgoing) {
	c := t.carriers.Get().(*carrier)
	defer t.carriers.Put(c)
	defer c.reset()
	t.propagators.Inject(ctx, c)
	if len(c.entries) == 0 {
		return
	}
	// Baggage that the user put into the message is the user's word.
	if _, own := out.Message().Properties[baggage]; own {
		c.drop(baggage)
	}
	size := out.PropertiesSize()
	for _, e := range c.entries {
		size += growth(out, e)
	}
	for size > rocketmq.MaxPropertiesLength && len(c.entries) > 0 {
		victim := c.entries[0]
		for _, name := range []string{baggage, tracestate} {
			if i := c.index(name); i >= 0 {
				victim = c.entries[i]
				break
			}
		}
		size -= growth(out, victim)
		c.drop(victim.Name)
	}
	for _, e := range c.entries {
		out.SetProperty(e.Name, e.Value)
	}
}

// drop leaves out a property.
func (c *carrier) drop(name string) {
	c.entries = slices.DeleteFunc(c.entries, func(e core.Property) bool { return e.Name == name })
}

// growth is by how many bytes e makes the encoded properties longer, less what it
// replaces.
func growth(out *core.Outgoing, e core.Property) int {
	n := rocketmq.PropertyLength(len(e.Name), len(e.Value))
	if old, ok := out.Property(e.Name); ok {
		n -= rocketmq.PropertyLength(len(e.Name), len(old))
	}
	return n
}
