package embedded

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

const (
	// defaultBuffer is how many bytes each direction of an in-memory connection holds.
	defaultBuffer = 64 << 10
	// backlog is how many connections wait at most to be accepted.
	backlog = 128
	// Ports that the network chooses itself, for listeners and for clients.
	firstPort       = 10001
	firstClientPort = 40001
)

// Network is an in-memory network of TCP-like addresses. Its connections buffer like sockets,
// honour deadlines and block in ways that testing/synctest knows, so that a cluster and its
// clients can run in virtual time. Ports are given out in order: the same program gets the same
// addresses. A Network made inside a synctest bubble belongs to it. The zero value is usable.
type Network struct {
	// Buffer is how many bytes each direction of a connection holds before writes block; below 1
	// means 64 KiB. It must be set before the first use.
	Buffer int

	mu          sync.Mutex
	listeners   map[netip.AddrPort]*memListener
	unreachable map[netip.AddrPort]chan struct{} // closed when reachable again
	port        uint16
	clientPort  uint16
}

// NewNetwork returns an empty network.
func NewNetwork() *Network { return &Network{} }

// Listen opens a port. Addr is host:port with an IP address or "localhost"; port 0 takes the
// next free one. Errors are *net.OpError, syscall.EADDRINUSE among them.
func (n *Network) Listen(addr string) (net.Listener, error) {
	at, err := parseAddr(addr)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = make(map[netip.AddrPort]*memListener)
		n.port, n.clientPort = firstPort, firstClientPort
	}
	if at.Port() == 0 {
		for {
			at = netip.AddrPortFrom(at.Addr(), n.port)
			n.port++
			if n.listeners[at] == nil {
				break
			}
		}
	}
	if n.listeners[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: syscall.EADDRINUSE}
	}
	l := &memListener{network: n, addr: at}
	l.changed.L = &l.mu
	n.listeners[at] = l
	return l, nil
}

// DialContext connects to a port. Nobody listening is syscall.ECONNREFUSED, an address made
// unreachable lets the dial wait for its context. Name resolution knows "localhost" only.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	at, err := parseAddr(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(at), Err: err}
	}
	for {
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		n.mu.Lock()
		wall := n.unreachable[at]
		l := n.listeners[at]
		n.mu.Unlock()
		if wall == nil {
			if l == nil {
				return fail(syscall.ECONNREFUSED)
			}
			client, server := n.pair(at)
			if err := l.offer(ctx, server); err != nil {
				_ = client.Close()
				return fail(err)
			}
			return client, nil
		}
		select {
		case <-wall:
		case <-ctx.Done():
		}
	}
}

// SetUnreachable makes new connections to an address wait, as if a packet filter dropped them,
// or ends that. Connections that exist are not touched. Errors: an address that is none.
func (n *Network) SetUnreachable(addr string, unreachable bool) error {
	at, err := parseAddr(addr)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	wall := n.unreachable[at]
	switch {
	case unreachable && wall == nil:
		if n.unreachable == nil {
			n.unreachable = make(map[netip.AddrPort]chan struct{})
		}
		n.unreachable[at] = make(chan struct{})
	case !unreachable && wall != nil:
		close(wall)
		delete(n.unreachable, at)
	}
	return nil
}

func (n *Network) pair(at netip.AddrPort) (client, server *memConn) {
	n.mu.Lock()
	from := netip.AddrPortFrom(at.Addr(), n.clientPort)
	n.clientPort++
	if n.clientPort < firstClientPort {
		n.clientPort = firstClientPort
	}
	n.mu.Unlock()
	size := n.Buffer
	if size < 1 {
		size = defaultBuffer
	}
	up, down := newHalf(size), newHalf(size)
	near, far := net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(at)
	return &memConn{in: down, out: up, local: near, remote: far}, &memConn{in: up, out: down, local: far, remote: near}
}

func parseAddr(addr string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %s: the in-memory network knows no names", addr)
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// memListener is an open port.
type memListener struct {
	network *Network
	addr    netip.AddrPort

	mu      sync.Mutex
	changed sync.Cond // of waiting and closed
	waiting []*memConn
	closed  bool
}

// offer queues a connection for Accept. It waits while the queue is full.
func (l *memListener) offer(ctx context.Context, c *memConn) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) >= backlog && !l.closed && ctx.Err() == nil {
		l.changed.Wait()
	}
	switch {
	case l.closed:
		return syscall.ECONNREFUSED
	case ctx.Err() != nil:
		return ctx.Err()
	}
	l.waiting = append(l.waiting, c)
	l.changed.Broadcast()
	return nil
}

func (l *memListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.changed.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.changed.Broadcast()
	return c, nil
}

// Close frees the port. Connections that were not accepted are closed.
func (l *memListener) Close() error {
	l.network.mu.Lock()
	if l.network.listeners[l.addr] == l {
		delete(l.network.listeners, l.addr)
	}
	l.network.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.closed = true
	for _, c := range l.waiting {
		_ = c.Close()
	}
	l.waiting = nil
	l.changed.Broadcast()
	return nil
}

func (l *memListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }
