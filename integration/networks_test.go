package integration

import (
	"context"
	"io"
	"log"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/armon/go-socks5"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// A thousand sends to real brokers through each kind of network, none lost: address translation, a forwarded port, a
// SOCKS5 proxy with a password, IPv6 alone. Both brokers listen at ::1. The first one registers an address at which nobody
// is, and the test sees every address that is dialed.
func TestNetworks(t *testing.T) {
	t.Parallel()
	const (
		version  = "5.3.3"
		nowhere  = "192.0.2.7"
		password = "the-password-of-the-proxy"
	)
	defer count(version, time.Now())
	c := startCluster(t, realcluster.Options{Version: version, Brokers: 2, IPv6: true, Settings: []string{"broker-a:brokerIP1=" + nowhere}})
	port := func(broker string) string {
		_, port, err := net.SplitHostPort(c.BrokerAddr(broker))
		must(t, err)
		return port
	}
	forwarder := forward(t, "127.0.0.1:0", func() (net.Conn, error) { return net.Dial("tcp", c.BrokerAddr("broker-a")) })
	nameServer6 := forward(t, "[::1]:0", func() (net.Conn, error) { return net.Dial("tcp", c.NameServer()) })
	proxy := socksProxy(t, &socks5.Config{
		Credentials: socks5.StaticCredentials{"me": password},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, strings.Replace(addr, nowhere+":", "[::1]:", 1))
		},
	})

	for i, tt := range []struct {
		name, broker, nameServer string
		client                   remoting.Config
		dialed                   []string // besides the name server
	}{
		{"nat", "broker-a", c.NameServer(), remoting.Config{Addresses: []string{nowhere + "=::1"}}, []string{"[::1]:" + port("broker-a")}},
		{"forwarded", "broker-a", c.NameServer(), remoting.Config{Addresses: []string{"broker-a=" + forwarder}}, []string{forwarder}},
		{"socks5", "broker-a", c.NameServer(), remoting.Config{
			SOCKS: remoting.SOCKS{nowhere + "/32": {Addr: proxy, Username: "me", Password: remoting.NewSecret(password)}},
		}, []string{proxy}},
		{"ipv6", "broker-b", nameServer6, remoting.Config{}, []string{c.BrokerAddr("broker-b")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			topic := "networks-" + strconv.Itoa(i)
			c.CreateTopic(t, topic, 4, tt.broker)
			var dialed sync.Map
			tt.client.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed.Store(addr, true)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			p, err := liftoff.New(liftoff.Config{Group: "networks", NameServers: []string{tt.nameServer}, Client: tt.client, Timeout: time.Minute})
			startProducer(t, p, err)
			const sends, callers = 1000, 10
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range sends / callers {
						if _, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			stored := 0
			for began := time.Now(); stored != sends && time.Since(began) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
				stored = c.Stored(t, topic, 4, tt.broker) // a broker counts somewhat after it has answered
			}
			if stored != sends {
				t.Errorf("%d messages are stored", stored)
			}
			allowed := append(tt.dialed, tt.nameServer)
			for addr := range dialed.Range {
				if !slices.Contains(allowed, addr.(string)) {
					t.Errorf("%s was dialed", addr)
				}
			}
			details := []core.Setting{}
			for _, b := range p.Snapshot().Brokers {
				details = append(details, b.Details...)
			}
			if !slices.Contains(details, core.Setting{Name: "version", Value: version}) {
				t.Errorf("the broker's version is not in %v", details)
			}
		})
	}
}

// socksProxy runs a SOCKS5 proxy that is not the tests' own.
func socksProxy(t *testing.T, cfg *socks5.Config) (addr string) {
	t.Helper()
	cfg.Logger = log.New(io.Discard, "", 0) // it logs each connection that ends
	server, err := socks5.New(cfg)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() { _ = server.Serve(ln) }() // until the listener is closed
	return ln.Addr().String()
}

// forward listens, and takes each connection on to another one.
func forward(t *testing.T, listen string, onward func() (net.Conn, error)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", listen)
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := onward()
			if err != nil {
				near.Close()
				continue
			}
			carry := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
				from.Close()
			}
			go carry(near, far)
			go carry(far, near)
		}
	}()
	return ln.Addr().String()
}
