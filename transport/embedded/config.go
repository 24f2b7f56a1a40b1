package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"
)

// Defaults of [Config].
const (
	DefaultClusterName = "DefaultCluster"
	// DefaultQueues is the number of queues of the topic TBW102 (Java BrokerConfig.defaultTopicQueueNums).
	// A client that asks for fewer, as all do, gets topics with fewer.
	DefaultQueues = 8
	// The defaults of what is asked about half messages, as in Java's BrokerConfig.
	DefaultTransactionTimeout       = 6 * time.Second
	DefaultTransactionCheckInterval = 30 * time.Second
	DefaultTransactionCheckMax      = 15
	// DefaultMaxStoredBytes bounds the messages that one broker keeps.
	DefaultMaxStoredBytes = 64 << 20
	// DefaultRecordedRequests is how many requests of each code [Cluster.Requests] remembers.
	DefaultRecordedRequests = 1000
	// DefaultMaxConnections is how many connections one server takes at a time.
	DefaultMaxConnections = 1024
	// DefaultMaxBufferedBytes bounds what connections hold of frames and answers.
	DefaultMaxBufferedBytes = 128 << 20
	// DefaultMaxTableBytes bounds each table of what peers make a broker remember.
	DefaultMaxTableBytes = 16 << 20
	// DefaultStallTimeout is how long a peer may take to finish a frame or to read an answer.
	DefaultStallTimeout = time.Minute
	// maxRecordedBytes bounds the headers and bodies of all remembered requests.
	maxRecordedBytes = 4 << 20
	// maxBrokers keeps a route within what a client accepts.
	maxBrokers = 1024
	// maxQueues bounds the queues of one topic on one broker.
	maxQueues = 65536
)

// ErrConfig is what errors about an unusable [Config] match.
var ErrConfig = errors.New("embedded: bad configuration")

// ErrNotLoopback is an [ErrConfig]: a listen address that others can reach, without
// [Config].AllowRemote.
var ErrNotLoopback = fmt.Errorf("%w: listen address is not on loopback", ErrConfig)

// ErrAdvertiseHost is an [ErrConfig]: a wildcard listen address without [Config].AdvertiseHost.
// Clients cannot reach a wildcard, so routes have to name another host.
var ErrAdvertiseHost = fmt.Errorf("%w: a wildcard listen address needs an AdvertiseHost for the routes", ErrConfig)

// ErrClosed is what operations on a closed cluster give.
var ErrClosed = errors.New("embedded: cluster is closed")

// Config describes a cluster. Its zero value is one name server and one broker "broker-a" on
// loopback ports that the system chooses, with automatic creation of topics.
type Config struct {
	// Brokers names the brokers; none means "broker-a". [BrokerNames] makes a list by count.
	Brokers []string
	// NameServers is the number of name servers; below 1 means 1. They all know the same.
	NameServers int
	// ClusterName is DefaultClusterName unless set.
	ClusterName string

	// Listen is the address of the first name server, host:port; empty means "127.0.0.1:0".
	// The other servers take free ports of the same host, see BrokerPort.
	Listen string
	// BrokerPort is the port of the first broker; the second one takes the next port, and so on. 0
	// means free ports.
	BrokerPort int
	// AllowRemote permits a Listen host that is not a loopback address. Whoever reaches the
	// ports may then read, write and create topics.
	AllowRemote bool
	// AdvertiseHost replaces the host in the addresses that the name server gives out. It is
	// needed when Listen is a wildcard address.
	AdvertiseHost string
	// Network replaces TCP by an in-memory network; nil means TCP.
	Network *Network

	// Queues is the number of queues of the topic TBW102 and so the most that a topic created by
	// a send can have; 0 means DefaultQueues.
	Queues int
	// NoAutoCreateTopics refuses sends to unknown topics instead of creating them.
	NoAutoCreateTopics bool
	// AnswerJSON gives every answer a JSON header whatever the form of the request, as servers do
	// that are not configured otherwise. Without it an answer has the form of its request.
	AnswerJSON bool
	// DelayLevels is how long a message with a delay level waits, level 1 first, and so how long one
	// that a consumer could not consume does: from level 3 on, one level more each time. Nil means
	// [DefaultDelayLevels] (Java MessageStoreConfig.messageDelayLevel). [ParseDelayLevels] reads
	// RocketMQ's text form.
	DelayLevels []time.Duration
	// TransactionCheckInterval is how often a broker looks at the half messages that have no end
	// yet, and asks about those that are older than TransactionTimeout, at most TransactionCheckMax
	// times each. 0 means the defaults (Java BrokerConfig.transactionCheckInterval,
	// transactionTimeOut, transactionCheckMax).
	TransactionCheckInterval time.Duration
	TransactionTimeout       time.Duration
	TransactionCheckMax      int
	// MaxStoredBytes bounds the messages that each broker keeps; beyond it the oldest are
	// dropped. 0 means DefaultMaxStoredBytes.
	MaxStoredBytes int64
	// RecordedRequests is how many requests of each code [Cluster.Requests] remembers, within 4
	// MiB for all codes together: 0 means DefaultRecordedRequests, below 0 none.
	RecordedRequests int

	// MaxConnections is how many connections each server has at a time; one more is closed as soon
	// as it is made. 0 means DefaultMaxConnections.
	MaxConnections int
	// MaxBufferedBytes bounds what all connections of the cluster together hold of frames that are
	// not complete and of answers that are not read. Beyond it the connection that holds most is
	// closed. It should be several times the 16 MiB that one frame may have. 0 means
	// DefaultMaxBufferedBytes.
	MaxBufferedBytes int64
	// MaxTableBytes bounds, about, each table of what peers make a broker remember besides messages:
	// topics, queues, consumer groups, clients, subscriptions, offsets, locks, and pulls that wait.
	// What does not fit is refused; a pull is answered at once instead. 0 means DefaultMaxTableBytes.
	MaxTableBytes int
	// StallTimeout is how long a peer may take from the first to the last byte of a frame, and to
	// read what is written to it; then its connection is closed. Connections without a frame under
	// way may be idle for ever. 0 means DefaultStallTimeout, below 0 no limit.
	StallTimeout time.Duration

	// Unsupported is told what a client asked for that the cluster does not have, once for each kind
	// of thing and for at most 256 of them: a request code, or what a request of a known code wants,
	// in words. The request is refused as NOT_MODELLED.md says. It runs on the goroutine of the
	// request's connection, for several at a time, and must not call Close. nil means nobody asks.
	Unsupported func(req *Request, what string)

	// Logger gets notices at debug level and warnings about peers that break the protocol; nil
	// means silence. Bodies and properties are never logged.
	Logger *slog.Logger
}

// BrokerNames returns n broker names: broker-a, broker-b and so on, broker-aa after broker-z.
func BrokerNames(n int) []string {
	names := make([]string, 0, max(n, 0))
	for i := range n {
		suffix := ""
		for k := i; k >= 0; k = k/26 - 1 {
			suffix = string(rune('a'+k%26)) + suffix
		}
		names = append(names, "broker-"+suffix)
	}
	return names
}

// withDefaults returns the configuration with every default filled in.
func (c Config) withDefaults() (Config, error) {
	if len(c.Brokers) == 0 {
		c.Brokers = BrokerNames(1)
	}
	if len(c.Brokers) > maxBrokers {
		return c, fmt.Errorf("%w: %d brokers, at most %d", ErrConfig, len(c.Brokers), maxBrokers)
	}
	seen := make(map[string]bool, len(c.Brokers))
	for _, name := range c.Brokers {
		if remark := illegalName(name); remark != "" {
			return c, fmt.Errorf("%w: broker name %q: %s", ErrConfig, name, remark)
		}
		if seen[name] {
			return c, fmt.Errorf("%w: broker name %q twice", ErrConfig, name)
		}
		seen[name] = true
	}
	if c.NameServers < 1 {
		c.NameServers = 1
	}
	if c.NameServers > 16 {
		return c, fmt.Errorf("%w: %d name servers, at most 16", ErrConfig, c.NameServers)
	}
	if c.ClusterName == "" {
		c.ClusterName = DefaultClusterName
	}
	if c.Queues == 0 {
		c.Queues = DefaultQueues
	}
	if c.Queues < 0 || c.Queues > maxQueues {
		return c, fmt.Errorf("%w: %d queues, allowed are 1 to %d", ErrConfig, c.Queues, maxQueues)
	}
	if c.DelayLevels == nil {
		c.DelayLevels = DefaultDelayLevels()
	}
	c.DelayLevels = slices.Clone(c.DelayLevels)
	if n := len(c.DelayLevels); n < 1 || n > maxDelayLevels || slices.Min(c.DelayLevels) < 0 {
		return c, fmt.Errorf("%w: delay levels %v: 1 to %d of them are allowed, none below 0", ErrConfig, c.DelayLevels, maxDelayLevels)
	}
	if err := cmp.Or(
		limit("MaxStoredBytes", &c.MaxStoredBytes, DefaultMaxStoredBytes),
		limit("MaxConnections", &c.MaxConnections, DefaultMaxConnections),
		limit("MaxBufferedBytes", &c.MaxBufferedBytes, DefaultMaxBufferedBytes),
		limit("MaxTableBytes", &c.MaxTableBytes, DefaultMaxTableBytes),
		limit("TransactionCheckInterval", &c.TransactionCheckInterval, DefaultTransactionCheckInterval),
		limit("TransactionTimeout", &c.TransactionTimeout, DefaultTransactionTimeout),
		limit("TransactionCheckMax", &c.TransactionCheckMax, DefaultTransactionCheckMax),
	); err != nil {
		return c, err
	}
	if c.StallTimeout == 0 {
		c.StallTimeout = DefaultStallTimeout
	}
	if c.RecordedRequests == 0 {
		c.RecordedRequests = DefaultRecordedRequests
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c.withAddresses()
}

func (c Config) withAddresses() (Config, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("%w: listen address: %w", ErrConfig, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return c, fmt.Errorf("%w: listen address %q: the port is not a number up to 65535", ErrConfig, c.Listen)
	}
	if last := c.BrokerPort + len(c.Brokers) - 1; c.BrokerPort < 0 || last > 65535 {
		return c, fmt.Errorf("%w: broker ports %d to %d: 1 to 65535 are allowed", ErrConfig, c.BrokerPort, last)
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || ip != nil && ip.IsLoopback(); !loopback && !c.AllowRemote {
		return c, fmt.Errorf("%w: %q; set AllowRemote to open it to others", ErrNotLoopback, c.Listen)
	}
	if (host == "" || ip != nil && ip.IsUnspecified()) && c.AdvertiseHost == "" {
		return c, fmt.Errorf("%w: %q", ErrAdvertiseHost, c.Listen)
	}
	return c, nil
}

// limit gives a limit that is 0 its default, and refuses one below 0.
func limit[T int | int64 | time.Duration](name string, v *T, byDefault T) error {
	if *v < 0 {
		return fmt.Errorf("%w: %s %v", ErrConfig, name, *v)
	}
	*v = cmp.Or(*v, byDefault)
	return nil
}
