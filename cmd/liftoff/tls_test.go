package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The flags of TLS, and their variables in the environment, reach the client: a name server
// that wants a certificate is spoken to.
func TestTLSFlags(t *testing.T) {
	dir := t.TempDir()
	ca, key := filepath.Join(dir, "ca"), filepath.Join(dir, "key")
	pair := selfSigned(t, ca, key)
	hello := make(chan string, 8)
	addr := greeted(t, &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(s tls.ConnectionState) error { hello <- s.ServerName; return nil },
	})
	args := []string{"send", "--namesrv", addr, "--topic", "t", "--timeout", "1s"}
	flags := []string{"--tls", "--tls-ca", ca, "--tls-cert", ca, "--tls-key", key, "--tls-server-name", "broker.example"}
	if got := program(t, "x\n", append(args, flags...)...); got.status != exitFail {
		t.Errorf("%+v", got) // it said good-bye
	}
	for name, value := range map[string]string{
		"TLS": "true", "TLS_CA": ca, "TLS_CERT": ca, "TLS_KEY": key, "TLS_SERVER_NAME": "broker.example",
	} {
		t.Setenv("LIFTOFF_"+name, value)
	}
	if got := program(t, "x\n", args...); got.status != exitFail {
		t.Errorf("%+v", got)
	}
	for _, way := range []string{"flags", "environment"} {
		select {
		case got := <-hello:
			if got != "broker.example" {
				t.Errorf("%s: asked for %q", way, got)
			}
		default:
			t.Errorf("%s: no handshake was done", way)
		}
	}
	got := program(t, "x\n", append(args, "--tls-server-name", "other.example")...)
	if got.status != exitFail || !strings.Contains(got.err, "set TLS.ServerName") {
		t.Errorf("%+v", got)
	}
}

// greeted does the handshake of every connection, and closes it.
func greeted(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			server := tls.Server(nc, cfg)
			if server.SetDeadline(time.Now().Add(10*time.Second)) == nil && server.Handshake() == nil {
				_, _ = io.ReadFull(server, make([]byte, 4)) // the first request is there
			}
			server.Close()
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// selfSigned makes a certificate that is its own authority.
func selfSigned(t *testing.T, certFile, keyFile string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"broker.example"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for path, data := range map[string][]byte{certFile: certPEM, keyFile: keyPEM} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
