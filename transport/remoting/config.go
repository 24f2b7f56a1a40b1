package remoting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/core/rocketmq"
	"github.com/liftoff-mq/liftoff/internal/absent"
	"github.com/liftoff-mq/liftoff/internal/confjson"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
	"github.com/liftoff-mq/liftoff/internal/plausible"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
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
	DefaultUserTimeout           = 10 * time.Second
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
func (s Serialization) String() string {
	if s > JSON {
		return "unknown(" + strconv.Itoa(int(s)) + ")"
	}
	return s.wire().String()
}

// MarshalText gives Java's name: ROCKETMQ or JSON.
func (s Serialization) MarshalText() ([]byte, error) {
	if s > JSON {
		return nil, fmt.Errorf("rocketmq: serialization %d has no name", s)
	}
	return []byte(s.String()), nil
}

// UnmarshalText takes ROCKETMQ, or binary for the same, and JSON, in upper or lower case.
func (s *Serialization) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "rocketmq", "binary":
		*s = Binary
	case "json":
		*s = JSON
	default:
		return fmt.Errorf("rocketmq: serialization %q is not known; there are ROCKETMQ, binary, JSON", text)
	}
	return nil
}

func (s Serialization) wire() wire.Serialization {
	if s == JSON {
		return wire.JSON
	}
	return wire.RocketMQ
}

// Config says how a client reaches a cluster. NameServers or a source in Discovery is required;
// zero values of the rest mean the defaults.
//
// What is data in it can be decoded from YAML, JSON and environment variables; the tags
// have the names. Durations are text there, such as "1.5s".
type Config struct {
	// NameServers are the name servers' addresses: host:port, where host is a
	// DNS name or an IP address, [::1]:9876 for IPv6. Without a port it is 9876.
	// One string may hold several, separated by semicolons, commas or blanks, and
	// a scheme such as http:// before host:port is dropped, as Java 5 does.
	//
	// A DNS name stands for all of its addresses, of which each is a name server of its own. They
	// are looked up as Discovery says.
	NameServers []string `json:"nameServers" yaml:"nameServers" env:"NAME_SERVERS"`
	// Discovery says where more name servers are found, and how DNS is asked.
	Discovery Discovery `json:"discovery" yaml:"discovery" envPrefix:"DISCOVERY_"`
	// UnitName is the unit of the cluster that this client belongs to (Java:
	// ClientConfig.unitName). Discovery.Endpoint is asked for the name servers of this unit, and the
	// client's id has the name. None by default.
	UnitName string `json:"unitName" yaml:"unitName" env:"UNIT_NAME"`
	// Dial opens connections, also those to SOCKS proxies; nil means a net.Dialer with TCP keep-alive of
	// 15 s and UserTimeout, which tries every address of a name. It must obey ctx. It runs on a goroutine of
	// the client's; sends wait for it no longer than they want to. What such a client learns
	// of a broker holds for no other client ([core.Broker].Network): an address may lead
	// somewhere else without this function.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) `json:"-" yaml:"-"`
	// Serialization is the form of headers, [Binary] by default.
	Serialization Serialization `json:"serialization" yaml:"serialization" env:"SERIALIZATION"`
	// CreateTopicKey is the topic whose settings an unknown topic takes when
	// brokers create topics by themselves, TBW102 by default.
	CreateTopicKey string `json:"createTopicKey" yaml:"createTopicKey" env:"CREATE_TOPIC_KEY"`
	// DefaultTopicQueueNums is how many queues such a topic gets per broker, 4 by default.
	DefaultTopicQueueNums int `json:"defaultTopicQueueNums" yaml:"defaultTopicQueueNums" env:"DEFAULT_TOPIC_QUEUE_NUMS"`
	// ClientID names this client to brokers. By default it is made as Java's is:
	// ip@instance, then @ and the unit's name if there is one, then @STREAM if StreamType is set.
	ClientID string `json:"clientId" yaml:"clientId" env:"CLIENT_ID"`
	// ClientIP is the address in that id, by default the first of this machine that is not loopback.
	ClientIP string `json:"clientIp" yaml:"clientIp" env:"CLIENT_IP"`
	// InstanceName is the instance in that id. By default, and for DEFAULT, it is pid#random, so that
	// no two clients have the same. Clients with the same id are one to RocketMQ's tools.
	InstanceName string `json:"instanceName" yaml:"instanceName" env:"INSTANCE_NAME"`

	// NamespaceV2 is the tenant that each request names in its header, for servers that keep
	// tenants apart by that (Java: namespaceV2, from 5.2.0 on). Topics and groups stay as they
	// are. RocketMQ's own servers up to 5.5.0 do nothing with it. None by default.
	NamespaceV2 string `json:"namespaceV2" yaml:"namespaceV2" env:"NAMESPACE_V2"`
	// UnitMode marks each send as one of a unit, which is a part of a deployment that works by
	// itself. A broker that makes a topic for such a send marks the topic as well. Off by default.
	UnitMode bool `json:"unitMode" yaml:"unitMode" env:"UNIT_MODE"`
	// Zone is where this client stands, see there. None by default.
	Zone Zone `json:"zone" yaml:"zone" envPrefix:"ZONE_"`
	// StreamType marks each request as one of a streaming client (Java:
	// enableStreamRequestType). Off by default.
	StreamType bool `json:"streamType" yaml:"streamType" env:"STREAM_TYPE"`

	// HeartbeatInterval is how often the brokers that were sent to are told which groups live
	// here, 30 s by default.
	HeartbeatInterval time.Duration `json:"heartbeatInterval" yaml:"heartbeatInterval" env:"HEARTBEAT_INTERVAL"`
	// ConnectTimeout bounds one dial, whoever waits for it, 3 s by default.
	ConnectTimeout time.Duration `json:"connectTimeout" yaml:"connectTimeout" env:"CONNECT_TIMEOUT"`
	// NameServerTimeout is how long a name server may be silent before the next one is asked as
	// well, 1 s by default. Its own answer still counts. How long a look-up goes on is
	// the producer's RouteTimeout; without a deadline in the context it is twice this time
	// for each server, and once more.
	NameServerTimeout time.Duration `json:"nameServerTimeout" yaml:"nameServerTimeout" env:"NAME_SERVER_TIMEOUT"`
	// RequestTimeout bounds one heartbeat or unregistration at one broker, 3 s by default.
	RequestTimeout time.Duration `json:"requestTimeout" yaml:"requestTimeout" env:"REQUEST_TIMEOUT"`
	// WriteTimeout is how long a peer may need to take 64 KiB before its connection
	// is closed, 3 s by default.
	WriteTimeout time.Duration `json:"writeTimeout" yaml:"writeTimeout" env:"WRITE_TIMEOUT"`
	// FrameTimeout is how long a frame may stay incomplete, 10 s by default.
	FrameTimeout time.Duration `json:"frameTimeout" yaml:"frameTimeout" env:"FRAME_TIMEOUT"`
	// IdleTimeout closes connections without any traffic, after 120 s by default. The
	// client looks for traffic once a HeartbeatInterval, so a connection may stay open for up to
	// two of these longer.
	IdleTimeout time.Duration `json:"idleTimeout" yaml:"idleTimeout" env:"IDLE_TIMEOUT"`
	// UserTimeout is for how long what was sent may stay unacknowledged by the other side's
	// kernel before a connection ends, 10 s by default: TCP_USER_TIMEOUT of Linux (RFC 5482). So
	// a machine that vanished without a word is noticed, also by one-way sends, for which no
	// answer is missed. It has no effect on other systems, whose own limits hold, mostly
	// minutes. A negative time leaves Linux its own as well, some 15 minutes. It cannot be set
	// beside Dial, which makes the sockets.
	UserTimeout time.Duration `json:"userTimeout" yaml:"userTimeout" env:"USER_TIMEOUT"`

	// MaxQueuedBytes bounds the frames that wait on one connection, in bytes, 8 MiB by
	// default; one frame may exceed it. Sends beyond it wait.
	MaxQueuedBytes int `json:"maxQueuedBytes" yaml:"maxQueuedBytes" env:"MAX_QUEUED_BYTES"`
	// MaxBrokers bounds the brokers that the client knows at a time, 1,024 by default.
	MaxBrokers int `json:"maxBrokers" yaml:"maxBrokers" env:"MAX_BROKERS"`
	// MaxTopics bounds the topics whose routes are remembered, 16,384 by default; together
	// they have at most a million queues. Their brokers stay connected while somebody sends
	// to them. The topic that was looked up longest ago makes room. If no name server knows
	// it later, it counts as new.
	MaxTopics int `json:"maxTopics" yaml:"maxTopics" env:"MAX_TOPICS"`

	// AllowedBrokers are the broker addresses that may be dialed, for programs that cannot
	// trust what name servers say: names such as broker.example, or *.example for all below
	// it, IP addresses, and networks such as 10.0.0.0/8, each with a port or for any. One
	// string may hold several, as in NameServers. A name is compared as a name, not by the
	// addresses that it has. Without any, the default, all are allowed. The list is about
	// what VIPChannel, Addresses and MapAddr made of an address.
	AllowedBrokers []string `json:"allowedBrokers" yaml:"allowedBrokers" env:"ALLOWED_BROKERS"`
	// AllowBroker is for rules that no list can express: it refuses an address by returning
	// false. An address must pass both. Nil allows all. It is asked at each look-up and each
	// dial, on a goroutine of the client's.
	AllowBroker func(addr string) bool `json:"-" yaml:"-"`
	// Addresses translate what brokers registered to what can be reached from here, for NAT and
	// forwarded ports. Each is FROM=TO, in one of four forms:
	//
	//   - 10.0.0.5:10911=127.0.0.1:30911, an address
	//   - broker-a=127.0.0.1:30911, the master of the broker of that name, wherever it is
	//   - 10.0.0.5=203.0.113.5, a host, an IP address or a name; the port stays
	//   - 10.1.0.0/16=203.0.0.0/16, a network, to one of its size; the rest and the port stay
	//
	// IPv6 addresses before a port are in brackets. One string may hold several, as in
	// NameServers. Where several fit, an address goes before a name, a name before a host, a host
	// before a network, and a long network before a short one. What fits none is as registered.
	// Name servers are not translated.
	Addresses []string `json:"addresses" yaml:"addresses" env:"ADDRESSES"`
	// MapAddr is for translations that no table can express. It gets and returns host:port,
	// [::1]:10911 for IPv6; an address that is not in this form it gets as it is. It is not asked
	// about addresses that Addresses translate. Nil changes nothing. It is asked at each
	// look-up, on a goroutine of the client's.
	MapAddr func(addr string) string `json:"-" yaml:"-"`
	// VIPChannel talks with brokers on their second port, which is the registered one less two
	// and has threads of its own there (Java: vipChannelEnabled). False by default, as in Java.
	// Where Java uses that port for sends only, the client uses it for heartbeats as well, so
	// that there is one connection for each broker. What Addresses and MapAddr translate is the
	// address with that port. Name servers, and the proxy of RocketMQ 5, have none.
	VIPChannel bool `json:"vipChannel" yaml:"vipChannel" env:"VIP_CHANNEL"`
	// SOCKS are the SOCKS5 proxies that lead to name servers and brokers, by their networks.
	// None by default: everything is dialed directly.
	SOCKS SOCKS `json:"socks" yaml:"socks" env:"SOCKS"`

	// TLS encrypts the connections to name servers and brokers. By default they are plain.
	TLS TLS `json:"tls" yaml:"tls" envPrefix:"TLS_"`

	// Signer signs every request, for clusters with access control: package
	// [github.com/liftoff-mq/liftoff/transport/remoting/acl] has the one for access keys. Nil
	// means that requests are not signed, and costs nothing.
	Signer Signer `json:"-" yaml:"-"`

	// Logger gets what no error can report. Nil means silence. Its handler gets the lines on
	// a goroutine of its own, in order, so it may take its time and may send. While it is
	// slower than the lines come, 1,024 of them wait; the others are counted.
	Logger *slog.Logger `json:"-" yaml:"-"`
}

// UnmarshalJSON takes durations as text, such as "1.5s", and refuses unknown members.
func (c *Config) UnmarshalJSON(data []byte) error { return confjson.Unmarshal(data, c) }

// MarshalJSON gives what is data and not zero, with durations as text.
func (c Config) MarshalJSON() ([]byte, error) { return confjson.Marshal(c) }

// withDefaults fills the zero values and reports everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	servers, err := parseServers(c.NameServers)
	if err != nil && (len(c.NameServers) > 0 || c.Discovery.IsZero()) {
		errs = append(errs, err)
	}
	c.NameServers = servers
	errs = append(errs, c.Discovery.check(c.UnitName))
	if c.Dial == nil && len(c.SOCKS) == 0 && c.Discovery.Resolver == nil {
		c.Discovery.Resolver = net.DefaultResolver
	}
	if c.Serialization > JSON {
		errs = append(errs, fmt.Errorf("unknown serialization %d", c.Serialization))
	}
	if c.CreateTopicKey == "" {
		c.CreateTopicKey = DefaultCreateTopicKey
	}
	if f := rocketmq.CheckName(c.CreateTopicKey, rocketmq.MaxTopicLength); f != rocketmq.NameOK {
		errs = append(errs, fmt.Errorf("CreateTopicKey is %.50q, which cannot be a topic: %v", c.CreateTopicKey, f))
	}
	number(&errs, "DefaultTopicQueueNums", &c.DefaultTopicQueueNums, DefaultDefaultTopicQueueNums, wire.MaxRouteQueues, "it counts the queues of a topic at one broker")
	duration(&errs, "HeartbeatInterval", &c.HeartbeatInterval, DefaultHeartbeatInterval, plausible.Year)
	duration(&errs, "ConnectTimeout", &c.ConnectTimeout, DefaultConnectTimeout, plausible.Day)
	duration(&errs, "NameServerTimeout", &c.NameServerTimeout, DefaultNameServerTimeout, plausible.Day)
	duration(&errs, "RequestTimeout", &c.RequestTimeout, DefaultRequestTimeout, plausible.Day)
	duration(&errs, "WriteTimeout", &c.WriteTimeout, DefaultWriteTimeout, plausible.Day)
	duration(&errs, "FrameTimeout", &c.FrameTimeout, DefaultFrameTimeout, plausible.Day)
	duration(&errs, "IdleTimeout", &c.IdleTimeout, DefaultIdleTimeout, plausible.Year)
	number(&errs, "MaxQueuedBytes", &c.MaxQueuedBytes, DefaultMaxQueuedBytes, maxQueuedBytes, "it bounds the memory of one connection, in bytes")
	number(&errs, "MaxBrokers", &c.MaxBrokers, DefaultMaxBrokers, maxKnown, "it bounds what strangers can make the client remember")
	number(&errs, "MaxTopics", &c.MaxTopics, DefaultMaxTopics, maxKnown, "it bounds what the client remembers")
	errs = append(errs, c.dialDefaults())
	_, wrongAllowed := parseAllowed(c.AllowedBrokers)
	_, wrongAddresses := parseAddresses(c.Addresses)
	_, wrongSOCKS := parseSOCKS(c.SOCKS)
	errs = append(errs, wrongAllowed, wrongAddresses, wrongSOCKS)
	errs = append(errs, c.checkTenancy())
	if c.Signer != nil && absent.Is(c.Signer) {
		errs = append(errs, errors.New("Signer is a nil pointer"))
	}
	c.Logger = logqueue.New(c.Logger).With("component", "rocketmq.client")
	return c, errors.Join(errs...)
}

// dialDefaults fills what opens connections.
func (c *Config) dialDefaults() error {
	if c.Dial != nil {
		if c.UserTimeout > 0 {
			return errors.New("UserTimeout is set beside Dial, whose sockets it cannot change: set it there")
		}
		return nil
	}
	var errs []error
	if c.UserTimeout >= 0 { // below, the system's own
		duration(&errs, "UserTimeout", &c.UserTimeout, DefaultUserTimeout, plausible.Day)
	}
	c.Dial = conn.NewDialer(keepAlive, c.UserTimeout).DialContext
	return errors.Join(errs...)
}

// The most that the limits of a configuration can be. What goes beyond limits nothing.
const (
	maxQueuedBytes = 1 << 30
	maxKnown       = 1 << 20
)

func number(errs *[]error, name string, v *int, def, most int, hint string) {
	if *v == 0 {
		*v = def
	}
	*errs = append(*errs, plausible.Named(name, plausible.Number(*v, 1, most, hint)))
}

func duration(errs *[]error, name string, v *time.Duration, def, most time.Duration) {
	if *v == 0 {
		*v = def
	}
	*errs = append(*errs, plausible.Named(name, plausible.Time(*v, plausible.Moment, most)))
}
