package liftoff

import (
	"fmt"
	"reflect"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
)

// Option replaces a part of the default producer or adds one. A nil option, and an option
// that gives a nil part, is a mistake that New reports. To leave a part out there are
// options of their own, such as [WithoutBreaker].
type Option func(*parts)

// parts are what the options choose from. A nil part means the default.
type parts struct {
	errs      []error
	steps     []core.Step
	order     core.Order
	selector  core.SelectorFactory
	retry     core.RetryPolicy
	budget    core.RetryBudget
	noBudget  bool
	health    core.HealthView
	policies  core.PolicySource
	breaker   *breaker.Breakers
	noBreaker bool
	codec     core.Compressor
	noCodec   bool
	limits    []validate.Option
	handlers  map[core.ServerRequestKind]core.ServerRequestHandler
	given     bool // transport and routes were
	transport core.Transport
	routes    core.RouteSource
	own       []core.Service
}

// set takes a part, unless it is nil.
func set[T any](p *parts, option string, part *T, value T) {
	if isNil(value) {
		p.errs = append(p.errs, fmt.Errorf("%s: it is given nil", option))
		return
	}
	*part = value
}

func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan, reflect.Interface:
		return r.IsNil()
	}
	return false
}

// WithSteps adds steps to the pipeline: interceptors, hooks, listeners.
func WithSteps(steps ...core.Step) Option {
	return func(p *parts) { p.steps = append(p.steps, steps...) }
}

// Stepper is a part that places itself in the pipeline, as all of package hooks do.
type Stepper interface{ Step() core.Step }

// WithHooks adds parts that place themselves in the pipeline: WithHooks(h) is
// WithSteps(h.Step()).
func WithHooks(hooks ...Stepper) Option {
	return func(p *parts) {
		for i, h := range hooks {
			if isNil(h) {
				p.errs = append(p.errs, fmt.Errorf("WithHooks: hook %d is nil", i))
				continue
			}
			p.steps = append(p.steps, h.Step())
		}
	}
}

// WithOrder fixes the order of the steps outright.
func WithOrder(order core.Order) Option { return func(p *parts) { p.order = order } }

// WithSelector replaces the queue selector, by default [selector.Hash]: messages
// with a sharding key go to the key's queue, the others round-robin.
func WithSelector(f core.SelectorFactory) Option {
	return func(p *parts) { set(p, "WithSelector", &p.selector, f) }
}

// WithRetry replaces the retry policy, by default [retry.AtLeastOnce].
func WithRetry(policy core.RetryPolicy) Option {
	return func(p *parts) { set(p, "WithRetry", &p.retry, policy) }
}

// WithBudget replaces the retry budget, by default one retry for ten sends after a
// burst of MaxInFlight, but at least 4,096.
func WithBudget(budget core.RetryBudget) Option {
	return func(p *parts) { set(p, "WithBudget", &p.budget, budget) }
}

// WithoutBudget grants every retry that the policy wants.
func WithoutBudget() Option { return func(p *parts) { p.noBudget = true } }

// WithHealth replaces the circuit breakers' view of the brokers' health. The
// breakers themselves stay; see [WithoutBreaker].
func WithHealth(view core.HealthView) Option {
	return func(p *parts) { set(p, "WithHealth", &p.health, view) }
}

// WithPolicies sends topics by policies of their own; see [core.PolicySource]. What a policy
// does not name is the producer's: the options above and the defaults.
func WithPolicies(source core.PolicySource) Option {
	return func(p *parts) { set(p, "WithPolicies", &p.policies, source) }
}

// WithBreaker replaces the default circuit breakers.
func WithBreaker(b *breaker.Breakers) Option {
	return func(p *parts) { set(p, "WithBreaker", &p.breaker, b) }
}

// WithoutBreaker leaves the circuit breakers out. Without [WithHealth] every
// broker then counts as healthy.
func WithoutBreaker() Option { return func(p *parts) { p.noBreaker = true } }

// WithCompressor replaces the codec for bodies from 4 KiB, by default zlib.
func WithCompressor(codec core.Compressor) Option {
	return func(p *parts) { set(p, "WithCompressor", &p.codec, codec) }
}

// WithoutCompression sends every body as it is.
func WithoutCompression() Option { return func(p *parts) { p.noCodec = true } }

// WithLimits changes the limits of validation, such as the largest body.
func WithLimits(limits ...validate.Option) Option {
	return func(p *parts) { p.limits = append(p.limits, limits...) }
}

// WithHandler handles one kind of what servers ask of the producer group; see
// [core.ServerRequest].
func WithHandler(kind core.ServerRequestKind, h core.ServerRequestHandler) Option {
	return func(p *parts) {
		if isNil(h) {
			p.errs = append(p.errs, fmt.Errorf("WithHandler(%v): it is given nil", kind))
			return
		}
		if p.handlers == nil {
			p.handlers = map[core.ServerRequestKind]core.ServerRequestHandler{}
		}
		p.handlers[kind] = h
	}
}

// WithTransport replaces the client for real clusters. The producer does not
// start or stop it; the caller does, or [WithService].
func WithTransport(t core.Transport, r core.RouteSource) Option {
	return func(p *parts) {
		p.given = true
		set(p, "WithTransport: the transport", &p.transport, t)
		set(p, "WithTransport: the route source", &p.routes, r)
	}
}

// Client is a client of a cluster: it carries messages and knows the routes. It is what
// [remoting.NewClient] makes.
type Client interface {
	core.Transport
	core.RouteSource
	core.Service
}

// WithClient makes the producer use a client that others use too. The producer does not
// start or stop it.
func WithClient(c Client) Option {
	return func(p *parts) {
		if p.given = true; isNil(c) {
			p.errs = append(p.errs, fmt.Errorf("WithClient: it is given nil"))
			return
		}
		p.transport, p.routes = c, c
	}
}

// WithOwnClient makes the producer use a client that is its own: it is started with the
// producer and shut down after it.
func WithOwnClient(c Client) Option {
	return func(p *parts) {
		if WithClient(c)(p); !isNil(c) {
			p.own = append(p.own, c)
		}
	}
}

// WithService makes the producer start s before itself and shut it down after.
func WithService(s core.Service) Option {
	return func(p *parts) {
		if isNil(s) {
			p.errs = append(p.errs, fmt.Errorf("WithService: it is given nil"))
			return
		}
		p.own = append(p.own, s)
	}
}
