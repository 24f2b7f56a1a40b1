package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/liftoff-mq/liftoff/transport/wire"
)

// node is a listening server: what name servers and brokers have in common.
type node struct {
	cluster *Cluster
	name    string
	log     *slog.Logger
	// handle gives the answer that a real server would give. It runs on the goroutines of
	// connections and timers, several at a time. The command and its body are valid until it returns.
	handle func(*conn, *wire.Command) reply
	// gone is called after a connection has ended.
	gone func(*conn)

	paused  gate // nothing is handled and nothing written
	reading gate // nothing is read

	mu       sync.Mutex
	addr     string // as listened on, with its port once it is known
	listener net.Listener
	stopping chan struct{} // closed when listener is to be closed
	accepted chan struct{} // closed when the accept loop of listener has ended
	conns    map[*conn]struct{}
	full     bool // the latest connection was one too many
}

func newNode(cl *Cluster, name, addr string) *node {
	return &node{cluster: cl, name: name, addr: addr, log: cl.cfg.Logger.With("server", name), conns: make(map[*conn]struct{})}
}

// start listens. A started node stays as it is. The port of the first start is kept for later ones.
func (n *node) start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listener != nil {
		return nil
	}
	if !n.cluster.begin() {
		return ErrClosed
	}
	var ln net.Listener
	var err error
	if network := n.cluster.cfg.Network; network != nil {
		ln, err = network.Listen(n.addr)
	} else {
		var lc net.ListenConfig
		ln, err = lc.Listen(ctx, "tcp", n.addr)
	}
	if err != nil {
		n.cluster.end()
		return fmt.Errorf("embedded: %s: %w", n.name, err)
	}
	n.addr = ln.Addr().String()
	n.listener = ln
	n.stopping, n.accepted = make(chan struct{}), make(chan struct{})
	go n.accept(ln, n.stopping, n.accepted)
	return nil
}

// How long the accept loop waits after an error, as net/http's Server does.
const (
	firstAcceptWait = 5 * time.Millisecond
	maxAcceptWait   = time.Second
)

// accept takes connections until the listener is closed. After any other error, such as having no
// file descriptor left, it tries again: others may give theirs back.
func (n *node) accept(ln net.Listener, stopping <-chan struct{}, ended chan<- struct{}) {
	defer n.cluster.end()
	defer close(ended)
	wait := firstAcceptWait
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			// A stopped process accepts nothing; the system completes the connections all the same.
			n.serve(ln, nc)
			wait = firstAcceptWait
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		if wait == firstAcceptWait {
			n.log.Warn("a connection cannot be accepted; it is tried again", "error", err)
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, maxAcceptWait)
		case <-stopping:
			return
		}
	}
}

// serve starts a connection unless ln has been closed meanwhile or there are too many.
func (n *node) serve(ln net.Listener, nc net.Conn) {
	n.mu.Lock()
	full := len(n.conns) >= n.cluster.cfg.MaxConnections
	first := full && !n.full
	n.full = full
	if full || n.listener != ln || !n.cluster.begin() {
		n.mu.Unlock()
		_ = nc.Close()
		if first {
			n.log.Warn("too many connections: new ones are closed", "limit", n.cluster.cfg.MaxConnections)
		}
		return
	}
	c := newConn(n, n.cluster.connIDs.Add(1), nc)
	n.conns[c] = struct{}{}
	n.mu.Unlock()
	go func() {
		defer n.cluster.end()
		c.serve()
		n.mu.Lock()
		delete(n.conns, c)
		n.mu.Unlock()
		if n.gone != nil {
			n.gone(c)
		}
	}()
}

// stop closes the port and all connections. It waits until the port is free, but not for
// requests in hand, so that a fault rule may stop the server it runs in.
func (n *node) stop() {
	n.mu.Lock()
	ln, stopping, accepted := n.listener, n.stopping, n.accepted
	n.listener = nil
	conns := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		conns = append(conns, c)
	}
	n.mu.Unlock()
	if ln != nil {
		close(stopping)
		_ = ln.Close()
		<-accepted
	}
	for _, c := range conns {
		c.close()
	}
	n.paused.set(false)
	n.reading.set(false)
}

func (n *node) running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listener != nil
}

// advertised is the address that clients are told.
func (n *node) advertised() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if host := n.cluster.cfg.AdvertiseHost; host != "" {
		if _, port, err := net.SplitHostPort(n.addr); err == nil {
			return net.JoinHostPort(host, port)
		}
	}
	return n.addr
}

func (n *node) connections() []*conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		out = append(out, c)
	}
	return out
}
