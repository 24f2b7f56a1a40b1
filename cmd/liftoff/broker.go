package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/liftoff-mq/liftoff/transport/embedded"
)

// brokerCmd are the flags of "liftoff broker".
type brokerCmd struct {
	Listen      string `default:"127.0.0.1:9876" placeholder:"HOST:PORT" help:"Address of the name server (${default}); port 0 takes a free one. The brokers take free ports of the same host."`
	Brokers     int    `default:"1" placeholder:"N" help:"Number of brokers: broker-a, broker-b and so on (${default})."`
	AllowRemote bool   `help:"Permit a host that is not loopback. Whoever reaches the ports may then read, write and create topics."`
	Advertise   string `placeholder:"HOST" help:"Host that routes name, if it is not that of --listen: needed for a wildcard address such as 0.0.0.0."`
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

It runs until it is interrupted (SIGINT or SIGTERM) and then prints to standard error how many messages each topic got. The exit status is 0 after an interrupt, 1 if an address cannot be used, and 2 for wrong usage.

Examples:

    liftoff broker
    liftoff broker --listen 127.0.0.1:0 --brokers 2
    liftoff broker --listen 0.0.0.0:9876 --advertise 10.0.0.5 --allow-remote`
}

// Run serves until ctx ends.
func (c *brokerCmd) Run(ctx context.Context, con console) (err error) {
	if c.Brokers < 1 || c.Brokers > maxBrokers {
		return usage(fmt.Errorf("--brokers %d: want 1 to %d", c.Brokers, maxBrokers))
	}
	if c.MaxStored < 1 {
		return usage(fmt.Errorf("--max-stored %d: want more than 0", c.MaxStored))
	}
	cluster, err := embedded.Start(ctx, embedded.Config{
		Brokers:          embedded.BrokerNames(c.Brokers),
		Listen:           c.Listen,
		AllowRemote:      c.AllowRemote,
		AdvertiseHost:    c.Advertise,
		MaxStoredBytes:   c.MaxStored,
		RecordedRequests: -1, // nobody asks for them here
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
