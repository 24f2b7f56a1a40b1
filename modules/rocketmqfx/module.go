package rocketmqfx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/forbid"
	"github.com/liftoff-mq/liftoff/hooks/sendhook"
	"go.uber.org/fx"
)

// Module provides the application's *core.Producer and its *core.Pipeline.
// Include it once; see [Named] for more producers.
var Module = fx.Module("rocketmq",
	fx.Supply(Scope(""), fx.Private),
	fx.Provide(New),
)

// Params are what the application's producer is made of.
type Params struct {
	fx.In

	// Config must leave NameServers and Serialization unset: they belong to the
	// transport's configuration here.
	Config liftoff.Config
	Deps
}

// Deps are what every producer is made of beside its configuration.
type Deps struct {
	fx.In

	Lifecycle fx.Lifecycle
	Transport core.Transport
	Routes    core.RouteSource
	Scope     Scope
	// Logger is used if Config has none. Its absence is harmless.
	Logger *slog.Logger `optional:"true"`

	Steps       []core.Step     `group:"rocketmq.steps"`
	Hooks       []Stepper       `group:"rocketmq.hooks"`
	ForbidHooks []forbid.Hook   `group:"rocketmq.forbid"`
	SendHooks   []sendhook.Hook `group:"rocketmq.sendhooks"`
	Choices     []Choice        `group:"rocketmq.choices"`
}

// Result is what Module provides.
type Result struct {
	fx.Out

	Producer *core.Producer
	Pipeline *core.Pipeline
}

// New assembles the producer and ties it to the application's lifecycle.
func New(p Params) (Result, error) { return p.Deps.producer(p.Config) }

func (p *Deps) producer(config liftoff.Config) (Result, error) {
	steps, stepErr := p.steps()
	options, pickErr := pick(p.Scope, p.Choices)
	var cfgErr error
	if len(config.NameServers) > 0 || config.Serialization != 0 {
		cfgErr = errors.New("liftoff.Config has NameServers or Serialization, which belong to the transport here: see remotingfx")
	}
	if config.Logger == nil {
		config.Logger = p.Logger
	}
	options = append(options, liftoff.WithSteps(steps...), liftoff.WithTransport(p.Transport, p.Routes))
	cfg, err := liftoff.Defaults(config, options...)
	if err := errors.Join(stepErr, pickErr, cfgErr, err); err != nil {
		who := "the application's producer"
		if p.Scope != "" {
			who = fmt.Sprintf("producer %q", p.Scope)
		}
		return Result{}, fmt.Errorf("rocketmqfx: %s: %w", who, err)
	}
	producer, err := core.NewProducer(cfg)
	if err != nil {
		return Result{}, fmt.Errorf("rocketmqfx: %w", err)
	}
	p.Lifecycle.Append(fx.Hook{
		OnStart: producer.Start,
		OnStop: func(ctx context.Context) error {
			ctx, cancel := half(ctx)
			defer cancel()
			return producer.Shutdown(ctx)
		},
	})
	return Result{Producer: producer, Pipeline: producer.Pipeline()}, nil
}

// steps are all steps that the application adds.
func (p *Deps) steps() ([]core.Step, error) {
	var errs []error
	steps := append([]core.Step(nil), p.Steps...)
	for _, h := range p.Hooks {
		steps = append(steps, h.Step())
	}
	for _, h := range p.ForbidHooks {
		check, err := forbid.New(h)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		steps = append(steps, check.Step())
	}
	for _, h := range p.SendHooks {
		observer, err := sendhook.New(h)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		steps = append(steps, observer.Step())
	}
	return steps, errors.Join(errs...)
}

// half leaves the other half of the time to the hooks that stop after this one:
// fx has one time-out for all of them.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// Eager makes the producer even if nobody asks for it. Inside [Named] it makes
// that producer.
func Eager() fx.Option { return fx.Invoke(func(*core.Producer) {}) }

var producerName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// Named makes a producer of its own under a name: letters, digits, dots, dashes
// and underscores. Consumers take it as a *core.Producer tagged `name:"..."`.
//
// It needs a configuration of its own, by [Configure] or [AsConfig]; it never
// takes the application's. Parts given here directly are for this producer alone.
// Other fx options are allowed; what they provide without fx.Private the whole
// application sees.
func Named(name string, options ...fx.Option) fx.Option {
	if !producerName.MatchString(name) {
		return fx.Error(fmt.Errorf("rocketmqfx: producer name %q is not made of letters, digits, dots, dashes and underscores", name))
	}
	tag := Tag(name)
	all := make([]fx.Option, 0, len(options))
	configured := false
	for _, o := range options {
		if p, ok := o.(Part); ok {
			o = p.scoped(Scope(name))
			configured = configured || p.configures
		}
		all = append(all, o)
	}
	if !configured {
		return fx.Error(fmt.Errorf("rocketmqfx: producer %q has no configuration: give Named a Configure or an AsConfig of its own", name))
	}
	all = append(all,
		fx.Supply(Scope(name), fx.Private),
		fx.Provide(fx.Annotate(func(c liftoff.Config) ownConfig { return ownConfig{c} }, fx.ParamTags(configTag(Scope(name)))), fx.Private),
		fx.Provide(func(p ownParams) (Result, error) { return p.Deps.producer(p.Config.Config) }, fx.Private),
		fx.Provide(fx.Annotate(func(p *core.Producer, l *core.Pipeline) (*core.Producer, *core.Pipeline) { return p, l }, fx.ResultTags(tag, tag))),
	)
	return fx.Module("rocketmq."+name, all...)
}

// ownConfig is the configuration of a named producer. The type is not the
// application's, so that neither the application's configuration nor a decorator
// of it, which fx applies in every module, can take its place.
type ownConfig struct{ liftoff.Config }

type ownParams struct {
	fx.In

	Config ownConfig
	Deps
}

// Tag is the struct tag under which a named producer and its pipeline are found,
// for fx.ParamTags.
func Tag(name string) string { return fmt.Sprintf(`name:%q`, name) }

func configTag(s Scope) string { return fmt.Sprintf(`name:"rocketmq.config of %s"`, s) }

// Configure gives the configuration of the producer.
func Configure(cfg liftoff.Config) Part { return AsConfig(func() liftoff.Config { return cfg }) }

// AsConfig gives the configuration of the producer: ctor returns a liftoff.Config
// and perhaps an error.
func AsConfig(ctor any) Part {
	p := newPart(func(s Scope, private []any) fx.Option {
		if s != "" {
			return provide(private, fx.Annotate(ctor, fx.ResultTags(configTag(s))))
		}
		return fx.Provide(ctor)
	})
	p.configures = true
	return p
}
