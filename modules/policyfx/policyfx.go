// Package policyfx sends by the policies of a YAML file in an fx application; see package
// strategies/policyfile. The file is read when the producers are made, and again whenever it
// changes while they run. All producers of the application share what it says: a breaker, a rate
// or a budget of the file is that of all of them.
//
// Who wants to read the file anew by a call, or to know what became of it, takes the
// *policyfile.Watcher from the graph.
package policyfx

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"go.uber.org/fx"
)

// Module provides the policies.
var Module = With()

// With is [Module] with options, which register the program's own parts. It takes Module's place:
// both together are an error.
func With(options ...policyfile.Option) fx.Option {
	return fx.Module("liftoff.policy",
		fx.Provide(func(p Params) (*policyfile.Watcher, error) { return New(p, options...) }),
		rocketmqfx.Use[core.PolicySource](func(w *policyfile.Watcher) core.PolicySource { return w }))
}

// Config says where the file is.
type Config struct {
	// Path is the file's. It is required. Give its environment variable a prefix, such as POLICIES_:
	// PATH alone is the shell's.
	Path string `json:"path" yaml:"path" env:"PATH"`
}

// Params are what the policies are made of.
type Params struct {
	fx.In

	Config Config
	Logger *slog.Logger `optional:"true"` // unless an option names one
}

// New reads the file.
func New(p Params, options ...policyfile.Option) (*policyfile.Watcher, error) {
	if p.Config.Path == "" {
		return nil, errors.New("policyfx: Config.Path is empty")
	}
	w, err := policyfile.NewWatcher(p.Config.Path, append([]policyfile.Option{policyfile.WithLogger(p.Logger)}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("policyfx: %w", err)
	}
	return w, nil
}
