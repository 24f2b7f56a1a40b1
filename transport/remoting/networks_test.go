package remoting_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/middlebox"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

const (
	// nowhere is a host of the network that is for documentation: nobody is there.
	nowhere       = "192.0.2.7"
	proxyPassword = "the-password-of-the-proxy"
)

// network is what is between a producer and a cluster of two brokers.
type network struct {
	cluster *embedded.Cluster
	// servers and client are how the producer gets there.
	servers []string
	client  remoting.Config
	boxes   []*middlebox.Box
	host    string // that servers listen at
}

// brokerPorts are those of broker-a and broker-b.
func (w *network) brokerPorts(t *testing.T) (ports []string) {
	t.Helper()
	for _, b := range w.cluster.Brokers() {
		_, port, err := net.SplitHostPort(b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}

func (w *network) keep(t *testing.T, b *middlebox.Box, err error) *middlebox.Box {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	w.boxes = append(w.boxes, b)
	return b
}

// newNetwork starts two brokers that register another host than theirs, if there is one.
func newNetwork(t *testing.T, listen, advertise string) *network {
	t.Helper()
	c := embedded.New(t, embedded.Config{Brokers: embedded.BrokerNames(2), Listen: listen, AdvertiseHost: advertise})
	if err := c.CreateTopic("T", 4); err != nil {
		t.Fatal(err)
	}
	host, _, _ := net.SplitHostPort(listen)
	_, port, _ := net.SplitHostPort(c.NameServers()[0])
	return &network{cluster: c, servers: []string{net.JoinHostPort(host, port)}, host: host}
}

// behindSOCKS is a cluster that only a proxy can reach: name server and brokers are elsewhere by
// the addresses that a client has.
func behindSOCKS(t *testing.T, listen, host string, p middlebox.Proxy) *network {
	t.Helper()
	w := newNetwork(t, listen, host)
	local, _, _ := net.SplitHostPort(listen)
	_, port, _ := net.SplitHostPort(w.servers[0])
	w.servers = []string{net.JoinHostPort(host, port)}
	p.Route = func(addr string) string {
		h, port, _ := net.SplitHostPort(addr)
		if h != host {
			return ""
		}
		return net.JoinHostPort(local, port)
	}
	b, err := p.Listen(net.JoinHostPort(local, "0"))
	w.keep(t, b, err)
	w.client.SOCKS = remoting.SOCKS{"0.0.0.0/0": {Addr: b.Addr(), Username: p.Username, Password: remoting.NewSecret(p.Password)}}
	return w
}

// forwarded is a cluster each of whose brokers can be reached through a port of its own alone. Table
// makes an entry for broker i, whose registered port and forwarder are given.
func forwarded(t *testing.T, table func(i int, port, forwarder string) string) *network {
	t.Helper()
	w := newNetwork(t, "127.0.0.1:0", nowhere)
	for i, port := range w.brokerPorts(t) {
		b, err := middlebox.Forward("127.0.0.1:0", "127.0.0.1:"+port)
		w.keep(t, b, err)
		w.client.Addresses = append(w.client.Addresses, table(i, port, b.Addr()))
	}
	return w
}

// A thousand sends through each kind of network: none is lost, and no registered address is dialed
// that cannot be reached from here.
func TestNetworks(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) *network{
		"NAT, a network": func(t *testing.T) *network {
			w := newNetwork(t, "127.0.0.1:0", "192.0.2.1")
			w.client.Addresses = []string{"192.0.2.0/28=127.0.0.0/28"}
			return w
		},
		"NAT, a host": func(t *testing.T) *network {
			w := newNetwork(t, "127.0.0.1:0", nowhere)
			w.client.Addresses = []string{nowhere + "=127.0.0.1"}
			return w
		},
		"NAT, a table and a function": func(t *testing.T) *network {
			w := newNetwork(t, "127.0.0.1:0", nowhere)
			ports := w.brokerPorts(t)
			w.client.Addresses = []string{nowhere + ":" + ports[0] + "=127.0.0.1:" + ports[0]}
			w.client.MapAddr = func(addr string) string {
				if addr != nowhere+":"+ports[1] {
					t.Errorf("MapAddr is asked about %s", addr)
				}
				return "127.0.0.1:" + ports[1]
			}
			return w
		},
		"forwarded ports, by address": func(t *testing.T) *network {
			return forwarded(t, func(_ int, port, forwarder string) string { return nowhere + ":" + port + "=" + forwarder })
		},
		"forwarded ports, by name": func(t *testing.T) *network {
			return forwarded(t, func(i int, _, forwarder string) string { return embedded.BrokerNames(2)[i] + "=" + forwarder })
		},
		"SOCKS5": func(t *testing.T) *network {
			return behindSOCKS(t, "127.0.0.1:0", nowhere, middlebox.Proxy{})
		},
		"SOCKS5 with a password": func(t *testing.T) *network {
			return behindSOCKS(t, "127.0.0.1:0", nowhere, middlebox.Proxy{Username: "me", Password: proxyPassword})
		},
		"SOCKS5, names that it resolves": func(t *testing.T) *network {
			return behindSOCKS(t, "127.0.0.1:0", "rocketmq.invalid", middlebox.Proxy{})
		},
		"SOCKS5 over IPv6": func(t *testing.T) *network {
			return behindSOCKS(t, "[::1]:0", "2001:db8::7", middlebox.Proxy{})
		},
		"IPv6 only": func(t *testing.T) *network { return newNetwork(t, "[::1]:0", "") },
		"IPv6, forwarded": func(t *testing.T) *network {
			w := newNetwork(t, "[::1]:0", "2001:db8::7")
			w.client.Addresses = []string{"2001:db8::7=::1"}
			return w
		},
	} {
		t.Run(name, func(t *testing.T) { thousandSends(t, make(t)) })
	}
}

func thousandSends(t *testing.T, w *network) {
	var dialed sync.Map
	w.client.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialed.Store(addr, true)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	// A busy machine must not end anything: a connection that is given up takes one-way messages with it.
	w.client.WriteTimeout, w.client.FrameTimeout, w.client.ConnectTimeout = time.Minute, time.Minute, time.Minute
	p, err := liftoff.New(liftoff.Config{
		Group: "networks", NameServers: w.servers, Client: w.client, Timeout: time.Minute, AttemptTimeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(bg); err != nil {
		t.Fatal(err)
	}
	const sends, callers = 1000, 20
	var wg sync.WaitGroup
	var failed atomic.Int64
	note := func(what string, err error) {
		if err != nil && failed.Add(1) == 1 {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range callers {
		wg.Go(func() {
			for i := range sends / callers {
				m := coretest.Message("x")
				switch i % 3 {
				case 0:
					note("one-way", p.SendOneway(bg, m))
				case 1:
					_, err := p.Send(bg, m)
					note("sync", err)
				default:
					wg.Add(1)
					p.SendAsync(bg, m, func(_ core.Result, err error) {
						note("async", err)
						wg.Done()
					})
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all messages are stored", func() bool { return w.cluster.StoredCount("T") == sends })
	snapshot := p.Snapshot()
	if err := p.Shutdown(bg); err != nil {
		t.Error(err)
	}
	if n := failed.Load(); n > 0 {
		t.Errorf("%d sends failed", n)
	}
	for _, b := range snapshot.Brokers {
		if s := fmt.Sprint(b.Details); strings.Contains(s, "last dial") || !strings.Contains(s, "{version "+wire.VersionText(wire.CurrentVersion)+"}") {
			t.Errorf("%s: %v", b.Addr, b.Details)
		}
	}
	// What stands between is all that is dialed, and the name servers where nothing does.
	allowed := slices.Clone(w.servers)
	stored := map[string]int{}
	for _, m := range w.cluster.Stored("T") {
		stored[m.Broker]++
	}
	for _, b := range w.cluster.Brokers() {
		if stored[b.Name()] < sends/4 {
			t.Errorf("%s has %d messages", b.Name(), stored[b.Name()])
		}
	}
	if len(w.boxes) == 0 {
		for _, port := range w.brokerPorts(t) {
			allowed = append(allowed, net.JoinHostPort(w.host, port))
		}
	}
	for _, b := range w.boxes {
		if len(b.Asked()) == 0 {
			t.Errorf("nothing went through %s", b.Addr())
		}
		allowed = append(allowed, b.Addr())
	}
	for addr := range dialed.Range {
		host, _, _ := net.SplitHostPort(addr.(string))
		if !slices.Contains(allowed, addr.(string)) || !net.ParseIP(host).IsLoopback() {
			t.Errorf("%s was dialed", addr)
		}
	}
}
