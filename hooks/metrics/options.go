package metrics

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Option changes what [New] makes.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	provider    metric.MeterProvider
	buckets     []float64
	destination func(topic string) string
	namespace   string
	attributes  []attribute.KeyValue
}

// DefaultBuckets are the boundaries, in seconds, that the conventions advise.
func DefaultBuckets() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
}

// LowLatencyBuckets are boundaries, in seconds, that start at half a millisecond:
// most sends inside one data centre would fall into the first default bucket.
func LowLatencyBuckets() []float64 {
	return []float64{0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

// WithMeterProvider sets the provider; nil means OpenTelemetry's global one.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.provider = p })
}

// WithDurationBuckets sets the boundaries of the duration's histogram in seconds,
// ascending; none means [DefaultBuckets]. A View of the SDK overrides them.
func WithDurationBuckets(boundaries ...float64) Option {
	return optionFunc(func(c *config) { c.buckets = slices.Clone(boundaries) })
}

// WithDestination maps topics to the value of messaging.destination.name, for
// programs with so many topics that each of them as a time series would be too
// much. An empty value leaves the attribute out. It runs once per set of
// attributes, not per send.
func WithDestination(f func(topic string) string) Option {
	return optionFunc(func(c *config) { c.destination = f })
}

// WithNamespace sets the attribute messaging.rocketmq.namespace; empty, the
// default, leaves it out, because the conventions do not have it on metrics.
func WithNamespace(namespace string) Option {
	return optionFunc(func(c *config) { c.namespace = namespace })
}

// WithAttributes adds attributes to every value, such as messaging.client.id, to tell
// producers of one process apart. Each combination of values is a time series.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return optionFunc(func(c *config) { c.attributes = slices.Concat(c.attributes, attributes) })
}
