// Package remotingfx provides the client for real RocketMQ clusters to an fx
// application: a *remoting.Client, also as the core.Transport and core.RouteSource
// that rocketmqfx needs. All producers of the application share it; given to
// rocketmqfx.Named directly, [Module] makes a client for that producer alone.
//
// It needs a remoting.Config; [NameServers] is the short way to one.
package remotingfx

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"go.uber.org/fx"
)

// Module provides the client. It starts before the producers and stops after them.
var Module = rocketmqfx.Provide(New)

// NameServers supplies a configuration with these name servers, host:port each.
// Without any, they are those of the environment variable NAMESRV_ADDR.
func NameServers(addrs ...string) rocketmqfx.Part {
	return rocketmqfx.Supply(remoting.Config{NameServers: addrs})
}

// Params are what the client is made of.
type Params struct {
	fx.In

	Lifecycle fx.Lifecycle
	// Config may leave NameServers to the environment variable NAMESRV_ADDR.
	Config remoting.Config
	// Logger is used if Config has none. Its absence is harmless.
	Logger *slog.Logger `optional:"true"`
}

// Result is what Module provides: one client in its three roles.
type Result struct {
	fx.Out

	Client    *remoting.Client
	Transport core.Transport
	Routes    core.RouteSource
}

// New makes the client and ties it to the application's lifecycle. It dials
// nothing before the start.
func New(p Params) (Result, error) {
	if len(p.Config.NameServers) == 0 {
		env := os.Getenv(liftoff.NameServerEnv)
		if env == "" {
			return Result{}, fmt.Errorf("remotingfx: no name server is given: use NameServers, remoting.Config or %s", liftoff.NameServerEnv)
		}
		p.Config.NameServers = []string{env}
	}
	if p.Config.Logger == nil {
		p.Config.Logger = p.Logger
	}
	client, err := remoting.NewClient(p.Config)
	if err != nil {
		return Result{}, fmt.Errorf("remotingfx: %w", err)
	}
	p.Lifecycle.Append(fx.StartStopHook(client.Start, client.Shutdown))
	return Result{Client: client, Transport: client, Routes: client}, nil
}
