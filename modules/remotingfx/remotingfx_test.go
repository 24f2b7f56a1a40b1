package remotingfx_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/remotingfx"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"github.com/liftoff-mq/liftoff/transport/wire"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
)

func message(body string) *core.Message { return &core.Message{Topic: "Orders", Body: []byte(body)} }

func newAudit(p rocketmqfx.Params) (*core.Producer, error) {
	return rocketmqfx.New(liftoff.Config{Group: "audit"}, p)
}

func TestTwoProducersShareTheClient(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	var in struct {
		fx.In
		Client  *remoting.Client
		Default *core.Producer
		Audit   *core.Producer `name:"audit"`
	}
	opts := fx.Options(fx.NopLogger, remotingfx.Module, rocketmqfx.Module,
		fx.Supply(liftoff.Config{Group: "orders", NameServers: cluster.NameServers()}),
		rocketmqfx.Named("audit", newAudit), fx.Populate(&in))
	if err := fx.ValidateApp(opts); err != nil {
		t.Fatal(err)
	}
	app := fxtest.New(t, opts).RequireStart()
	for _, p := range []*core.Producer{in.Default, in.Audit} {
		if _, err := p.Send(t.Context(), message(p.Group())); err != nil {
			t.Error(err)
		}
	}
	broker := cluster.Brokers()[0]
	if n := broker.Connections(); n != 1 {
		t.Errorf("%d connections to the broker, want one that both share", n)
	}
	app.RequireStop()
	if got := broker.ProducerGroups(); len(got) != 0 {
		t.Errorf("groups %v are left", got)
	}
	if n := cluster.StoredCount("Orders"); n != 2 {
		t.Errorf("%d messages stored, want 2", n)
	}
}

// The name servers may be said in one of three places, the settings in one of two.
func TestWhereTheSettingsAre(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	servers := cluster.NameServers()
	const id = "set-by-this-test"
	tests := []struct {
		name   string
		env    bool
		config liftoff.Config
		more   fx.Option
		id     string
	}{
		{"liftoff.Config", false, liftoff.Config{NameServers: servers}, fx.Options(), ""},
		{"and its Client", false, liftoff.Config{NameServers: servers, Client: remoting.Config{ClientID: id}}, fx.Options(), id},
		{"remoting.Config", false, liftoff.Config{}, fx.Supply(remoting.Config{NameServers: servers, ClientID: id}), id},
		{"liftoff.Config and remoting.Config", false, liftoff.Config{NameServers: servers}, fx.Supply(remoting.Config{ClientID: id}), id},
		{"the environment", true, liftoff.Config{Client: remoting.Config{ClientID: id}}, fx.Options(), id},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(liftoff.NameServerEnv, "")
			if tt.env {
				t.Setenv(liftoff.NameServerEnv, strings.Join(servers, ";"))
			}
			tt.config.Group = "orders"
			var p *core.Producer
			var c *remoting.Client
			app := fxtest.New(t, fx.NopLogger, remotingfx.Module, rocketmqfx.Module,
				fx.Supply(tt.config), tt.more, fx.Populate(&p, &c)).RequireStart()
			defer app.RequireStop()
			if _, err := p.Send(t.Context(), message("x")); err != nil {
				t.Error(err)
			}
			if got := c.ClientID(); tt.id != "" && got != tt.id {
				t.Errorf("client id %q, want %q", got, tt.id)
			}
		})
	}
}

// TLS is data too, in both configurations. A file that is not there is an error of the application.
func TestTLS(t *testing.T) {
	const text = `"tls": {"enabled": true, "caFile": "no-such-file"}`
	var whole liftoff.Config
	var settings remoting.Config
	if err := errors.Join(json.Unmarshal([]byte(`{"nameServers": ["a:1"], "client": {`+text+`}}`), &whole), json.Unmarshal([]byte(`{`+text+`}`), &settings)); err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]fx.Option{
		"liftoff.Config":  fx.Supply(whole),
		"remoting.Config": fx.Supply(liftoff.Config{NameServers: []string{"a:1"}}, settings),
	} {
		err := fx.New(fx.NopLogger, remotingfx.Module, opt, fx.Invoke(func(*remoting.Client) {})).Err()
		if err == nil || !strings.Contains(err.Error(), "no-such-file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The list of allowed brokers is data, so it is within reach of both configurations: what a
// name server names is dialed only if it is in the list.
func TestAllowedBrokers(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	servers := cluster.NameServers()
	for list, allowed := range map[string]bool{"10.0.0.0/8, *.example": false, "10.0.0.0/8, 127.0.0.1": true} {
		var decoded liftoff.Config
		if err := json.Unmarshal([]byte(`{"group": "orders", "client": {"allowedBrokers": ["`+list+`"]}}`), &decoded); err != nil {
			t.Fatal(err)
		}
		decoded.NameServers = servers
		for name, config := range map[string]fx.Option{
			"liftoff.Config":  fx.Supply(decoded),
			"remoting.Config": fx.Supply(liftoff.Config{Group: "orders"}, remoting.Config{NameServers: servers, AllowedBrokers: []string{list}}),
		} {
			var p *core.Producer
			app := fxtest.New(t, fx.NopLogger, remotingfx.Module, rocketmqfx.Module, config, fx.Populate(&p)).RequireStart()
			_, err := p.Send(t.Context(), message("x"))
			if got := err == nil; got != allowed || !allowed && (!errors.Is(err, core.ErrNoRoute) || !strings.Contains(err.Error(), "not allowed")) {
				t.Errorf("%s with %q: %v", name, list, err)
			}
			app.RequireStop()
		}
	}
}

// Credentials are in liftoff.Config, or are provided, and sign what the shared client sends. So
// they do for a producer that has a client of its own.
func TestCredentials(t *testing.T) {
	provider := func() (acl.Provider, error) {
		return acl.Static(acl.Credentials{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret-key")})
	}
	for name, tt := range map[string]struct {
		config acl.Config
		more   fx.Option
	}{
		"liftoff.Config":         {acl.Config{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret-key")}, remotingfx.Module},
		"a provider":             {acl.Config{}, fx.Options(remotingfx.Module, fx.Provide(provider))},
		"own client":             {acl.Config{AccessKey: "orders", SecretKey: acl.NewSecret("my-secret-key")}, fx.Options()},
		"own client, a provider": {acl.Config{}, fx.Provide(provider)},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := embedded.New(t, embedded.Config{})
			var p *core.Producer
			app := fxtest.New(t, fx.NopLogger, rocketmqfx.Module, tt.more,
				fx.Supply(liftoff.Config{Group: "orders", NameServers: cluster.NameServers(), ACL: tt.config}), fx.Populate(&p)).RequireStart()
			if _, err := p.Send(t.Context(), message("x")); err != nil {
				t.Error(err)
			}
			app.RequireStop()
			sent := cluster.Requests(wire.SendMessageV2)
			if len(sent) != 1 || sent[0].Command.Ext.Get("AccessKey") != "orders" || sent[0].Command.Ext.Get("Signature") == "" {
				t.Errorf("sent %+v", sent)
			}
		})
	}
}

// An application without a liftoff.Config, whose producers all have names.
func TestNamedProducersAlone(t *testing.T) {
	cluster := embedded.New(t, embedded.Config{})
	var log strings.Builder
	var in struct {
		fx.In
		Audit *core.Producer `name:"audit"`
	}
	app := fxtest.New(t, fx.NopLogger, remotingfx.Module, fx.Supply(remoting.Config{NameServers: cluster.NameServers()}),
		fx.Supply(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		rocketmqfx.Named("audit", newAudit), fx.Populate(&in)).RequireStart()
	if _, err := in.Audit.Send(t.Context(), message("x")); err != nil {
		t.Error(err)
	}
	app.RequireStop()
	if !strings.Contains(log.String(), "component=rocketmq.client") {
		t.Errorf("the client does not log to the graph's logger:\n%s", log.String())
	}
}

// A source of name servers is enough, wherever it is given.
func TestNameServersFromASource(t *testing.T) {
	t.Setenv(liftoff.NameServerEnv, "")
	cluster := embedded.New(t, embedded.Config{})
	found := remoting.Config{Discovery: remoting.Discovery{
		Source: remoting.NameServerFunc(func(context.Context) ([]string, error) { return cluster.NameServers(), nil }),
	}}
	for name, given := range map[string]fx.Option{
		"liftoff.Config":  fx.Supply(liftoff.Config{Client: found}),
		"remoting.Config": fx.Supply(found),
	} {
		var routes core.RouteSource
		app := fxtest.New(t, fx.NopLogger, remotingfx.Module, given, fx.Populate(&routes)).RequireStart()
		if _, err := routes.Route(t.Context(), "T"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		app.RequireStop()
	}
}

func TestErrors(t *testing.T) {
	t.Setenv(liftoff.NameServerEnv, "")
	servers := []string{"a:1"}
	tests := []struct {
		name      string
		app       fx.Option
		validates bool
		says      string
	}{
		{"no name server", fx.Options(), false, "remotingfx: no name server is given: set liftoff.Config.NameServers, a source in Config.Client.Discovery or NAMESRV_ADDR, or provide a remoting.Config"},
		{"name servers twice", fx.Supply(liftoff.Config{NameServers: servers}, remoting.Config{NameServers: servers}), false, "in liftoff.Config and in remoting.Config: give them once"},
		{"settings twice", fx.Supply(liftoff.Config{Client: remoting.Config{ClientID: "a"}}, remoting.Config{ClientID: "b"}), false, "give one of them"},
		{"bad setting", fx.Supply(liftoff.Config{NameServers: servers, Client: remoting.Config{IdleTimeout: -time.Second}}), false, "IdleTimeout is negative"},
		{"no secret key", fx.Supply(liftoff.Config{NameServers: servers, ACL: acl.Config{AccessKey: "a"}}), false, "the secret key is missing"},
		{"a signer and keys", fx.Supply(liftoff.Config{NameServers: servers, ACL: acl.Config{AccessKey: "a"}}, remoting.Config{Signer: new(acl.Signer)}), false, "both credentials and the Signer"},
		{"keys twice", fx.Options(
			fx.Supply(liftoff.Config{NameServers: servers, ACL: acl.Config{AccessKey: "a"}}),
			fx.Provide(func() acl.Provider { return acl.ProviderFunc(nil) })), false, "both liftoff.Config.ACL and an acl.Provider"},
		{"the module twice", remotingfx.Module, true, "already provided"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := fx.Options(fx.NopLogger, remotingfx.Module, tt.app, fx.Invoke(func(core.Transport, core.RouteSource) {}))
			err := fx.New(app).Err()
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error that says %s", err, tt.says)
			}
			if verr := fx.ValidateApp(app); tt.validates != (verr != nil) {
				t.Errorf("ValidateApp: %v", verr)
			}
		})
	}
}
