// Package liftoff is a RocketMQ producer that you compose: a send runs through a
// chain of interceptors around pluggable strategies for queue selection and retry.
//
// This package is the front door for programs that do not use fx. [New]
// assembles the default producer; options replace its parts. It decides defaults
// and nothing else: messages, results and every contract live in package core,
// the parts in hooks, strategies and transport. The fx modules under modules use
// the same assembly, [Defaults].
//
// A whole synchronous or asynchronous send through the default chain makes 2
// allocations, the circuit breaker's and the text of the broker's answer; a
// one-way send makes 1. A test in internal/faulttest holds that.
package liftoff

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// NameServerEnv is the environment variable that names the name servers when
// the configuration does not (Java: MixAll.NAMESRV_ADDR_ENV).
const NameServerEnv = "NAMESRV_ADDR"

// Config holds what almost every program sets. Only Group and, unless
// [WithTransport] or NAMESRV_ADDR is given, NameServers are required; zero
// values of the rest mean the defaults of [core.Config].
type Config struct {
	// Group is the producer group: 1 to 120 bytes of [%|a-zA-Z0-9_-].
	Group string
	// NameServers are the name servers, host:port each, in the forms that
	// [remoting.Config] allows; without any, those of the environment variable
	// NAMESRV_ADDR.
	NameServers []string
	// Namespace is put in front of the group and of every topic, as "ns%topic".
	Namespace string
	// Timeout is the time of one call, AttemptTimeout the cap of one attempt
	// while another broker is left.
	Timeout, AttemptTimeout time.Duration
	// MaxInFlight and MaxInFlightBytes bound asynchronous sends.
	MaxInFlight      int
	MaxInFlightBytes int64
	// Serialization is the header's form on the wire, binary by default.
	Serialization remoting.Serialization
	// Logger gets what no error can report. Nil means silence.
	Logger *slog.Logger
}

// Option replaces a part of the default producer or adds one. Nil, as an option
// and as the part that an option gives, means the default.
type Option func(*parts)

// parts are what the options choose from. A nil part means the default.
type parts struct {
	steps     []core.Step
	order     core.Order
	selector  core.SelectorFactory
	retry     core.RetryPolicy
	budget    core.RetryBudget
	health    core.HealthView
	breaker   *breaker.Breakers
	noBreaker bool
	codec     core.Compressor
	noCodec   bool
	limits    []validate.Option
	transport core.Transport
	routes    core.RouteSource
	own       []core.Service
	dial      func(ctx context.Context, network, addr string) (net.Conn, error)
}

// WithSteps adds steps to the pipeline: interceptors, hooks, listeners.
func WithSteps(steps ...core.Step) Option {
	return func(p *parts) { p.steps = append(p.steps, steps...) }
}

// WithOrder fixes the order of the steps outright.
func WithOrder(order core.Order) Option { return func(p *parts) { p.order = order } }

// WithSelector replaces the queue selector, by default [selector.Hash]: messages
// with a sharding key go to the key's queue, the others round-robin.
func WithSelector(f core.SelectorFactory) Option { return func(p *parts) { p.selector = f } }

// WithRetry replaces the retry policy, by default [retry.AtLeastOnce].
func WithRetry(policy core.RetryPolicy) Option { return func(p *parts) { p.retry = policy } }

// WithBudget replaces the retry budget, by default one retry for ten sends after a
// burst of MaxInFlight, but at least 4,096.
func WithBudget(budget core.RetryBudget) Option { return func(p *parts) { p.budget = budget } }

// WithHealth replaces the circuit breakers' view of the brokers' health. The
// breakers themselves stay; see [WithoutBreaker].
func WithHealth(view core.HealthView) Option { return func(p *parts) { p.health = view } }

// WithBreaker replaces the default circuit breakers.
func WithBreaker(b *breaker.Breakers) Option { return func(p *parts) { p.breaker = b } }

// WithoutBreaker leaves the circuit breakers out. Without [WithHealth] every
// broker then counts as healthy.
func WithoutBreaker() Option { return func(p *parts) { p.noBreaker = true } }

// WithCompressor replaces the codec for bodies from 4 KiB, by default zlib.
func WithCompressor(codec core.Compressor) Option { return func(p *parts) { p.codec = codec } }

// WithoutCompression sends every body as it is.
func WithoutCompression() Option { return func(p *parts) { p.noCodec = true } }

// WithLimits changes the limits of validation, such as the largest body.
func WithLimits(limits ...validate.Option) Option {
	return func(p *parts) { p.limits = append(p.limits, limits...) }
}

// WithTransport replaces the client for real clusters. The producer does not
// start or stop it; the caller does, or [WithService].
func WithTransport(t core.Transport, r core.RouteSource) Option {
	return func(p *parts) { p.transport, p.routes = t, r }
}

// WithService makes the producer start s before itself and shut it down after.
func WithService(s core.Service) Option { return func(p *parts) { p.own = append(p.own, s) } }

// WithDial replaces how connections to name servers and brokers are opened.
func WithDial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(p *parts) { p.dial = dial }
}

// New makes the default producer with its own client, changed by options. It
// does no I/O and starts no goroutine. Start makes the producer ready and asks no
// server either: a cluster that is down is the first send's error.
func New(cfg Config, options ...Option) (*core.Producer, error) {
	c, err := Defaults(cfg, options...)
	if err != nil {
		return nil, err
	}
	return core.NewProducer(c)
}

// Defaults is the assembly behind [New]: the configuration of the producer that
// New would make. Programs change it where no option reaches.
func Defaults(cfg Config, options ...Option) (core.Config, error) {
	var p parts
	for _, o := range options {
		if o != nil {
			o(&p)
		}
	}
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	c := core.Config{
		Group: cfg.Group, Timeout: cfg.Timeout, AttemptTimeout: cfg.AttemptTimeout,
		MaxInFlight: cfg.MaxInFlight, MaxInFlightBytes: cfg.MaxInFlightBytes,
		Steps: p.steps, Order: p.order, Selector: p.selector, Retry: p.retry, Budget: p.budget,
		Health: p.health, Transport: p.transport, Routes: p.routes, Own: p.own, Logger: cfg.Logger,
	}
	keep(addHooks(&c, cfg.Namespace, &p))
	keep(addStrategies(&c, &p))
	if p.transport == nil && p.routes == nil {
		keep(addClient(&c, cfg, &p))
	}
	if err := errors.Join(errs...); err != nil {
		return core.Config{}, fmt.Errorf("producer %q: %w", cfg.Group, err)
	}
	return c, nil
}

// addHooks adds the default steps: validation, namespace, compression.
func addHooks(c *core.Config, ns string, p *parts) error {
	v, err := validate.New(p.limits...)
	if err != nil {
		return err
	}
	c.Steps = append(c.Steps, v.Step())
	if ns != "" {
		n, err := namespace.New(ns)
		if err != nil {
			return err
		}
		c.Steps = append(c.Steps, n.Step())
		c.Group = namespace.WrapGroup(ns, c.Group)
	}
	if p.noCodec {
		return nil
	}
	codec := p.codec
	if codec == nil {
		if codec, err = compress.Zlib(compress.DefaultLevel); err != nil {
			return err
		}
	}
	z, err := compress.New(codec)
	if err != nil {
		return err
	}
	c.Steps = append(c.Steps, z.Step())
	return nil
}

// addStrategies fills the strategies that no option gave.
func addStrategies(c *core.Config, p *parts) error {
	if c.Selector == nil {
		c.Selector = selector.Hash()
	}
	if c.Retry == nil {
		c.Retry = retry.AtLeastOnce()
	}
	if c.Budget == nil {
		// A broker that goes away fails everything in flight at once: that much
		// may be retried, and beyond it a share of what succeeds.
		burst := max(c.MaxInFlight, core.DefaultMaxInFlight)
		budget, err := retry.NewBudget(retry.DefaultRatio, burst)
		if err != nil {
			return err
		}
		c.Budget = budget
	}
	if p.noBreaker {
		return nil
	}
	b := p.breaker
	if b == nil {
		var err error
		if b, err = breaker.New(breaker.Config{Logger: c.Logger}); err != nil {
			return err
		}
	}
	c.Steps = append(c.Steps, b.Step())
	if c.Health == nil {
		c.Health = b
	}
	return nil
}

// addClient makes the producer's own client of a real cluster.
func addClient(c *core.Config, cfg Config, p *parts) error {
	servers := cfg.NameServers
	if len(servers) == 0 {
		env := os.Getenv(NameServerEnv)
		if env == "" {
			return fmt.Errorf("no name server is given: set Config.NameServers or %s", NameServerEnv)
		}
		servers = []string{env}
	}
	client, err := remoting.NewClient(remoting.Config{
		NameServers: servers, Serialization: cfg.Serialization, Dial: p.dial, Logger: cfg.Logger,
	})
	if err != nil {
		return err
	}
	c.Transport, c.Routes = client, client
	c.Own = append(c.Own, client)
	return nil
}
