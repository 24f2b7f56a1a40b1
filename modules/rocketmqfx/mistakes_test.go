package rocketmqfx_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"go.uber.org/fx"
)

type rules struct{}

func firstRetry() core.RetryPolicy   { return coretest.NoRetry() }
func secondRetry() core.RetryPolicy  { return coretest.NoRetry() }
func firstTable() *core.PolicyTable  { return &core.PolicyTable{Default: ownPolicy} }
func secondTable() *core.PolicyTable { return &core.PolicyTable{Default: ownPolicy} }
func plainTable() core.PolicySource  { return firstTable() }

// A part that is given twice is an error that names both places.
func TestGivenTwice(t *testing.T) {
	step := func() core.Step { return passing("twin") }
	tests := []struct {
		name      string
		app       fx.Option
		validates bool
		says      []string
	}{
		{"provided", fx.Provide(firstRetry, secondRetry), true, []string{"mistakes_test.go:", "secondRetry", "already provided by", "firstRetry", "core.RetryPolicy"}},
		{"used", fx.Options(rocketmqfx.Use[core.RetryPolicy](firstRetry), rocketmqfx.Use[core.RetryPolicy](secondRetry)), true, []string{"mistakes_test.go:", "secondRetry", "already provided by", "firstRetry"}},
		{"used as another type", fx.Options(rocketmqfx.Use[core.PolicySource](firstTable), rocketmqfx.Use[core.PolicySource](secondTable)), true, []string{`secondTable (`, "already provided by", "firstTable (", "mistakes_test.go:"}},
		{"used as another type, then provided", fx.Options(rocketmqfx.Use[core.PolicySource](firstTable), fx.Provide(plainTable)), true, []string{"plainTable (", "already provided by", "firstTable ("}},
		{"provided, then used as another type", fx.Options(fx.Provide(plainTable), rocketmqfx.Use[core.PolicySource](firstTable)), true, []string{"firstTable (", "already provided by", "plainTable ("}},
		{"used and provided", fx.Options(rocketmqfx.Use[core.RetryPolicy](firstRetry), fx.Provide(secondRetry)), true, []string{"secondRetry", "already provided by", "firstRetry"}},
		{"closures", fx.Provide(func() core.HealthView { return nil }, func() core.HealthView { return nil }), true, []string{"mistakes_test.go:", "already provided by", "core.HealthView"}},
		{"plain steps", fx.Provide(step, func() core.Step { return passing("other") }), true, []string{"already provided by", "core.Step", "mistakes_test.go:"}},
		{"steps of one name", fx.Options(rocketmqfx.AsStep(step), rocketmqfx.AsStep(step)), false, []string{`step "twin": given more than once`}},
		{"a step of the default producer", rocketmqfx.AsStep(func() core.Step { return passing("validate") }), false, []string{`step "validate": given more than once`}},
		{"the configuration", fx.Supply(liftoff.Config{Group: "h"}), true, []string{"already provided by", "liftoff.Config", "mistakes_test.go:"}},
		{"the module", rocketmqfx.Module, true, []string{"already provided by", "rocketmqfx\".New", "*core.Producer"}},
		{"a name", fx.Options(rocketmqfx.Named("audit", newAudit), rocketmqfx.Named("audit", newBare)), true, []string{"already provided by", `name="audit"`, "newAudit", "newBare", "named_test.go:"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantErr(t, tt.validates, basics(&coretest.Transport{}, asked, tt.app), tt.says...)
		})
	}
}

// What fx would drop where it is optional is an error that names what is missing and the
// constructor that wants it.
func TestMissingDependencyIsReported(t *testing.T) {
	tests := map[string]struct {
		app  fx.Option
		says string
	}{
		"part":     {rocketmqfx.Use[core.SelectorFactory](func(*rules) core.SelectorFactory { return coretest.InOrder() }), "mistakes_test.go:"},
		"concrete": {rocketmqfx.Use[core.RetryPolicy](func(*rules) *counting { return nil }), "mistakes_test.go:"},
		"step":     {rocketmqfx.AsStep(func(*rules) core.Step { return passing("x") }), "mistakes_test.go:"},
		"option":   {rocketmqfx.AsOption(func(*rules) liftoff.Option { return liftoff.WithoutBreaker() }), "mistakes_test.go:"},
		"hook":     {rocketmqfx.AsHook(func(*rules) *hook { return nil }), "mistakes_test.go:"},
		"named": {
			fx.Options(rocketmqfx.Named("x", func(*rules) *core.Producer { return nil }), fx.Invoke(fx.Annotate(func(*core.Producer) {}, fx.ParamTags(`name:"x"`)))),
			"mistakes_test.go:",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wantErr(t, true, basics(&coretest.Transport{}, asked, tt.app), "missing type: *rocketmqfx_test.rules", tt.says)
		})
	}
}

// Something else in place of a constructor is an error that names the helper and the place.
func TestNoConstructor(t *testing.T) {
	tests := map[string]struct {
		app  fx.Option
		says string
	}{
		"nil part":             {rocketmqfx.Use[core.RetryPolicy](nil), "is given a <nil>, want a function that returns a core.RetryPolicy"},
		"part":                 {rocketmqfx.Use[core.RetryBudget](&counting{}), "is given a *rocketmqfx_test.counting, want a function that returns a core.RetryBudget"},
		"part that is a func":  {rocketmqfx.Use[core.RetryPolicy](coretest.NoRetry()), "is given a core.RetryPolicyFunc, want"},
		"part of another type": {rocketmqfx.Use[core.RetryPolicy](func() *rules { return nil }), "Use at"},
		"selector, no factory": {rocketmqfx.Use[core.QueueSelector](func() core.QueueSelector { return nil }), "Use at"},
		"interceptor":          {rocketmqfx.Use[core.Interceptor](func() core.Interceptor { return nil }), "is given a core.Interceptor, which no producer takes: the parts are "},
		"policy":               {rocketmqfx.Use[*core.Policy](func() *core.Policy { return nil }), "core.PolicySource, *breaker.Breakers, core.Compressor"},
		"anything":             {rocketmqfx.Use[fmt.Stringer](func() fmt.Stringer { return nil }), "is given a fmt.Stringer, which no producer takes"},
		"nil step":             {rocketmqfx.AsStep(nil), "AsStep at"},
		"step":                 {rocketmqfx.AsStep(passing("x")), "is given a core.Step, want a function that returns a core.Step"},
		"step that is a hook":  {rocketmqfx.AsStep(func() *hook { return nil }), "is given a func() *rocketmqfx_test.hook, want a function that returns a core.Step"},
		"nil hook":             {rocketmqfx.AsHook(nil), "AsHook at"},
		"hook":                 {rocketmqfx.AsHook(&hook{}), "want a function that returns a liftoff.Stepper"},
		"hook without Step":    {rocketmqfx.AsHook(func() *counting { return nil }), "is given a func() *rocketmqfx_test.counting, want"},
		"option":               {rocketmqfx.AsOption(liftoff.WithoutBreaker()), "AsOption at"},
		"nothing returned":     {rocketmqfx.AsStep(func() {}), "is given a func(), want"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			wantErr(t, true, basics(&coretest.Transport{}, tt.app), "rocketmqfx: ", tt.says, "mistakes_test.go:")
		})
	}
}

func TestBrokenPartsAreReported(t *testing.T) {
	tests := map[string]struct {
		app  fx.Option
		says []string
	}{
		"constructor fails":       {fx.Provide(func() (core.RetryPolicy, error) { return nil, io.ErrUnexpectedEOF }), []string{"unexpected EOF", "mistakes_test.go:"}},
		"constructor returns nil": {rocketmqfx.Use[core.RetryPolicy](func() core.RetryPolicy { return nil }), []string{"the constructor of the core.RetryPolicy returned nil"}},
		"nil of a concrete type":  {rocketmqfx.Use[core.RetryPolicy](func() *counting { return nil }), []string{"WithRetry", "nil"}},
		"nil hook":                {rocketmqfx.AsHook(func() *hook { return nil }), []string{"rocketmqfx: a constructor given to AsHook returned a nil *rocketmqfx_test.hook"}},
		"nil hook of no type":     {rocketmqfx.AsHook(func() liftoff.Stepper { return nil }), []string{"rocketmqfx: a constructor given to AsHook returned nil"}},
		"nil option":              {rocketmqfx.AsOption(func() liftoff.Option { return nil }), []string{"rocketmqfx: a constructor given to AsOption returned nil"}},
		"step without a stage":    {rocketmqfx.AsStep(func() core.Step { return core.CallStep("floating", core.StageNone, &counting{}) }), []string{`"floating"`}},
		"bad order":               {fx.Supply(core.Order{Call: []string{"validate"}}), []string{"missing in the call order"}},
		"a transport alone":       {fx.Decorate(func(core.RouteSource) core.RouteSource { return nil }), []string{"route source"}},
		"decorated, not there":    {fx.Decorate(func(p core.RetryPolicy) core.RetryPolicy { return p }), []string{"missing type: core.RetryPolicy"}},
		"several at once": {
			fx.Options(rocketmqfx.AsHook(func() *hook { return nil }), fx.Replace(liftoff.Config{Group: "not a group"})),
			[]string{"AsHook returned a nil", "not a group"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { wantErr(t, false, basics(&coretest.Transport{}, asked, tt.app), tt.says...) })
	}
}

func TestConfigurationErrors(t *testing.T) {
	t.Setenv(liftoff.NameServerEnv, "")
	app := func(more ...fx.Option) fx.Option {
		return fx.Options(rocketmqfx.Module, asked, fx.Options(more...))
	}
	tests := map[string]struct {
		app       fx.Option
		validates bool
		says      []string
	}{
		"none":              {app(over(&coretest.Transport{})), true, []string{"missing type: liftoff.Config"}},
		"fails":             {app(fx.Provide(func() (liftoff.Config, error) { return liftoff.Config{}, io.ErrUnexpectedEOF })), false, []string{"unexpected EOF"}},
		"no name server":    {app(fx.Supply(liftoff.Config{Group: "g"})), false, []string{"no name server is given", "Config.NameServers", liftoff.NameServerEnv}},
		"no group":          {app(over(&coretest.Transport{}), fx.Supply(liftoff.Config{})), false, []string{"rocketmqfx: ", "group is empty"}},
		"a name of nothing": {rocketmqfx.Named("", newAudit), true, []string{"Named is given no name"}},
		"a helper provided": {fx.Provide(rocketmqfx.AsStep(func() core.Step { return passing("x") })), true, []string{"fx.Option should be passed to fx.New directly", "mistakes_test.go:"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { wantErr(t, tt.validates, tt.app, tt.says...) })
	}
}

// The mistakes that stay silent, as docs/fx.md says: to fx a plain part whose dependency is
// missing, and one that was supplied as its concrete type, is not there. Use is for both.
func TestSilentMistakes(t *testing.T) {
	for name, mistake := range map[string]fx.Option{
		"plain part without its dependency": fx.Provide(func(*rules) core.RetryPolicy { return coretest.NoRetry() }),
		"supplied strategy":                 fx.Supply(retry.Safe()),
		"supplied table":                    fx.Supply(&core.PolicyTable{}), // has no default, which nobody finds out
		"supplied policy":                   fx.Supply(&core.Policy{}),
	} {
		t.Run(name, func(t *testing.T) {
			if err := fx.New(basics(&coretest.Transport{}, asked, mistake)).Err(); err != nil {
				t.Errorf("it is reported by now, so docs/fx.md is wrong: %v", err)
			}
		})
	}
}

// A function of package retry is a constructor as it is.
func TestUseOfALibraryFunction(t *testing.T) {
	var got core.RetryPolicy
	run(t, basics(&coretest.Transport{}, rocketmqfx.Use[core.RetryPolicy](retry.Safe), asked, fx.Populate(&got)))
	if got == nil {
		t.Error("the graph has no retry policy")
	}
}
