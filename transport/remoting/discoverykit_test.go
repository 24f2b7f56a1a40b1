package remoting_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// dns is what names lead to, in memory. A name that it does not have does not exist.
type dns struct {
	mu    sync.Mutex
	hosts map[string][]string
	srv   map[string][]*net.SRV
	hung  bool
	asked int
}

func (d *dns) set(host string, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hosts == nil {
		d.hosts, d.srv = map[string][]string{}, map[string][]*net.SRV{}
	}
	d.hosts[host] = addrs
}

func (d *dns) setSRV(name string, records ...*net.SRV) {
	d.set("", "") // makes the maps
	d.mu.Lock()
	defer d.mu.Unlock()
	d.srv[name] = records
}

func (d *dns) hang(is bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hung = is
}

func (d *dns) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

func (d *dns) enter(ctx context.Context) error {
	d.mu.Lock()
	hung := d.hung
	d.asked++
	d.mu.Unlock()
	if hung {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (d *dns) LookupNetIP(ctx context.Context, network, host string) (out []netip.Addr, err error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.hosts[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	if network != "ip" || len(out) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return out, nil
}

func (d *dns) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if err := d.enter(ctx); err != nil {
		return "", nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	records, ok := d.srv[name]
	if service != "" || proto != "" || !ok {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return name, records, nil
}

// discovered is a producer that has to find its name servers.
type discovered struct {
	t    *testing.T
	n    *pipes
	c    *remoting.Client
	p    *core.Producer
	log  *rawLog
	sent int
}

// discover makes one in a network with one broker.
func discover(t *testing.T, n *pipes, cfg remoting.Config) *discovered {
	t.Helper()
	run(t, n.listen("10.1.0.1:10911"), nil)
	d := &discovered{t: t, n: n, log: &rawLog{}}
	cfg.Dial = n.dial
	cfg.Logger = slog.New(rawHandler{d.log})
	if cfg.NameServers == nil {
		cfg.NameServers = []string{}
	}
	d.c = client(t, cfg)
	pc := coretest.Config(unregistered{d.c})
	pc.Routes = d.c
	pc.Timeout = 3 * time.Second
	d.p = coretest.Start(t, pc)
	return d
}

// send sends to a topic that nobody has asked for.
func (d *discovered) send() error {
	d.sent++
	m := coretest.Message("x")
	m.Topic = fmt.Sprint("topic-", d.sent)
	_, err := d.p.Send(bg, m)
	return err
}

// wantSend fails the test unless a send succeeds, within so much time.
func (d *discovered) wantSend(most time.Duration) {
	d.t.Helper()
	start := time.Now()
	if err := d.send(); err != nil || time.Since(start) > most {
		d.t.Fatalf("after %v, want at most %v: %v", time.Since(start), most, err)
	}
}

func (d *discovered) wantServers(want ...string) {
	d.t.Helper()
	if got := d.c.NameServers(); !slices.Equal(got, want) {
		d.t.Fatalf("name servers %v, want %v", got, want)
	}
}

// ns runs a name server of the broker of discover.
func ns(t *testing.T, n *pipes, addr string) *fake {
	t.Helper()
	return run(t, n.listen(addr), answering(func(string) *wire.RouteData { return routeTo(2, "10.1.0.1:10911") }, 0))
}

// endpoint runs an HTTP server.
func endpoint(t *testing.T, n *pipes, addr string, h http.HandlerFunc) {
	t.Helper()
	s := &http.Server{Handler: h}
	var served sync.WaitGroup
	l := n.listen(addr)
	served.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { _ = s.Close(); served.Wait() })
}

// overPipes is an HTTP client of the network in memory.
func overPipes(n *pipes) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: n.dial, DisableKeepAlives: true}}
}

// page is an HTTP handler whose answer can be changed.
type page struct {
	mu    sync.Mutex
	body  string
	asked []string
}

func (x *page) set(body string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.body = body
}

func (x *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked = append(x.asked, r.Host+r.URL.String())
	_, _ = w.Write([]byte(x.body))
}

func (x *page) requests() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.asked)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
