package policyfx_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/modules/policyfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/strategies/policyfile"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func basics(more ...fx.Option) fx.Option {
	return fx.Options(append([]fx.Option{
		fx.NopLogger, rocketmqfx.Module, fx.Supply(liftoff.Config{Group: "orders"}),
		fx.Provide(func() (core.Transport, core.RouteSource) { return &coretest.Transport{}, coretest.Routes(1, "a") }),
	}, more...)...)
}

func write(t *testing.T, text string) policyfx.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return policyfx.Config{Path: path}
}

const text = "version: 1\npolicies: {default: {timeout: 5s, retry: {acme.own: {}}}}\n"

// All producers have the file's policies, and new ones by a call.
func TestModule(t *testing.T) {
	var in struct {
		fx.In
		Watcher *policyfile.Watcher
		Default *core.Producer
		Audit   *core.Producer `name:"audit"`
	}
	cfg := write(t, text)
	own := policyfile.WithRetry("acme.own", func(*policyfile.Options) (core.RetryPolicy, error) { return coretest.NoRetry(), nil })
	opts := basics(policyfx.With(own, policyfile.WithInterval(0)), fx.Supply(cfg),
		rocketmqfx.Named("audit", func(p rocketmqfx.Params) (*core.Producer, error) {
			return rocketmqfx.New(liftoff.Config{Group: "audit"}, p)
		}), fx.Populate(&in))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts).RequireStart()
	defer app.RequireStop()
	timeouts := func() string {
		return in.Default.Pipeline().Policies()[0].Timeout + " " + in.Audit.Pipeline().Policies()[0].Timeout
	}
	if got := timeouts(); got != "5s 5s" {
		t.Errorf("got %s", got)
	}
	if err := os.WriteFile(cfg.Path, []byte(strings.Replace(text, "5s", "6s", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := in.Watcher.Reload(t.Context()); err != nil || timeouts() != "6s 6s" {
		t.Errorf("got %s, %v", timeouts(), err)
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts fx.Option
		want string
	}{
		{"no configuration", fx.Options(), "policyfx.Config"},
		{"no path", fx.Supply(policyfx.Config{}), "policyfx: Config.Path is empty"},
		{"no file", fx.Supply(policyfx.Config{Path: filepath.Join(t.TempDir(), "none")}), "policyfx: stat "},
		{"a mistake", fx.Supply(write(t, text)), `policies.yaml:2:43: policies.default.retry.acme.own: this program has no retry policy "acme.own"`},
		{"the module twice", fx.Options(policyfx.Module, fx.Supply(write(t, text))), "already provided"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := fx.New(basics(policyfx.Module, fx.Invoke(func(*core.Producer) {}), tt.opts)).Err()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}

func ExampleModule() {
	dir, err := os.MkdirTemp("", "policies")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "policies.yaml")
	if err := os.WriteFile(path, []byte(policyfile.Starter()), 0o600); err != nil {
		log.Fatal(err)
	}
	var p *core.Producer
	app := fx.New(basics(policyfx.Module, fx.Supply(policyfx.Config{Path: path}), fx.Populate(&p)))
	ctx := context.Background()
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer app.Stop(ctx)
	for _, policy := range p.Pipeline().Policies() {
		fmt.Println(policy.Topics, policy.Timeout)
	}
	// Output:
	// Payments 10s
	// every other topic 3s
}

// New is plain Go.
func ExampleNew() {
	_, err := policyfx.New(policyfx.Params{})
	fmt.Println(err)
	// Output: policyfx: Config.Path is empty
}
