// Package remotingfx provides one client of a real RocketMQ cluster to an fx application, for
// producers that share it and for whoever wants to look at it. Without it each producer
// makes a client of its own.
//
// The name servers, the settings and the credentials for access control are those of the
// application's liftoff.Config. An application that has none provides a remoting.Config
// instead, and an acl.Provider if there is access control.
package remotingfx

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
	"go.uber.org/fx"
)

// Module provides the client, also as the core.Transport and core.RouteSource that producers
// take. It starts before the producers and stops after them.
var Module = fx.Module("liftoff.remoting", fx.Provide(New))

// Params are what the client is made of.
type Params struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    liftoff.Config  `optional:"true"` // its NameServers, Client, ACL and Logger
	Settings  remoting.Config `optional:"true"` // in place of Config.Client
	// Credentials are for clusters with access control, in place of Config.ACL.
	Credentials acl.Provider `optional:"true"`
	Logger      *slog.Logger `optional:"true"` // for settings that have none
}

// Result is the client in its three roles.
type Result struct {
	fx.Out

	Client    *remoting.Client
	Transport core.Transport
	Routes    core.RouteSource
}

// New makes the client and ties it to the application's lifecycle.
func New(p Params) (Result, error) {
	settings, err := p.settings()
	if err != nil {
		return Result{}, fmt.Errorf("remotingfx: %w", err)
	}
	client, err := remoting.NewClient(settings)
	if err != nil {
		return Result{}, fmt.Errorf("remotingfx: %w", err)
	}
	p.Lifecycle.Append(fx.StartStopHook(client.Start, client.Shutdown))
	return Result{Client: client, Transport: client, Routes: client}, nil
}

// settings wants each thing said in one place.
func (p *Params) settings() (remoting.Config, error) {
	settings := p.Settings
	if own := p.Config.Client; !reflect.ValueOf(own).IsZero() {
		if !reflect.ValueOf(settings).IsZero() {
			return settings, errors.New("both liftoff.Config.Client and a remoting.Config are given: give one of them")
		}
		settings = own
	}
	switch servers := p.Config.NameServers; {
	case len(settings.NameServers) > 0 && len(servers) > 0:
		return settings, errors.New("name servers are in liftoff.Config and in remoting.Config: give them once")
	case len(servers) > 0:
		settings.NameServers = servers
	case len(settings.NameServers) == 0 && settings.Discovery.IsZero():
		env := os.Getenv(liftoff.NameServerEnv)
		if env == "" {
			return settings, fmt.Errorf("no name server is given: set liftoff.Config.NameServers, a source in Config.Client.Discovery or %s, or provide a remoting.Config", liftoff.NameServerEnv)
		}
		settings.NameServers = []string{env}
	}
	settings.Logger = cmp.Or(settings.Logger, p.Config.Logger, p.Logger)
	return settings, p.sign(&settings)
}

// sign gives the client the signer that credentials need.
func (p *Params) sign(settings *remoting.Config) (err error) {
	switch given := p.Credentials != nil; {
	case !given && p.Config.ACL.IsZero():
		return nil
	case settings.Signer != nil:
		return errors.New("both credentials and the Signer of the client's settings are given: give one of them")
	case given && !p.Config.ACL.IsZero():
		return errors.New("both liftoff.Config.ACL and an acl.Provider are given: give one of them")
	case given:
		settings.Signer, err = acl.NewSigner(p.Credentials)
	default:
		settings.Signer, err = p.Config.ACL.Signer(settings.Logger)
	}
	return err
}
