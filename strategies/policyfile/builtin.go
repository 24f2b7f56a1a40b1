package policyfile

import (
	"errors"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/hooks/compress"
	"github.com/liftoff-mq/liftoff/hooks/sendrules"
	"github.com/liftoff-mq/liftoff/strategies/breaker"
	"github.com/liftoff-mq/liftoff/strategies/health"
	"github.com/liftoff-mq/liftoff/strategies/limit"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/strategies/selector"
)

// builtins are the parts that come with Liftoff, registered as a program registers its own.
func builtins() []Option {
	return []Option{
		WithSelector("roundRobin", simple(selector.RoundRobin)),
		WithSelector("random", simple(selector.Random)),
		WithSelector("leastInFlight", simple(selector.LeastInFlight)),
		WithSelector("hash", buildHash),
		WithSelector("weighted", buildWeighted),
		WithSelector("powerOfTwo", buildPowerOfTwo),
		WithSelector("sticky", buildSticky),
		WithSelector("zone", buildZone),
		WithSelector("healthy", wrapper(selector.Healthy)),
		WithSelector("avoidTried", wrapper(selector.AvoidTried)),
		WithSelector("fallback", buildFallback),
		WithRetry("atLeastOnce", retries(retry.AtLeastOnce)),
		WithRetry("safe", retries(retry.Safe)),
		WithRetry("java5", java(retry.Java5)),
		WithRetry("java49", java(retry.Java49)),
		WithRetry("none", func(*Options) (core.RetryPolicy, error) { return retry.None(), nil }),
		WithBackoff("exponential", buildExponential),
		WithBackoff("decorrelated", buildDecorrelated),
		WithHealth("breaker", buildBreaker),
		WithHealth("latency", buildLatency),
		WithHealth("reachability", buildReachability),
		WithHealth("worst", combination(health.Worst)),
		WithHealth("first", combination(health.First)),
		WithHealth("none", func(*Options) (core.HealthView, error) { return health.Worst(), nil }),
		WithBudget("tokens", buildBudget),
		WithBudget("none", func(*Options) (core.RetryBudget, error) { return unlimited{}, nil }),
		WithCompressor("zlib", levels(compress.Zlib, 9)),
		WithCompressor("zstd", levels(compress.Zstd, 22)),
		WithCompressor("lz4", func(*Options) (core.Compressor, error) { return compress.LZ4(), nil }),
		WithLimit("rate", buildRate),
		WithLimit("bulkhead", buildBulkhead),
		WithLimit("adaptive", buildAdaptive),
	}
}

// simple is a selector without options.
func simple(made func() core.SelectorFactory) build[core.SelectorFactory] {
	return func(*Options) (core.SelectorFactory, error) { return made(), nil }
}

// wrapper is a selector around another one.
func wrapper(made func(core.SelectorFactory) core.SelectorFactory) build[core.SelectorFactory] {
	return func(o *Options) (core.SelectorFactory, error) {
		var inner core.SelectorFactory
		if o.Selector("of", &inner); !o.Has("of") {
			return nil, errors.New(`it needs "of", the selector that it watches over`)
		}
		return made(inner), nil
	}
}

func buildFallback(o *Options) (core.SelectorFactory, error) {
	var first, second core.SelectorFactory
	o.Selector("first", &first)
	if o.Selector("second", &second); !o.Has("first") || !o.Has("second") {
		return nil, errors.New(`it needs "first" and "second", two selectors`)
	}
	return selector.Fallback(first, second), nil
}

func buildHash(o *Options) (core.SelectorFactory, error) {
	var cfg selector.HashConfig
	o.Selector("rest", &cfg.Rest)
	o.Into(&cfg)
	return selector.NewHash(cfg)
}

func buildWeighted(o *Options) (core.SelectorFactory, error) {
	var cfg selector.WeightedConfig
	o.Into(&cfg)
	return selector.NewWeighted(cfg)
}

func buildPowerOfTwo(o *Options) (core.SelectorFactory, error) {
	var cfg selector.PowerOfTwoConfig
	o.Into(&cfg)
	return selector.NewPowerOfTwo(cfg)
}

func buildSticky(o *Options) (core.SelectorFactory, error) {
	var cfg selector.StickyConfig
	o.Selector("of", &cfg.Inner)
	o.Into(&cfg)
	return selector.NewSticky(cfg)
}

func buildZone(o *Options) (core.SelectorFactory, error) {
	var cfg selector.ZoneConfig
	o.Selector("of", &cfg.Inner)
	o.Into(&cfg)
	return selector.NewZone(cfg)
}

func buildBreaker(o *Options) (core.HealthView, error) {
	cfg := breaker.Config{Logger: o.Logger()}
	o.Into(&cfg)
	return breaker.New(cfg)
}

func buildLatency(o *Options) (core.HealthView, error) {
	var cfg health.Config
	var java string
	o.Choice("java", &java, "5", "4.9")
	o.Into(&cfg)
	switch {
	case o.Has("java") && o.Has("table"):
		return nil, errors.New(`it has both "java" and "table", which are two tables`)
	case java == "4.9":
		cfg.Table = health.Java49()
	}
	return health.NewLatency(cfg)
}

func buildReachability(o *Options) (core.HealthView, error) {
	var cfg health.ReachabilityConfig
	o.Into(&cfg)
	return health.NewReachability(cfg)
}

// combination is a view of several views.
func combination(made func(...core.HealthView) core.HealthView) build[core.HealthView] {
	return func(o *Options) (core.HealthView, error) {
		var views []core.HealthView
		if o.HealthViews("of", &views); !o.Has("of") {
			return nil, errors.New(`it needs "of", the list of views`)
		}
		return made(views...), nil
	}
}

func buildRate(o *Options) (Stepper, error) {
	var cfg limit.RateConfig
	o.Into(&cfg)
	return limit.NewRate(cfg)
}

func buildBulkhead(o *Options) (Stepper, error) {
	var cfg limit.BulkheadConfig
	o.Into(&cfg)
	return limit.NewBulkhead(cfg)
}

func buildAdaptive(o *Options) (Stepper, error) {
	var cfg limit.AdaptiveConfig
	o.Into(&cfg)
	return limit.NewAdaptive(cfg)
}

// maxBody is the largest body that rules can allow: no frame can carry more.
const maxBody = 16 << 20

// buildRules makes the step of what stands below "rules".
func buildRules(o *Options) (Stepper, error) {
	const required, optional = "required", "optional"
	key, ordered := optional, optional
	o.Choice("key", &key, required, optional)
	o.Choice("ordered", &ordered, required, optional)
	cfg := sendrules.Config{}
	o.Size("maxBody", &cfg.MaxBody, 1, maxBody)
	o.Into(&cfg)
	cfg.Key, cfg.Ordered = key == required, ordered == required
	return sendrules.New(cfg)
}

func buildBudget(o *Options) (core.RetryBudget, error) {
	ratio, burst := retry.DefaultRatio, retry.DefaultBurst
	o.Float("ratio", &ratio, 0, 1)
	o.Int("burst", &burst, 1, maxBurst)
	return retry.NewBudget(ratio, burst)
}

// levels is a codec with a level.
func levels(made func(level int) (core.Compressor, error), most int) build[core.Compressor] {
	return func(o *Options) (core.Compressor, error) {
		level := compress.DefaultLevel
		o.Int("level", &level, 1, most)
		return made(level)
	}
}

// unlimited grants every retry.
type unlimited struct{}

// Withdraw implements [core.RetryBudget].
func (unlimited) Withdraw(*core.Failure) bool { return true }

// Deposit implements [core.RetryBudget].
func (unlimited) Deposit() {}

// Describe implements [core.Describer].
func (unlimited) Describe() core.Description {
	return core.Description{Summary: "none: every retry is granted"}
}
