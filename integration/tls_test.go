package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// Servers that take nothing but TLS; the broker also wants a certificate of the client, and the name server does not.
// With both every kind of send is stored. Without one of them nothing is sent, and the error says what to set; so it does
// to a client without TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{
			Version: version, TLS: true, Java: []string{"broker-a:-Dtls.server.need.client.auth=require"},
		})
		right := remoting.TLS{
			Enabled: true, CAFile: c.TLSFile("ca.crt"), CertFile: c.TLSFile("client.crt"), KeyFile: c.TLSFile("client.key"),
		}
		topic := topicFor(t, "t")
		sendsInEveryMode(t, tlsProducer(t, c, right), topic)

		noCertificate, wrongCA, wrongName := right, right, right
		noCertificate.CertFile, noCertificate.KeyFile = "", ""
		wrongCA.CAFile = strangeCA(t)
		wrongName.ServerName = "rocketmq.example"
		strange := right
		strange.CertFile, strange.KeyFile = strangeCertificate(t)
		for name, tt := range map[string]struct {
			tls  remoting.TLS
			want string
		}{
			"no certificate":       {noCertificate, "set TLS.CertFile and TLS.KeyFile"},
			"a strange one":        {strange, "see TLS.CertFile"},
			"the wrong authority":  {wrongCA, "set TLS.CAFile"},
			"the wrong name":       {wrongName, "set TLS.ServerName"},
			"no TLS in the client": {remoting.TLS{}, "set Config.TLS"},
		} {
			t.Run(name, func(t *testing.T) {
				p := tlsProducer(t, c, tt.tls)
				_, err := p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
				if !strings.Contains(err.Error(), tt.want) || core.CertaintyOf(err) != core.NotSent {
					t.Errorf("%v; want %q, not sent, in %v", core.CertaintyOf(err), tt.want, err)
				}
				if isTLS := errors.As(err, new(*remoting.TLSError)); tt.tls.Enabled && !isTLS {
					t.Errorf("no TLSError is in %#v", err)
				}
			})
		}
		// What was refused is not there.
		r, err := tlsProducer(t, c, right).Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x"), Queue: &core.Queue{Broker: "broker-a"}})
		if err != nil || r.QueueOffset != sentInEveryMode {
			t.Errorf("the next offset is %d, want %d: %v", r.QueueOffset, sentInEveryMode, err)
		}
	})
}

// A client with TLS at servers without: nothing is sent, and the error says what to look at.
func TestTLSAtPlainServers(t *testing.T) {
	eachCluster(t, func(t *testing.T, c *cluster) {
		p := tlsProducer(t, c, remoting.TLS{Enabled: true})
		_, err := p.Send(t.Context(), &core.Message{Topic: topicFor(t, "t"), Body: []byte("x")})
		if err == nil || !strings.Contains(err.Error(), "does the server speak TLS?") || core.CertaintyOf(err) != core.NotSent {
			t.Error(err)
		}
	})
}

const sentInEveryMode = 5

// sendsInEveryMode puts so many messages into the first queue.
func sendsInEveryMode(t *testing.T, p *core.Producer, topic string) {
	t.Helper()
	message := func() *core.Message {
		return &core.Message{Topic: topic, Body: []byte(strings.Repeat("x", 100_000)), Queue: &core.Queue{Broker: "broker-a"}}
	}
	var err error
	for range 20 { // a broker is at its name server somewhat after its start
		if _, err = p.Send(t.Context(), message()); core.CertaintyOf(err) != core.NotSent && core.CertaintyOf(err) != core.NotStored {
			break
		}
		time.Sleep(time.Second)
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	p.SendAsync(t.Context(), message(), func(_ core.Result, err error) { done <- err })
	if err := <-done; err != nil {
		t.Errorf("async: %v", err)
	}
	if err := p.SendOneway(t.Context(), message()); err != nil {
		t.Errorf("one-way: %v", err)
	}
	if _, err := p.SendBatch(t.Context(), []*core.Message{message(), message()}); err != nil {
		t.Errorf("batch: %v", err)
	}
}

func tlsProducer(t *testing.T, c *cluster, settings remoting.TLS) *core.Producer {
	t.Helper()
	p, err := liftoff.New(liftoff.Config{
		Group: "integration", NameServers: []string{c.NameServer()}, Client: remoting.Config{TLS: settings},
	})
	return startProducer(t, p, err)
}

// strangeCA is the file of an authority that no server knows.
func strangeCA(t *testing.T) string {
	certFile, _ := strangeCertificate(t)
	return certFile
}

// strangeCertificate are the files of a certificate that is its own authority.
func strangeCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "strange"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes}), 0o600))
	return certFile, keyFile
}
