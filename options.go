package liftoff

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

// Option replaces a part of the default producer or adds one. Of options that replace the
// same part the last one counts, so a program can put its own behind common ones. A nil
// option, and an option that is given nil, is a mistake that New reports. To leave a part
// out there are options of their own, such as [WithoutBreaker].
type Option func(*parts)

// parts are what the options choose from. A nil part means the default.
type parts struct {
	errs      []error
	logger    *slog.Logger
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
	checker   core.TransactionChecker
	topics    []string
	handlers  map[core.ServerRequestKind]core.ServerRequestHandler
	carrier   carrier
	access    acl.Provider
	own       []core.Service
}

// carrier is what the producer sends through.
type carrier struct {
	given     bool // by an option
	transport core.Transport
	routes    core.RouteSource
	own       core.Service // started and stopped by the producer
}

// keep notes a mistake; a nil one is none.
func (p *parts) keep(err error) {
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

// there reports whether a part is not nil, and notes the mistake if it is.
func (p *parts) there(what string, part any) bool {
	if absent.Is(part) {
		p.keep(fmt.Errorf("%s is nil", what))
		return false
	}
	return true
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
			if p.there(fmt.Sprintf("WithHooks: hook %d", i), h) {
				p.steps = append(p.steps, h.Step())
			}
		}
	}
}

// WithOrder fixes the order of the steps outright.
func WithOrder(order core.Order) Option { return func(p *parts) { p.order = order } }

// WithSelector replaces the queue selector, by default [selector.Hash]: messages
// with a sharding key go to the key's queue, the others round-robin.
func WithSelector(f core.SelectorFactory) Option {
	return func(p *parts) {
		if p.there("WithSelector: the factory", f) {
			p.selector = f
		}
	}
}

// WithRetry replaces the retry policy, by default [retry.AtLeastOnce].
func WithRetry(policy core.RetryPolicy) Option {
	return func(p *parts) {
		if p.there("WithRetry: the policy", policy) {
			p.retry = policy
		}
	}
}

// WithBudget replaces the retry budget, by default one retry for ten sends that succeed,
// after a burst of Config.MaxInFlight, but at least 4,096.
func WithBudget(budget core.RetryBudget) Option {
	return func(p *parts) {
		if p.there("WithBudget: the budget", budget) {
			p.budget, p.noBudget = budget, false
		}
	}
}

// WithoutBudget grants every retry that the policy wants.
func WithoutBudget() Option { return func(p *parts) { p.budget, p.noBudget = nil, true } }

// WithHealth replaces the circuit breakers' view of the brokers' health. The
// breakers themselves stay; see [WithoutBreaker].
func WithHealth(view core.HealthView) Option {
	return func(p *parts) {
		if p.there("WithHealth: the view", view) {
			p.health = view
		}
	}
}

// WithPolicies sends topics by policies of their own; see [core.PolicySource]. What a policy
// does not name is the producer's: the options above and the defaults.
func WithPolicies(source core.PolicySource) Option {
	return func(p *parts) {
		if p.there("WithPolicies: the source", source) {
			p.policies = source
		}
	}
}

// WithPolicyFile sends topics by the policies of a YAML file; see package
// [github.com/liftoff-mq/liftoff/strategies/policyfile]. New reads the file, and its mistakes
// are New's error. While the producer runs it looks at the file once a second and takes what
// changes. Options register the program's own parts and change how often it looks; the parts
// and the watcher log to Config.Logger. To read the file anew by a call, make a
// [policyfile.Watcher] and give it to [WithPolicies].
func WithPolicyFile(path string, options ...policyfile.Option) Option {
	return func(p *parts) {
		options := append([]policyfile.Option{policyfile.WithLogger(p.logger)}, options...)
		w, err := policyfile.NewWatcher(path, options...)
		if err != nil {
			p.keep(err)
			return
		}
		p.policies = w
	}
}

// WithBreaker replaces the default circuit breakers.
func WithBreaker(b *breaker.Breakers) Option {
	return func(p *parts) {
		if p.there("WithBreaker: the breaker", b) {
			p.breaker, p.noBreaker = b, false
		}
	}
}

// WithoutBreaker leaves the circuit breakers out. Without [WithHealth] every
// broker then counts as healthy.
func WithoutBreaker() Option { return func(p *parts) { p.breaker, p.noBreaker = nil, true } }

// WithCompressor replaces the codec for bodies from 4 KiB, by default zlib.
func WithCompressor(codec core.Compressor) Option {
	return func(p *parts) {
		if p.there("WithCompressor: the codec", codec) {
			p.codec, p.noCodec = codec, false
		}
	}
}

// WithoutCompression sends every body as it is.
func WithoutCompression() Option { return func(p *parts) { p.codec, p.noCodec = nil, true } }

// WithLimits changes the limits of validation, such as the largest body.
func WithLimits(limits ...validate.Option) Option {
	return func(p *parts) { p.limits = append(p.limits, limits...) }
}

// WithHandler handles one kind of what servers ask of the producer group; see
// [core.ServerRequest].
func WithHandler(kind core.ServerRequestKind, h core.ServerRequestHandler) Option {
	return func(p *parts) {
		if p.there(fmt.Sprintf("WithHandler: the handler of %v", kind), h) {
			if p.handlers == nil {
				p.handlers = map[core.ServerRequestKind]core.ServerRequestHandler{}
			}
			p.handlers[kind] = h
		}
	}
}

// WithTransactions lets the producer send transactions ([Producer.SendTransaction]), of which
// the checker tells brokers what became. Topics are those of the transactions, without the
// namespace: the producer connects to their brokers when it starts, so that they find it after a
// restart. See docs/transactions.md. A second one is a mistake: whose answer would count?
func WithTransactions(checker core.TransactionChecker, topics ...string) Option {
	return func(p *parts) {
		if p.there("WithTransactions: the checker", checker) {
			if p.checker != nil {
				p.keep(errors.New("WithTransactions is given twice: a producer has one checker"))
			}
			p.checker = checker
			p.topics = append(p.topics, topics...)
		}
	}
}

// WithTransport replaces the client for real clusters by two parts of one's own. The
// producer does not start or stop them; the caller does, or [WithService].
func WithTransport(t core.Transport, r core.RouteSource) Option {
	return func(p *parts) {
		p.carrier = carrier{given: true}
		there, routed := p.there("WithTransport: the transport", t), p.there("WithTransport: the route source", r)
		if there && routed {
			p.carrier.transport, p.carrier.routes = t, r
		}
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
		p.carrier = carrier{given: true}
		if p.there("WithClient: the client", c) {
			p.carrier.transport, p.carrier.routes = c, c
		}
	}
}

// WithOwnClient makes the producer use a client that is its own: it is started with the
// producer and shut down after it.
func WithOwnClient(c Client) Option {
	return func(p *parts) {
		p.carrier = carrier{given: true}
		if p.there("WithOwnClient: the client", c) {
			p.carrier = carrier{given: true, transport: c, routes: c, own: c}
		}
	}
}

// WithCredentials makes the producer's own client sign its requests with the credentials of a
// provider, for clusters with access control. It is in place of Config.ACL. Beside
// [WithTransport] and [WithClient] it is a mistake, because such a client has its own signer.
func WithCredentials(provider acl.Provider) Option {
	return func(p *parts) {
		if p.there("WithCredentials: the provider", provider) {
			p.access = provider
		}
	}
}

// WithService makes the producer start s before itself and shut it down after.
func WithService(s core.Service) Option {
	return func(p *parts) {
		if p.there("WithService: the service", s) {
			p.own = append(p.own, s)
		}
	}
}
