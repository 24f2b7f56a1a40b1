// Package embeddedfx runs a RocketMQ cluster inside an fx application, for tests,
// examples and development: name server, brokers, and a client of them, which the
// producers take in place of one of their own. Name servers in liftoff.Config are left
// alone, so a test can run a program's own configuration.
//
// The cluster starts with the application, before the client, and stops after it. By
// default it has one broker. Its addresses have to be known before it starts, so it lives on
// an in-memory network of its own, which takes no port of the machine; with a Listen
// address that names a port it listens on that.
package embeddedfx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"go.uber.org/fx"
)

// Module provides the cluster and its client.
var Module = fx.Module("liftoff.embedded", fx.Provide(New))

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

func (c *Cluster) stop() error { return c.running.Load().Close() }

// Params are what the cluster is made of.
type Params struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    embedded.Config `optional:"true"`
	Logger    *slog.Logger    `optional:"true"` // for a Config that has none
}

// Result is the cluster, and its client in its three roles.
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
	cfg.Logger = cmp.Or(cfg.Logger, p.Logger)
	if cfg.Listen == "" {
		cfg.Listen = defaultListen
		cfg.Network = cmp.Or(cfg.Network, embedded.NewNetwork())
	}
	if _, port, err := net.SplitHostPort(cfg.Listen); err != nil || port == "0" {
		return Result{}, errors.Join(fmt.Errorf("embeddedfx: listen address %q has to name a port", cfg.Listen), err)
	}
	settings := remoting.Config{NameServers: []string{cfg.Listen}, Logger: cfg.Logger}
	if cfg.Network != nil {
		settings.Dial = cfg.Network.DialContext
	}
	client, err := remoting.NewClient(settings)
	if err != nil {
		return Result{}, fmt.Errorf("embeddedfx: %w", err)
	}
	cluster := &Cluster{cfg: cfg}
	p.Lifecycle.Append(fx.StartStopHook(cluster.start, cluster.stop))
	p.Lifecycle.Append(fx.StartStopHook(client.Start, client.Shutdown))
	return Result{Cluster: cluster, Client: client, Transport: client, Routes: client}, nil
}
