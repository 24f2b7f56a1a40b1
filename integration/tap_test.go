package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// tap is a proxy between a client and a server, which keeps what the client says.
type tap struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	pairs []*tapped
}

// tapped is one connection.
type tapped struct {
	client, server net.Conn
	said           bytes.Buffer
}

// newTap listens in front of a server until the test ends.
func newTap(t *testing.T, to string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &tap{l: l, to: to}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			x := &tapped{client: client, server: server}
			p.mu.Lock()
			p.pairs = append(p.pairs, x)
			p.mu.Unlock()
			running.Go(func() { _, _ = io.Copy(client, server); x.close() })
			running.Go(func() { _, _ = io.Copy(io.MultiWriter(p.keeping(x), server), client); x.close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		running.Wait()
	})
	return p
}

func (p *tap) addr() string { return p.l.Addr().String() }

// keeping writes to what the tap keeps of a connection.
func (p *tap) keeping(x *tapped) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return x.said.Write(b)
	})
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (x *tapped) close() {
	_ = x.client.Close()
	_ = x.server.Close()
}

// cut ends the connections that there are.
func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.pairs {
		x.close()
	}
}

// connections is how many there were.
func (p *tap) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pairs)
}

// onlyTLS fails the test if a client said anything but records of TLS, or if the words are in them.
func (p *tap) onlyTLS(t *testing.T, words ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, x := range p.pairs {
		if err := recordsOfTLS(x.said.Bytes()); err != nil {
			t.Errorf("connection %d to %s: %v", i, p.to, err)
		}
		for _, w := range words {
			if bytes.Contains(x.said.Bytes(), []byte(w)) {
				t.Errorf("connection %d to %s has %q in plain text", i, p.to, w)
			}
		}
	}
}

// recordsOfTLS checks that bytes are records of TLS (RFC 8446, section 5.1), of which the last may be cut off.
func recordsOfTLS(b []byte) error {
	for first := true; len(b) > 0; first = false {
		switch {
		case b[0] < 20 || b[0] > 23 || first && b[0] != 22:
			return errors.New("it is no record of TLS")
		case len(b) < 5:
			return nil
		case b[1] != 3 || b[2] > 4:
			return errors.New("it is a record of no version of TLS")
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n == 0 || n > 1<<14+256 {
			return errors.New("the record has no length that there is")
		}
		b = b[min(5+n, len(b)):]
	}
	return nil
}
