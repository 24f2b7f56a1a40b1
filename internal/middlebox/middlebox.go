// Package middlebox stands between clients and servers in tests: a forwarded port, and a SOCKS5
// proxy. Both are real sockets of this process.
package middlebox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
)

// Box is a forwarded port or a proxy. Close ends it.
type Box struct {
	ln net.Listener
	wg sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
	asked  []string // what connections were wanted to, in their order
}

// Forward listens at an address, such as 127.0.0.1:0, and takes each connection on to another one.
func Forward(listen, to string) (*Box, error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	return start(ln, func(b *Box, _ net.Conn) (net.Conn, error) {
		b.note(to)
		return net.Dial("tcp", to)
	}), nil
}

// Proxy says what a SOCKS5 proxy does (RFC 1928).
type Proxy struct {
	// Username and Password are wanted from clients (RFC 1929), unless there is no Username.
	Username, Password string
	// Route gives the address at which the proxy finds what a client asks for, "" for nowhere.
	// Nil means the address itself.
	Route func(addr string) string
}

// Listen starts the proxy at an address, such as 127.0.0.1:0.
func (p Proxy) Listen(addr string) (*Box, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return p.Serve(ln), nil
}

// Serve starts the proxy on a listener, which is the box's from then on.
func (p Proxy) Serve(ln net.Listener) *Box { return start(ln, p.accept) }

func start(ln net.Listener, connect func(b *Box, client net.Conn) (net.Conn, error)) *Box {
	b := &Box{ln: ln, conns: map[net.Conn]bool{}}
	b.wg.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.serve(client, connect) })
		}
	})
	return b
}

// Addr is where clients connect to.
func (b *Box) Addr() string { return b.ln.Addr().String() }

// Asked are the addresses to which connections were wanted, in their order.
func (b *Box) Asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// Close ends the listener and all connections, and waits for their goroutines.
func (b *Box) Close() error {
	err := b.ln.Close()
	b.mu.Lock()
	b.closed = true
	for nc := range b.conns {
		nc.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
	return err
}

func (b *Box) note(addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, addr)
}

// keep puts a connection under Close's care; it is closed if that was before.
func (b *Box) keep(nc net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns[nc] = true; b.closed {
		nc.Close()
	}
}

func (b *Box) drop(nc net.Conn) {
	nc.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, nc)
}

// serve carries bytes both ways until either side ends.
func (b *Box) serve(client net.Conn, connect func(*Box, net.Conn) (net.Conn, error)) {
	b.keep(client)
	defer b.drop(client)
	server, err := connect(b, client)
	if err != nil {
		return
	}
	b.keep(server)
	defer b.drop(server)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		client.Close()
	})
	_, _ = io.Copy(server, client)
	server.Close()
	back.Wait()
}

// Bytes of RFC 1928 and RFC 1929.
const (
	version5       = 5
	noCredentials  = 0
	withPassword   = 2
	noMethod       = 0xFF
	connectCommand = 1
	ipv4           = 1
	name           = 3
	ipv6           = 4
	unreachable    = 4
)

// accept speaks SOCKS5 with a client until it is connected.
func (p Proxy) accept(b *Box, client net.Conn) (net.Conn, error) {
	if err := p.admit(client); err != nil {
		return nil, err
	}
	head, err := read(client, 4)
	if err != nil {
		return nil, err
	}
	if head[0] != version5 || head[1] != connectCommand {
		return nil, fmt.Errorf("request % x", head)
	}
	addr, err := readAddr(client, head[3])
	if err != nil {
		return nil, err
	}
	b.note(addr)
	if p.Route != nil {
		addr = p.Route(addr)
	}
	server, err := net.Dial("tcp", addr)
	reply := []byte{version5, 0, 0, ipv4, 0, 0, 0, 0, 0, 0}
	if err != nil {
		reply[1] = unreachable
	}
	_, failed := client.Write(reply)
	if err = errors.Join(err, failed); err != nil && server != nil {
		server.Close()
	}
	return server, err
}

// admit wants the password, if there is one.
func (p Proxy) admit(client net.Conn) error {
	head, err := read(client, 2)
	if err != nil {
		return err
	}
	methods, err := read(client, int(head[1]))
	if err != nil {
		return err
	}
	method := byte(noCredentials)
	if p.Username != "" {
		method = withPassword
	}
	if head[0] != version5 || !slices.Contains(methods, method) {
		_, err := client.Write([]byte{version5, noMethod})
		return errors.Join(errors.New("no method"), err)
	}
	if _, err := client.Write([]byte{version5, method}); err != nil || method == noCredentials {
		return err
	}
	if _, err := read(client, 1); err != nil {
		return err
	}
	username, err := readText(client)
	if err != nil {
		return err
	}
	password, err := readText(client)
	if err != nil {
		return err
	}
	if username != p.Username || password != p.Password {
		_, err := client.Write([]byte{1, 1})
		return errors.Join(errors.New("wrong password"), err)
	}
	_, err = client.Write([]byte{1, 0})
	return err
}

func readAddr(r io.Reader, kind byte) (string, error) {
	var host string
	switch kind {
	case ipv4, ipv6:
		b, err := read(r, map[byte]int{ipv4: net.IPv4len, ipv6: net.IPv6len}[kind])
		if err != nil {
			return "", err
		}
		host = net.IP(b).String()
	case name:
		var err error
		if host, err = readText(r); err != nil {
			return "", err
		}
	default:
		return "", fmt.Errorf("address of kind %d", kind)
	}
	port, err := read(r, 2)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8|int(port[1]))), nil
}

// readText reads a text with its length in front.
func readText(r io.Reader) (string, error) {
	n, err := read(r, 1)
	if err != nil {
		return "", err
	}
	b, err := read(r, int(n[0]))
	return string(b), err
}

func read(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
