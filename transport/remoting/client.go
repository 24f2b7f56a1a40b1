package remoting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/internal/logqueue"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// The interfaces that a client implements.
var (
	_ core.Transport      = (*Client)(nil)
	_ core.RouteSource    = (*Client)(nil)
	_ core.GroupRegistrar = (*Client)(nil)
	_ core.Announcer      = (*Client)(nil)
	_ core.Service        = (*Client)(nil)
)

// Client talks to the name servers and brokers of one cluster. Producers share
// it. It is safe for concurrent use.
type Client struct {
	cfg Config
	ser wire.Serialization
	log *slog.Logger
	id  string
	// same are the header fields that every request has, nil without any.
	same wire.Fields
	// network is that of the brokers in routes: empty unless the client dials in its own way, by
	// proxies, or with TLS, where a server may refuse this client alone.
	network string

	state  atomic.Uint32
	opaque atomic.Int32 // the last request number, over all connections
	count  counters
	shared *conn.Shared // of all connections
	allow  allowList    // [Config].AllowedBrokers
	tls    *tlsState    // nil for plain connections

	addresses *addressTable // [Config].Addresses
	socks     socksTable    // [Config].SOCKS

	brokers table
	servers table
	names   nameServers
	finder  finder
	known   knownRoutes

	mu     sync.Mutex // guards what follows, and state's changes
	life   context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
	conns  map[*conn.Conn]*connection
	groups map[string]*core.Inbox
	kept   map[string][]string      // addresses of brokers that a group keeps, see KeepBrokers
	kick   chan struct{}            // asks for a heartbeat round
	asking map[string]chan struct{} // topics whose look-up is in the program's functions, until it is not
}

const (
	stateCreated = iota
	stateStarting
	stateRunning
	stateClosed
)

// NewClient makes a client. It does no I/O, but that it reads the files of [Config].TLS, and
// starts no goroutine. All mistakes in cfg are reported at once.
func NewClient(cfg Config) (*Client, error) {
	ownWay := cfg.Dial != nil || cfg.TLS.Enabled || len(cfg.SOCKS) > 0
	cfg, err := cfg.withDefaults()
	secure, unusable := newTLSState(&cfg.TLS, cfg.Logger)
	if err := errors.Join(err, unusable); err != nil {
		return nil, fmt.Errorf("remoting client: %w", err)
	}
	c := &Client{
		cfg: cfg, ser: cfg.Serialization.wire(), log: cfg.Logger, id: cfg.clientID(), same: cfg.sameFields(),
		conns: map[*conn.Conn]*connection{}, groups: map[string]*core.Inbox{}, kept: map[string][]string{}, kick: make(chan struct{}, 1),
		asking: map[string]chan struct{}{}, tls: secure,
	}
	// withDefaults has looked at the errors of these.
	c.allow, _ = parseAllowed(cfg.AllowedBrokers)
	c.addresses, _ = parseAddresses(cfg.Addresses)
	c.socks, _ = parseSOCKS(cfg.SOCKS)
	if ownWay {
		c.network = uniqueInstance()
	}
	c.shared = c.newConnShared()
	c.brokers.init(c, true, cfg.MaxBrokers, brokerFrames)
	c.servers.init(c, false, cfg.MaxBrokers, serverFrames)
	c.names.init()
	c.finder.init(c)
	c.known.init(cfg.MaxTopics)
	return c, nil
}

// ClientID is the id under which brokers know this client.
func (c *Client) ClientID() string { return c.id }

// Start makes the client ready for use. It asks nobody: a cluster that is down
// now may be up when the first message is sent. A [Signer] that is a [core.Service] is started
// first, and shut down last.
func (c *Client) Start(ctx context.Context) error {
	if !c.state.CompareAndSwap(stateCreated, stateStarting) {
		if err := c.usable(); errors.Is(err, core.ErrClosed) {
			return err
		}
		return errors.New("remoting client: already started")
	}
	signer, own := c.cfg.Signer.(core.Service)
	if own {
		if err := signer.Start(ctx); err != nil {
			c.state.CompareAndSwap(stateStarting, stateCreated)
			return fmt.Errorf("remoting client: the signer did not start: %w", err)
		}
	}
	err := c.begin()
	if err != nil && own {
		err = errors.Join(err, signer.Shutdown(ctx))
	}
	return err
}

// begin is what Start does when the signer has started.
func (c *Client) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load() != stateStarting {
		return fmt.Errorf("remoting client: %w", core.ErrClosed)
	}
	c.life, c.stop = context.WithCancel(context.Background())
	c.state.Store(stateRunning)
	if c.tls != nil && c.cfg.TLS.insecure() {
		c.log.Warn("TLS: the certificates of servers are not verified; anybody can be the cluster")
	}
	for _, run := range []func(context.Context){c.heartbeats, c.finder.run} {
		c.wg.Go(func() { run(c.life) })
	}
	return nil
}

// Shutdown closes every connection, fails the calls that wait on them with an
// error that matches [core.ErrClosed], and waits for every goroutine of the
// client, and until the log handler has had every line. If ctx ends first it returns the
// reason, and the goroutines end on their own. A client cannot be started again.
func (c *Client) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	running := c.state.Swap(stateClosed) == stateRunning
	if running {
		c.stop()
	}
	c.mu.Unlock()
	err := c.end(ctx)
	if signer, own := c.cfg.Signer.(core.Service); own && running {
		if failed := signer.Shutdown(ctx); failed != nil {
			err = errors.Join(err, fmt.Errorf("remoting client: the signer's shutdown: %w", failed))
		}
	}
	return err
}

// end is what Shutdown does when the client takes no more work.
func (c *Client) end(ctx context.Context) error {
	c.mu.Lock()
	conns := make([]*conn.Conn, 0, len(c.conns))
	for cn := range c.conns {
		conns = append(conns, cn)
	}
	c.mu.Unlock()
	joined := make(chan struct{})
	go func() {
		var ends sync.WaitGroup // side by side: a connection may be slow to close
		for _, cn := range conns {
			ends.Go(func() { cn.Close(core.ErrClosed) })
		}
		ends.Wait()
		c.wg.Wait()
		close(joined)
	}()
	select {
	case <-joined:
	case <-ctx.Done():
		return fmt.Errorf("remoting client: shutdown: %w", core.ContextError(ctx))
	}
	if logqueue.Flush(ctx, c.log) != nil {
		return fmt.Errorf("remoting client: shutdown: the log handler did not return: %w", core.ContextError(ctx))
	}
	return nil
}

// usable says why the client cannot be used now, or nil.
func (c *Client) usable() error {
	switch c.state.Load() {
	case stateRunning:
		return nil
	case stateClosed:
		return fmt.Errorf("remoting client: %w", core.ErrClosed)
	default:
		return fmt.Errorf("remoting client: %w", core.ErrNotRunning)
	}
}

// spawn runs f on a goroutine that Shutdown waits for. It reports false, and
// does nothing, when the client is not running.
func (c *Client) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load() != stateRunning {
		return false
	}
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		f()
	}()
	return true
}
