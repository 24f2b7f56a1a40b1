package remoting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The defaults of a [Config].
const (
	DefaultCreateTopicKey        = rocketmq.DefaultTopic
	DefaultDefaultTopicQueueNums = 4 // Java: DefaultMQProducer.defaultTopicQueueNums
	DefaultHeartbeatInterval     = 30 * time.Second
	DefaultConnectTimeout        = 3 * time.Second
	DefaultNameServerTimeout     = time.Second
	DefaultRequestTimeout        = 3 * time.Second
	DefaultWriteTimeout          = 3 * time.Second
	DefaultFrameTimeout          = 10 * time.Second
	DefaultIdleTimeout           = 120 * time.Second // Java: clientChannelMaxIdleTimeSeconds
	DefaultMaxQueuedBytes        = 8 << 20
	DefaultMaxBrokers            = 1024
	DefaultMaxTopics             = 16384
)

// Serialization is the form of the headers that the client sends. Servers of 4.9 answer
// in the same form, those of 5.3 in their own, which is JSON by default; the client reads both.
type Serialization uint8

const (
	// Binary is RocketMQ's own form, small and cheap: the default.
	Binary Serialization = iota
	// JSON is the default of the Java client.
	JSON
)

// String gives Java's name: ROCKETMQ or JSON.
func (s Serialization) String() string { return s.wire().String() }

func (s Serialization) wire() wire.Serialization {
	if s == JSON {
		return wire.JSON
	}
	return wire.RocketMQ
}

// Config says how a client reaches a cluster. NameServers is required; zero
// values of the rest mean the defaults.
type Config struct {
	// NameServers are the name servers' addresses: host:port, where host is a
	// DNS name or an IP address, [::1]:9876 for IPv6. Without a port it is 9876.
	// One string may hold several, separated by semicolons, commas or blanks, and
	// a scheme such as http:// before host:port is dropped, as Java 5 does.
	NameServers []string
	// Dial opens connections; nil means a net.Dialer with TCP keep-alive of
	// 15 s, which tries every address of a name. It must obey ctx.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Serialization is the form of headers, [Binary] by default.
	Serialization Serialization
	// CreateTopicKey is the topic whose settings an unknown topic takes when
	// brokers create topics by themselves.
	CreateTopicKey string
	// DefaultTopicQueueNums is how many queues such a topic gets per broker.
	DefaultTopicQueueNums int
	// ClientID names this client to brokers. By default it is ip@pid#random, in
	// the form of Java's ip@instance.
	ClientID string

	// HeartbeatInterval is how often brokers are told which groups live here.
	HeartbeatInterval time.Duration
	// ConnectTimeout bounds one dial, whoever waits for it.
	ConnectTimeout time.Duration
	// NameServerTimeout bounds one question to one name server.
	NameServerTimeout time.Duration
	// RequestTimeout bounds one heartbeat or unregistration at one broker.
	RequestTimeout time.Duration
	// WriteTimeout is how long a peer may need to take 64 KiB before its connection
	// is closed.
	WriteTimeout time.Duration
	// FrameTimeout is how long a frame may stay incomplete.
	FrameTimeout time.Duration
	// IdleTimeout closes connections without any traffic.
	IdleTimeout time.Duration

	// MaxQueuedBytes bounds the frames that wait on one connection, in bytes;
	// one frame may exceed it. Sends beyond it wait.
	MaxQueuedBytes int
	// MaxBrokers bounds the brokers that the client knows at a time, MaxTopics
	// the topics whose brokers get heartbeats.
	MaxBrokers int
	MaxTopics  int

	// AllowBroker refuses broker addresses, which come from name servers, by
	// returning false. Nil allows all. It gets what MapAddr returned.
	AllowBroker func(addr string) bool
	// MapAddr translates the broker addresses of routes to those that can be
	// reached from here. Nil changes nothing.
	MapAddr func(addr string) string

	// Signer signs every request, for clusters with access control. Nil means that requests
	// are not signed, and costs nothing.
	Signer Signer

	// Logger gets what no error can report. Nil means silence.
	Logger *slog.Logger
}

// withDefaults fills the zero values and reports everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	servers, err := parseServers(c.NameServers)
	if err != nil {
		errs = append(errs, err)
	}
	c.NameServers = servers
	if c.Serialization > JSON {
		errs = append(errs, fmt.Errorf("unknown serialization %d", c.Serialization))
	}
	if c.CreateTopicKey == "" {
		c.CreateTopicKey = DefaultCreateTopicKey
	}
	positive(&errs, "DefaultTopicQueueNums", &c.DefaultTopicQueueNums, DefaultDefaultTopicQueueNums)
	positive(&errs, "HeartbeatInterval", &c.HeartbeatInterval, DefaultHeartbeatInterval)
	positive(&errs, "ConnectTimeout", &c.ConnectTimeout, DefaultConnectTimeout)
	positive(&errs, "NameServerTimeout", &c.NameServerTimeout, DefaultNameServerTimeout)
	positive(&errs, "RequestTimeout", &c.RequestTimeout, DefaultRequestTimeout)
	positive(&errs, "WriteTimeout", &c.WriteTimeout, DefaultWriteTimeout)
	positive(&errs, "FrameTimeout", &c.FrameTimeout, DefaultFrameTimeout)
	positive(&errs, "IdleTimeout", &c.IdleTimeout, DefaultIdleTimeout)
	positive(&errs, "MaxQueuedBytes", &c.MaxQueuedBytes, DefaultMaxQueuedBytes)
	positive(&errs, "MaxBrokers", &c.MaxBrokers, DefaultMaxBrokers)
	positive(&errs, "MaxTopics", &c.MaxTopics, DefaultMaxTopics)
	if c.Dial == nil {
		c.Dial = (&net.Dialer{KeepAlive: keepAlive}).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "rocketmq.client")
	return c, errors.Join(errs...)
}

func positive[T int | time.Duration](errs *[]error, name string, v *T, def T) {
	if *v == 0 {
		*v = def
	}
	if *v < 0 {
		*errs = append(*errs, fmt.Errorf("%s is negative: %v", name, *v))
	}
}
