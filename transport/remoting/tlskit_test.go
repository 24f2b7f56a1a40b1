package remoting_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// issued is a certificate and its key, in PEM.
type issued struct{ cert, key []byte }

var serial = big.NewInt(1)

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = template
	a.pem = a.sign(t, template, a.key)
	block, _ := pem.Decode(a.pem)
	var err error
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	serial = new(big.Int).Add(serial, big.NewInt(1))
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue makes a certificate for servers and clients, for 127.0.0.1 and the names.
func (a *authority) issue(t testing.TB, names ...string) issued {
	return a.issueUntil(t, time.Now().Add(time.Hour), names...)
}

func (a *authority) issueUntil(t testing.TB, end time.Time, names ...string) issued {
	t.Helper()
	key := newKey(t)
	cert := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "member"}, NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return issued{cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
}

// pool has the authority alone.
func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// server is the configuration of a server with such a certificate.
func (i issued) server(t testing.TB) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(i.cert, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// wanting is a server that wants a certificate which the authority has signed.
func (i issued) wanting(t testing.TB, a *authority) *tls.Config {
	cfg := i.server(t)
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, a.pool()
	return cfg
}

// write puts a file into a folder of its own, or changes it.
func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "file.pem")
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// with gives settings the certificate.
func (i issued) with(t testing.TB, s remoting.TLS) remoting.TLS {
	s.CertFile, s.KeyFile = write(t, "", i.cert), write(t, "", i.key)
	return s
}

// trusting are settings for servers of the authority.
func trusting(t testing.TB, a *authority) remoting.TLS {
	return remoting.TLS{Enabled: true, CAFile: write(t, "", a.pem)}
}

// tlsBroker is a fake broker behind TLS, or a plain one, on a network in memory.
func tlsBroker(t testing.TB, n *embedded.Network, cfg *tls.Config) *fake {
	t.Helper()
	ln := memListen(t, n)
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	return run(t, ln, nil)
}

func memListen(t testing.TB, n *embedded.Network) net.Listener {
	t.Helper()
	ln, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// tap dials, and keeps all that is written.
type tap struct {
	n *embedded.Network

	mu      sync.Mutex
	written bytes.Buffer
	conns   []net.Conn
}

func (p *tap) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := p.n.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, nc)
	return tapped{nc, p}, nil
}

func (p *tap) bytes() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.written.Bytes())
}

// cut ends all connections.
func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, nc := range p.conns {
		nc.Close()
	}
	p.conns = nil
}

type tapped struct {
	net.Conn
	tap *tap
}

func (c tapped) Write(b []byte) (int, error) {
	c.tap.mu.Lock()
	c.tap.written.Write(b)
	c.tap.mu.Unlock()
	return c.Conn.Write(b)
}
