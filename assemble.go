package liftoff

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// assemble makes core's configuration of what data and options say, and all mistakes that it
// finds on the way.
func assemble(cfg Config, options []Option) (core.Config, []error) {
	var p parts
	for i, o := range options {
		if o == nil {
			p.errs = append(p.errs, fmt.Errorf("option %d is nil", i))
			continue
		}
		o(&p)
	}
	c := core.Config{
		Group: cfg.Group, Timeout: cfg.Timeout, AttemptTimeout: cfg.AttemptTimeout,
		MaxInFlight: cfg.MaxInFlight, MaxInFlightBytes: cfg.MaxInFlightBytes, MaxWorkers: cfg.MaxWorkers,
		RouteRefresh: cfg.RouteRefresh, RouteTimeout: cfg.RouteTimeout,
		Steps: p.steps, Order: p.order, Selector: p.selector, Retry: p.retry, Budget: p.budget, Health: p.health,
		Policies: p.policies, Handlers: p.handlers, Transport: p.transport, Routes: p.routes, Own: p.own, Logger: cfg.Logger,
	}
	p.keep(addHooks(&c, cfg.Namespace, &p))
	p.keep(addStrategies(&c, &p))
	if !p.given {
		p.keep(addClient(&c, cfg))
	}
	return c, p.errs
}

func (p *parts) keep(err error) {
	if err != nil {
		p.errs = append(p.errs, err)
	}
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
		if c.Group != "" {
			c.Group = namespace.WrapGroup(ns, c.Group)
		}
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
	if c.Budget == nil && !p.noBudget {
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
func addClient(c *core.Config, cfg Config) error {
	settings := cfg.Client
	if len(settings.NameServers) > 0 {
		return errors.New("Client.NameServers is set: name servers belong into Config.NameServers")
	}
	settings.NameServers, settings.Logger = cfg.NameServers, cfg.Logger
	if len(settings.NameServers) == 0 {
		env := os.Getenv(NameServerEnv)
		if env == "" {
			return fmt.Errorf("no name server is given: set Config.NameServers or %s", NameServerEnv)
		}
		settings.NameServers = []string{env}
	}
	client, err := remoting.NewClient(settings)
	if err != nil {
		return err
	}
	c.Transport, c.Routes = client, client
	c.Own = append(c.Own, client)
	return nil
}

// unmade stands for a client that could not be made, while the other mistakes are looked for.
type unmade struct{}

var errUnmade = errors.New("the client was not made")

func (unmade) RoundTrip(context.Context, *core.Attempt) (*core.Result, error) { return nil, errUnmade }
func (unmade) Route(context.Context, string) (*core.Route, error)             { return nil, errUnmade }
