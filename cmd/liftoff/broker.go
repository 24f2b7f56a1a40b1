package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// brokerCmd are the flags of "liftoff broker".
type brokerCmd struct {
	Listen      string `default:"127.0.0.1:9876" placeholder:"HOST:PORT" help:"Address of the name server (${default}); port 0 takes a free one. The brokers are on the same host."`
	Brokers     int    `default:"1" placeholder:"N" help:"Number of brokers: broker-a, broker-b and so on (${default})."`
	BrokerPort  int    `placeholder:"PORT" help:"Port of the first broker; the next ones take the ports after it. Without it they take free ports."`
	AllowRemote bool   `help:"Permit a host that is not loopback. Whoever reaches the ports may then read, write and create topics."`
	Advertise   string `placeholder:"HOST" help:"Host that routes name, if it is not that of --listen: needed for a wildcard address such as 0.0.0.0."`
	DelayLevels string `placeholder:"LEVELS" help:"How long messages with a delay level wait, level 1 first, as a broker's messageDelayLevel says it (1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h). What a consumer fails comes again after level 3, then 4 and so on."`
	MaxStored   int64  `default:"67108864" placeholder:"BYTES" help:"Bytes of messages that each broker keeps (${default}); beyond them the oldest go."`
}

// maxBrokers keeps a slip of the finger from opening thousands of ports.
const maxBrokers = 64

// Help is the long help of "liftoff broker".
func (brokerCmd) Help() string {
	return `A name server and brokers that speak RocketMQ's remoting protocol, 4.x and 5.x, for development and tests. Messages are kept in memory and end with the process; unknown topics are created by the first send. It is not for production.

When all of them listen it prints their addresses to standard output, a line each, and then "ready":

    nameserver 127.0.0.1:9876
    broker broker-a 127.0.0.1:40123
    ready

What consumers need works too: a message that one of them fails comes again later and at last goes to the group's topic %DLQ%, tags are filtered here, and RocketMQ's mqadmin finds messages by key and id, shows topics, consumers and their progress, and deletes topics. Transactions with checks, requests with replies, and timed messages with recalls work as well. Not here are filters by SQL, pop consumption, access control, TLS and the proxy; each is refused with words that the client shows.

What it refuses because it does not have it is printed to standard error, once for each kind, with the client's language and address; so are connections that it ends because they break the protocol, stall or are too many.

Clients first ask the name server, then go to the addresses that it names. In a container the brokers' ports must therefore be known (--broker-port) and published under the same numbers, and --advertise is the host by which clients reach them:

    services:
      rocketmq:
        image: alpine
        volumes: ["./liftoff:/liftoff:ro"]    # CGO_ENABLED=0 go build ./cmd/liftoff
        command: /liftoff broker --listen 0.0.0.0:9876 --broker-port 10911 --advertise 127.0.0.1 --allow-remote
        ports: ["127.0.0.1:9876:9876", "127.0.0.1:10911:10911"]

It runs until it is interrupted (SIGINT or SIGTERM) and then prints to standard error how many messages each topic got. The exit status is 0 after an interrupt, 1 if an address cannot be used, and 2 for wrong usage.

Examples:

    liftoff broker
    liftoff broker --listen 127.0.0.1:0 --brokers 2
    liftoff broker --delay-levels "1s 1s 1s 2s 3s"
    liftoff broker --listen 0.0.0.0:9876 --broker-port 10911 --advertise 10.0.0.5 --allow-remote`
}

// Run serves until ctx ends.
func (c *brokerCmd) Run(ctx context.Context, con console) (err error) {
	if c.Brokers < 1 || c.Brokers > maxBrokers {
		return usage(fmt.Errorf("--brokers %d: want 1 to %d", c.Brokers, maxBrokers))
	}
	if c.MaxStored < 1 {
		return usage(fmt.Errorf("--max-stored %d: want more than 0", c.MaxStored))
	}
	if last := c.BrokerPort + c.Brokers - 1; c.BrokerPort < 0 || last > 65535 {
		return usage(fmt.Errorf("--broker-port %d: the ports of %d brokers are not within 1 to 65535", c.BrokerPort, c.Brokers))
	}
	if c.Advertise != "" && !isHost(c.Advertise) {
		return usage(fmt.Errorf("--advertise %s: want a host, a name or an IP address without a port", words.Quote(c.Advertise)))
	}
	var levels []time.Duration
	if c.DelayLevels != "" {
		if levels, err = embedded.ParseDelayLevels(c.DelayLevels); err != nil {
			return usage(fmt.Errorf("--delay-levels: %w", err))
		}
	}
	cluster, err := embedded.Start(ctx, embedded.Config{
		Brokers:          embedded.BrokerNames(c.Brokers),
		Listen:           c.Listen,
		BrokerPort:       c.BrokerPort,
		AllowRemote:      c.AllowRemote,
		AdvertiseHost:    c.Advertise,
		DelayLevels:      levels,
		MaxStoredBytes:   c.MaxStored,
		RecordedRequests: -1, // nobody asks for them here
		Unsupported:      func(req *embedded.Request, what string) { fmt.Fprint(con.err, refusalLine(req, what)) },
		Logger:           slog.New(slog.NewTextHandler(con.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	switch {
	case errors.Is(err, embedded.ErrNotLoopback):
		return usage(fmt.Errorf("--listen %s: the host is not loopback; --allow-remote opens it to others", c.Listen))
	case errors.Is(err, embedded.ErrAdvertiseHost):
		return usage(fmt.Errorf("--listen %s: clients cannot reach a wildcard address; --advertise names the host for them", c.Listen))
	case errors.Is(err, embedded.ErrConfig):
		return usage(fmt.Errorf("--listen %s: %w", c.Listen, err))
	case err != nil:
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()

	for _, addr := range cluster.NameServers() {
		fmt.Fprintln(con.out, "nameserver", addr)
	}
	for _, b := range cluster.Brokers() {
		fmt.Fprintln(con.out, "broker", b.Name(), b.Addr())
	}
	if _, err := fmt.Fprintln(con.out, "ready"); err != nil {
		return err // whoever waits for it waits in vain
	}
	<-ctx.Done()
	fmt.Fprint(con.err, brokerSummary(cluster))
	return nil
}

// hostName are the characters of a host that is no IP address.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// isHost reports whether clients could dial a host, if it is there.
func isHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || hostName.MatchString(s) && len(s) <= 253
}

// refusalLine says what was refused.
func refusalLine(req *embedded.Request, what string) string {
	return fmt.Sprintf("%s refuses request %d of a %v client at %v: no %q here (said once)\n",
		req.Node, req.Command.Code, req.Command.Language, req.Remote, what)
}

// brokerSummary says what the brokers hold.
func brokerSummary(cluster *embedded.Cluster) string {
	var topics strings.Builder
	total, dropped := 0, int64(0)
	for _, topic := range cluster.Topics() {
		if n := cluster.StoredCount(topic); n > 0 {
			total += n
			fmt.Fprintf(&topics, "  %s %d\n", topic, n)
		}
	}
	for _, b := range cluster.Brokers() {
		dropped += b.Dropped()
	}
	s := fmt.Sprintf("stored %d messages", total)
	if dropped > 0 {
		s += fmt.Sprintf(", and %d more that had to go", dropped)
	}
	return s + "\n" + topics.String()
}
