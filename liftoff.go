// Package liftoff is a RocketMQ producer that you compose: a send runs through a
// chain of interceptors around pluggable strategies for queue selection and retry.
//
// This package is the front door for programs that do not use fx. [New]
// assembles the default producer; options replace its parts. It decides defaults
// and nothing else: every contract lives in package core, the parts in hooks, strategies
// and transport. The names that every program needs are here as well, so a first send needs
// one import. The fx modules under modules use the same assembly, [Defaults].
//
// A whole synchronous or asynchronous send through the default chain makes 2
// allocations, the circuit breaker's and the text of the broker's answer; a
// one-way send makes 1. A test in internal/faulttest holds that.
package liftoff

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/remoting/acl"
)

// NameServerEnv is the environment variable that names the name servers when
// the configuration does not (Java: MixAll.NAMESRV_ADDR_ENV).
const NameServerEnv = "NAMESRV_ADDR"

// Config holds what is data: it can be decoded from YAML, from JSON and from environment
// variables by the usual libraries; see examples/config. Durations are text there, such as
// "1.5s", and names of settings those of the tags. In a struct of the program's own it
// should be a named field, because an embedded one hands its UnmarshalJSON on.
//
// Only Group and, unless Client.Discovery, [WithTransport], [WithClient] or NAMESRV_ADDR is
// given, NameServers are required. What is code, such as a selector, is an [Option].
type Config struct {
	// Group is the producer group: 1 to 120 bytes of [%|a-zA-Z0-9_-].
	Group string `json:"group" yaml:"group" env:"GROUP"`
	// NameServers are the name servers, host:port each, in the forms that
	// [remoting.Config] allows; without any and without a source in Client.Discovery, those of
	// the environment variable NAMESRV_ADDR.
	NameServers []string `json:"nameServers" yaml:"nameServers" env:"NAME_SERVERS"`
	// Namespace is put in front of the group and of every topic, as "ns%topic": version 1 of
	// namespaces. Version 2 is Client.NamespaceV2; both together are a mistake. None by default.
	Namespace string `json:"namespace" yaml:"namespace" env:"NAMESPACE"`
	// Topics, without the namespace, are looked up and connected to when the producer starts, and
	// stay known for as long as it lives; see [core.Config]. None by default: other topics are
	// looked up by their first send. A topic that does not exist is no error of the start.
	Topics []string `json:"topics" yaml:"topics" env:"TOPICS"`
	// Timeout is the time of one call, all attempts included, 3 s by default. The
	// caller's context may make it shorter. It has to be longer than brokers wait for a
	// disk or a slave, or their weak statuses come too late; see [core.Config].
	Timeout time.Duration `json:"timeout" yaml:"timeout" env:"TIMEOUT"`
	// AttemptTimeout caps one attempt as long as another broker could still take the
	// message, 1 s by default. The last broker gets all the time that is left. What is said of
	// Timeout holds for it too.
	AttemptTimeout time.Duration `json:"attemptTimeout" yaml:"attemptTimeout" env:"ATTEMPT_TIMEOUT"`
	// MaxInFlight bounds the asynchronous sends under way, 4,096 by default. Beyond it
	// SendAsync waits for room.
	MaxInFlight int `json:"maxInFlight" yaml:"maxInFlight" env:"MAX_IN_FLIGHT"`
	// MaxInFlightBytes bounds the bytes of their bodies, 64 MiB by default.
	MaxInFlightBytes int64 `json:"maxInFlightBytes" yaml:"maxInFlightBytes" env:"MAX_IN_FLIGHT_BYTES"`
	// MaxWorkers is how many of them are worked on at a time, 4,096 by default. The others
	// stand in line.
	MaxWorkers int `json:"maxWorkers" yaml:"maxWorkers" env:"MAX_WORKERS"`
	// RouteRefresh is how often the routes in use are looked up again, 30 s by default.
	RouteRefresh time.Duration `json:"routeRefresh" yaml:"routeRefresh" env:"ROUTE_REFRESH"`
	// RouteTimeout bounds one look-up. By default it may take as long as the call that
	// began it, and 10 s at least: a call that does not wait so long fails, and the answer
	// serves the next one. How long one name server may be silent before the next one is
	// asked as well is Client.NameServerTimeout.
	RouteTimeout time.Duration `json:"routeTimeout" yaml:"routeTimeout" env:"ROUTE_TIMEOUT"`
	// Client are the settings of the producer's own client: how connections are opened and
	// for how long they may be idle, TLS, headers, heartbeats, the signer. Its NameServers are
	// those above, and so is its Logger unless it has one. It has no meaning beside
	// WithTransport or WithClient.
	Client remoting.Config `json:"client" yaml:"client" envPrefix:"CLIENT_"`
	// ACL are the credentials for a cluster with access control: keys, or a file of them that is
	// watched. None by default. A provider of the program's own is [WithCredentials]. It has no
	// meaning beside WithTransport or WithClient.
	ACL acl.Config `json:"acl" yaml:"acl" envPrefix:"ACL_"`
	// Logger gets what no error can report. Nil, the default, means silence. Its handler gets
	// the lines on a goroutine of its own, in order, so it may take its time and may send.
	Logger *slog.Logger `json:"-" yaml:"-"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// New makes the default producer with its own client, changed by options. It
// starts no goroutine and does no I/O, but that it reads the files of [WithPolicyFile] and of Client.TLS. Start makes the producer ready and asks no
// server either: a cluster that is down is the first send's error. All mistakes in cfg and
// in the options are reported at once.
func New(cfg Config, options ...Option) (*Producer, error) {
	c, err := assemble(cfg, options)
	if err == nil {
		return core.NewProducer(c)
	}
	more := c.Check() // core finds the rest, such as a missing group
	return nil, fmt.Errorf("producer %q: %w", cfg.Group, errors.Join(more, err))
}

// Defaults is the assembly behind [New]: the configuration of the producer that
// New would make. Programs change it where no option reaches. Mistakes that only core
// finds, such as a missing group, are left to [core.NewProducer].
func Defaults(cfg Config, options ...Option) (core.Config, error) {
	c, err := assemble(cfg, options)
	if err != nil {
		return core.Config{}, fmt.Errorf("producer %q: %w", cfg.Group, err)
	}
	return c, nil
}
