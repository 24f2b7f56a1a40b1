package tracing

import (
	"context"

	"github.com/liftoff-mq/liftoff/core"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Option changes what [New] makes.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	provider     trace.TracerProvider
	propagators  propagation.TextMapPropagator
	filter       Filter
	spanName     SpanNameFormatter
	attributes   AttributesFn
	createSpans  bool
	attemptSpans bool
	bodySize     bool
	keys         bool
	unsampled    bool
	namespace    string
	clientID     string
}

// Filter reports whether a call is traced. A call that is not gets no span and
// no context in its message. It runs once per call, on hot paths. Operations, such as a
// recall, are not asked about: they are rare, and always traced.
type Filter func(ctx context.Context, call *core.Call) bool

// SpanNameFormatter names a span: operation is "send", "request", "create", "attempt" or "recall",
// and m the message, in a batch's send span the first. For a recall, which has no message,
// m has the topic alone. It must not write to m.
type SpanNameFormatter func(operation string, m *core.Message) string

// AttributesFn gives more attributes for the start of a "send", "request", "create" or "recall" span,
// where samplers see them. For a recall m has the topic alone. It must not write to m.
type AttributesFn func(ctx context.Context, operation string, m *core.Message) []attribute.KeyValue

// WithTracerProvider sets the provider; nil means OpenTelemetry's global one.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.provider = p })
}

// WithPropagators sets what writes the context into messages; nil means
// OpenTelemetry's global one.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) { c.propagators = p })
}

// WithFilter traces only the calls for which f is true; a nil f means all.
func WithFilter(f Filter) Option {
	return optionFunc(func(c *config) { c.filter = f })
}

// WithSpanNameFormatter replaces the names "{operation} {topic}"; nil keeps them.
func WithSpanNameFormatter(f SpanNameFormatter) Option {
	return optionFunc(func(c *config) { c.spanName = f })
}

// WithAttributesFn adds attributes to spans at their start; nil adds none.
func WithAttributesFn(f AttributesFn) Option {
	return optionFunc(func(c *config) { c.attributes = f })
}

// WithCreateSpans says whether each message of a batch gets a span of its own,
// which is the default. Without them all messages of a batch carry the context
// of the one send span.
func WithCreateSpans(on bool) Option {
	return optionFunc(func(c *config) { c.createSpans = on })
}

// WithAttemptSpans says whether attempts are child spans instead of events of
// the send span, which is the default.
func WithAttemptSpans(on bool) Option {
	return optionFunc(func(c *config) { c.attemptSpans = on })
}

// WithBodySize adds the size of the uncompressed body in bytes. The conventions
// leave it out unless it is asked for.
func WithBodySize() Option {
	return optionFunc(func(c *config) { c.bodySize = true })
}

// WithMessageKeys adds the keys of messages. By default they are left out: keys are what
// messages are looked up by, so they tend to name orders and people, and spans go to more
// places than messages do. The conventions recommend them, and allow a recommended attribute
// to be left out for privacy where it can be asked for. The sharding key of an ordered message
// stays: the conventions require it (messaging.rocketmq.message.group).
func WithMessageKeys() Option {
	return optionFunc(func(c *config) { c.keys = true })
}

// WithUnsampledParents says whether the sampler is asked about sends below a span
// that is not sampled itself. By default it is not: samplers that heed the parent,
// as OpenTelemetry's default does, say no, and finding out costs some 12 allocations.
func WithUnsampledParents(on bool) Option {
	return optionFunc(func(c *config) { c.unsampled = on })
}

// WithNamespace sets the attribute messaging.rocketmq.namespace at the start of
// spans, for samplers and for create spans; it is always present and empty by
// default. When a send span ends it becomes the namespace that the message went
// out with, if it had one.
func WithNamespace(namespace string) Option {
	return optionFunc(func(c *config) { c.namespace = namespace })
}

// WithClientID sets the attribute messaging.client.id. Empty means that of the transport's
// client, under which brokers know it.
func WithClientID(id string) Option {
	return optionFunc(func(c *config) { c.clientID = id })
}
