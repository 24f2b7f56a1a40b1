package liftoff

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/namespace"
	"github.com/liftoff-mq/liftoff/hooks/validate"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

// assemble makes core's configuration of what cfg and options say. Beside an error, which
// has all mistakes that it met, the configuration is as complete as it could be made.
func assemble(cfg Config, options []Option) (core.Config, error) {
	cfg.Logger = logqueue.New(cfg.Logger) // one queue, so that the parts' lines stay in order
	p := parts{logger: cfg.Logger}
	for i, o := range options {
		if p.there(fmt.Sprintf("option %d", i), o) {
			o(&p)
		}
	}
	c := core.Config{
		Group: cfg.Group, Timeout: cfg.Timeout, AttemptTimeout: cfg.AttemptTimeout,
		MaxInFlight: cfg.MaxInFlight, MaxInFlightBytes: cfg.MaxInFlightBytes, MaxWorkers: cfg.MaxWorkers,
		RouteRefresh: cfg.RouteRefresh, RouteTimeout: cfg.RouteTimeout,
		Steps: p.steps, Order: p.order, Selector: p.selector, Retry: p.retry, Budget: p.budget, Health: p.health,
		Policies: p.policies, Handlers: p.handlers, Own: p.own, Logger: cfg.Logger,
		TransactionChecker: p.checker, Unpack: compress.Unpack,
	}
	for _, topic := range slices.Concat(cfg.Topics, p.topics) {
		c.Topics = append(c.Topics, namespace.Wrap(cfg.Namespace, topic))
	}
	if cfg.Namespace != "" && cfg.Client.NamespaceV2 != "" {
		p.keep(errors.New("both Namespace and Client.NamespaceV2 are set, which are versions 1 and 2 of the same thing: set one of them"))
	}
	p.keep(addHooks(&c, cfg.Namespace, &p))
	p.keep(addStrategies(&c, &p))
	p.keep(addTransport(&c, cfg, &p))
	return c, errors.Join(p.errs...)
}

// addHooks adds the default steps: validation, namespace, compression.
func addHooks(c *core.Config, ns string, p *parts) error {
	var errs []error
	if v, err := validate.New(p.limits...); err != nil {
		errs = append(errs, err)
	} else {
		c.Steps = append(c.Steps, v.Step())
	}
	if ns != "" {
		if n, err := namespace.New(ns); err != nil {
			errs = append(errs, err)
		} else {
			c.Steps = append(c.Steps, n.Step())
			c.Group = namespace.WrapGroup(ns, c.Group)
		}
	}
	if !p.noCodec {
		if z, err := compression(p.codec); err != nil {
			errs = append(errs, err)
		} else {
			c.Steps = append(c.Steps, z.Step())
		}
	}
	return errors.Join(errs...)
}

// maxBurst keeps a mistaken MaxInFlight from being told as one of the budget: core tells it.
const maxBurst = 1 << 24

func compression(codec core.Compressor) (*compress.Compression, error) {
	if codec == nil {
		var err error
		if codec, err = compress.Zlib(compress.DefaultLevel); err != nil {
			return nil, err
		}
	}
	return compress.New(codec)
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
		burst := min(max(c.MaxInFlight, core.DefaultMaxInFlight), maxBurst)
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

// addTransport takes the transport and the routes that an option gave, or makes the
// producer's own client of a real cluster.
func addTransport(c *core.Config, cfg Config, p *parts) (err error) {
	use := p.carrier
	switch {
	case !use.given:
		var client *remoting.Client
		if client, err = newClient(cfg, p.access); err == nil {
			use = carrier{transport: client, routes: client, own: client}
		}
	case p.access != nil:
		err = errors.New("WithCredentials is given beside a client: give the client the signer, remoting.Config.Signer")
	}
	if use.transport == nil { // why is reported already, so core must not miss it as well
		use.transport, use.routes = new(remoting.Client), new(remoting.Client)
	}
	c.Transport, c.Routes = use.transport, use.routes
	if use.own != nil {
		c.Own = append(c.Own, use.own)
	}
	return err
}

func newClient(cfg Config, access acl.Provider) (*remoting.Client, error) {
	settings := cfg.Client
	if settings.Logger == nil {
		settings.Logger = cfg.Logger
	}
	var wrong error
	settings.Signer, wrong = signer(cfg, access, settings.Logger)
	if len(settings.NameServers) > 0 {
		return nil, errors.Join(errors.New("Client.NameServers is set: name servers belong into Config.NameServers"), wrong)
	}
	if settings.NameServers = cfg.NameServers; len(settings.NameServers) == 0 && settings.Discovery.IsZero() {
		env := os.Getenv(NameServerEnv)
		if env == "" {
			return nil, errors.Join(fmt.Errorf("no name server is given: set Config.NameServers, Config.Client.Discovery or %s", NameServerEnv), wrong)
		}
		settings.NameServers = []string{env}
	}
	client, err := remoting.NewClient(settings)
	return client, errors.Join(err, wrong)
}

// signer is the one that credentials need, or that the client's settings have.
func signer(cfg Config, access acl.Provider, log *slog.Logger) (remoting.Signer, error) {
	switch own := cfg.Client.Signer; {
	case access == nil && cfg.ACL.IsZero():
		return own, nil
	case own != nil:
		return nil, errors.New("both credentials and Client.Signer are given: give one of them")
	case access != nil && !cfg.ACL.IsZero():
		return nil, errors.New("both Config.ACL and WithCredentials are given: give one of them")
	}
	var s *acl.Signer
	var err error
	if access != nil {
		s, err = acl.NewSigner(access)
	} else {
		s, err = cfg.ACL.Signer(log)
	}
	if err != nil {
		return nil, err // not s: a nil pointer in the settings would be a second error
	}
	return s, nil
}
