// Package embeddedfx runs a RocketMQ cluster inside an fx application, for tests,
// examples and development: name server, brokers, and a client of them as the
// core.Transport and core.RouteSource that rocketmqfx needs.
//
// It needs an embedded.Config. The cluster starts with the application, before
// the client, and stops after it. Its addresses have to be known earlier, so by
// default it lives on an in-memory network of its own, which takes no port of the
// machine; with a Listen address that names a port it listens on that.
package embeddedfx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/modules/rocketmqfx"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"go.uber.org/fx"
)

// Module provides the cluster and its client.
var Module = rocketmqfx.Provide(New)

// defaultListen is the name server's address on a network of its own.
const defaultListen = "127.0.0.1:9876"

// Cluster is the embedded cluster of the application. It is safe for concurrent
// use.
type Cluster struct {
	cfg     embedded.Config
	running atomic.Pointer[embedded.Cluster]
}

// Embedded is the cluster itself, or nil before the start and if that failed.
// After the stop it still has its messages and records.
func (c *Cluster) Embedded() *embedded.Cluster { return c.running.Load() }

func (c *Cluster) start(ctx context.Context) error {
	e, err := embedded.Start(ctx, c.cfg)
	if err != nil {
		return fmt.Errorf("embeddedfx: %w", err)
	}
	c.running.Store(e)
	return nil
}

func (c *Cluster) stop() error {
	if e := c.running.Load(); e != nil {
		return e.Close()
	}
	return nil
}

// Params are what the cluster is made of.
type Params struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    embedded.Config
	// Logger is used if Config has none. Its absence is harmless.
	Logger *slog.Logger `optional:"true"`
}

// Result is what Module provides.
type Result struct {
	fx.Out

	Cluster   *Cluster
	Client    *remoting.Client
	Transport core.Transport
	Routes    core.RouteSource
}

// New makes the cluster and its client and ties both to the application's
// lifecycle. Neither does anything before the start.
func New(p Params) (Result, error) {
	cfg := p.Config
	if cfg.Logger == nil {
		cfg.Logger = p.Logger
	}
	if cfg.Listen == "" {
		cfg.Listen = defaultListen
		if cfg.Network == nil {
			cfg.Network = embedded.NewNetwork()
		}
	}
	if _, port, err := net.SplitHostPort(cfg.Listen); err != nil || port == "0" {
		return Result{}, errors.Join(fmt.Errorf("embeddedfx: listen address %q has to name a port", cfg.Listen), err)
	}
	client := remoting.Config{NameServers: []string{cfg.Listen}, Logger: cfg.Logger}
	if cfg.Network != nil {
		client.Dial = cfg.Network.DialContext
	}
	c, err := remoting.NewClient(client)
	if err != nil {
		return Result{}, fmt.Errorf("embeddedfx: %w", err)
	}
	cluster := &Cluster{cfg: cfg}
	p.Lifecycle.Append(fx.StartStopHook(cluster.start, cluster.stop))
	p.Lifecycle.Append(fx.StartStopHook(c.Start, c.Shutdown))
	return Result{Cluster: cluster, Client: c, Transport: c, Routes: c}, nil
}
