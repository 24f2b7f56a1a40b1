package embedded

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Cluster is a set of name servers and brokers. Close ends it.
type Cluster struct {
	cfg     Config
	ctx     context.Context // ends with the cluster; for logging and timers only
	cancel  context.CancelFunc
	servers []*NameServer
	brokers []*Broker // in the order of the configuration
	byName  map[string]*Broker
	static  staticTopics
	script  script
	records records
	buffers buffers
	asked   unsupported
	connIDs atomic.Uint64

	mu     sync.Mutex
	closed bool
	live   sync.WaitGroup // goroutines and timers
	timers map[*time.Timer]struct{}
}

// Start starts a cluster. Ctx bounds the start only; the cluster lives until [Cluster.Close].
// Errors match [ErrConfig] or are those of listening.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, byName: make(map[string]*Broker, len(cfg.Brokers)), timers: make(map[*time.Timer]struct{})}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.records.limit = cfg.RecordedRequests
	c.buffers.limit = cfg.MaxBufferedBytes
	host, _, _ := net.SplitHostPort(cfg.Listen) // checked by withDefaults
	free := net.JoinHostPort(host, "0")
	for i := range cfg.NameServers {
		name, addr := "namesrv", cfg.Listen
		if i > 0 {
			name, addr = "namesrv-"+strconv.Itoa(i+1), free
		}
		c.servers = append(c.servers, newNameServer(c, name, addr))
	}
	for i, name := range cfg.Brokers {
		addr := free
		if cfg.BrokerPort > 0 {
			addr = net.JoinHostPort(host, strconv.Itoa(cfg.BrokerPort+i))
		}
		b := newBroker(c, name, addr)
		c.brokers = append(c.brokers, b)
		c.byName[name] = b
	}
	for _, s := range c.servers {
		if err = s.Start(ctx); err != nil {
			break
		}
	}
	for _, b := range c.brokers {
		if err == nil {
			err = b.Start(ctx)
		}
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// TB is what [New] needs of a testing.TB; it keeps that package out of programs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// New starts a cluster for a test, which it fails if that does not work, and closes the cluster
// when the test ends.
func New(tb TB, cfg Config) *Cluster {
	tb.Helper()
	c, err := Start(context.Background(), cfg)
	if err != nil {
		tb.Fatalf("start the embedded cluster: %v", err)
		return nil
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Logf("close the embedded cluster: %v", err)
		}
	})
	return c
}

// Close stops all servers and waits for every goroutine of the cluster. Messages are lost. Later
// calls do nothing. It must not be called by a fault rule, for which it would wait.
func (c *Cluster) Close() error {
	c.mu.Lock()
	c.closed = true
	for t := range c.timers {
		if t.Stop() {
			c.live.Done()
		}
	}
	clear(c.timers)
	c.mu.Unlock()
	c.cancel()
	for _, n := range c.nodes() {
		n.stop()
	}
	c.live.Wait()
	return nil
}

// begin counts a goroutine in, unless the cluster is closed.
func (c *Cluster) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.live.Add(1)
	return true
}

func (c *Cluster) end() { c.live.Done() }

// spawn runs fn in a goroutine that Close waits for.
func (c *Cluster) spawn(fn func()) {
	if !c.begin() {
		return
	}
	go func() {
		defer c.end()
		fn()
	}()
}

// after runs fn in a goroutine of its own after d, unless the cluster is closed first or the
// returned function is called in time, which then reports true.
func (c *Cluster) after(d time.Duration, fn func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return func() bool { return false }
	}
	c.live.Add(1)
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		defer c.live.Done()
		c.mu.Lock()
		delete(c.timers, t)
		c.mu.Unlock()
		fn()
	})
	c.timers[t] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, there := c.timers[t]; !there || !t.Stop() {
			return false
		}
		delete(c.timers, t)
		c.live.Done()
		return true
	}
}

// NameServers returns the addresses of all name servers, host:port, in their order.
func (c *Cluster) NameServers() []string {
	out := make([]string, len(c.servers))
	for i, s := range c.servers {
		out[i] = s.Addr()
	}
	return out
}

// NameServer returns the i-th name server, counted from 0, or nil.
func (c *Cluster) NameServer(i int) *NameServer {
	if i < 0 || i >= len(c.servers) {
		return nil
	}
	return c.servers[i]
}

// Broker returns the broker of that name, or nil.
func (c *Cluster) Broker(name string) *Broker { return c.byName[name] }

// Brokers returns all brokers in the order of the configuration.
func (c *Cluster) Brokers() []*Broker { return slices.Clone(c.brokers) }

// Dial connects to a server of the cluster, over its in-memory network if it has one. It is made
// for the dial option of Liftoff's client.
func (c *Cluster) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.cfg.Network != nil {
		return c.cfg.Network.DialContext(ctx, network, addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}
