package integration

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liftoff-mq/liftoff"
	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/integration/realcluster"
	"github.com/liftoff-mq/liftoff/transport/remoting"
)

// Servers that take nothing but TLS; the broker also wants a certificate of the client, and the name server does not.
// With both every kind of send is stored. Without one of them nothing is sent, at one attempt, and the error says what to
// set; so it does to a client without TLS. A client with TLS says nothing in plain text.
func TestTLS(t *testing.T) {
	t.Parallel()
	eachVersion(t, func(t *testing.T, version string) {
		c := startCluster(t, realcluster.Options{
			Version: version, TLS: true, Java: []string{"broker-a:-Dtls.server.need.client.auth=require"},
		})
		own, strange := authorityOf(t, c), newAuthority(t)
		right := remoting.TLS{
			Enabled: true, CAFile: c.TLSFile("ca.crt"), CertFile: c.TLSFile("client.crt"), KeyFile: c.TLSFile("client.key"),
		}
		with := func(change func(s *remoting.TLS)) remoting.TLS {
			s := right
			change(&s)
			return s
		}
		said := newTranscript(t, "TLS: ", "set TLS.")
		topic := topicFor(t, "t")
		everyMode := newTLSClient(t, c, said, right)
		sendsInEveryMode(t, everyMode.p, topic)
		everyMode.saysNothingPlain(t, topic)
		t.Run("operations", func(t *testing.T) { operationsOverTLS(t, c, said, right) })

		refuses := func(name string, settings remoting.TLS, want string) {
			t.Run(name, func(t *testing.T) { refusedTLS(t, c, said, topic, settings, want) })
		}
		hour := time.Now().Add(time.Hour)
		refuses("no certificate", with(func(s *remoting.TLS) { s.CertFile, s.KeyFile = "", "" }), "set TLS.CertFile and TLS.KeyFile")
		refuses("a strange one", with(func(s *remoting.TLS) { s.CertFile, s.KeyFile = strange.issue(t, hour).files(t) }), "see TLS.CertFile")
		refuses("an expired one", with(func(s *remoting.TLS) {
			s.CertFile, s.KeyFile = own.issue(t, time.Now().Add(-time.Minute)).files(t)
		}), "see TLS.CertFile")
		refuses("the wrong authority", with(func(s *remoting.TLS) {
			s.CAFile = filepath.Join(t.TempDir(), "ca")
			replaceFile(t, s.CAFile, strange.pem())
		}), "set TLS.CAFile")
		refuses("the wrong name", with(func(s *remoting.TLS) { s.ServerName = "rocketmq.example" }), "set TLS.ServerName")
		refuses("no TLS in the client", remoting.TLS{}, "set TLS.Enabled")

		serve(t, c, own.issue(t, time.Now().Add(-time.Minute)))
		refuses("expired servers", right, "expired")
		serveTheirOwn(t, c, own)
		// Nobody has signed it, and it is for another name. The name is looked at first.
		refuses("certificates that the servers made", right, "set TLS.ServerName")
		trusting := newTLSClient(t, c, said, remoting.TLS{Enabled: true, InsecureSkipVerify: true})
		stored := trusting.stored(t, topic)
		if stored != sentInEveryMode { // so nothing of what was refused
			t.Errorf("%d messages are stored, want %d", stored, sentInEveryMode)
		}
		trusting.saysNothingPlain(t, topic)
		serve(t, c, own.issue(t, hour))
		t.Run("replaced under load", func(t *testing.T) { replacedCertificates(t, c, said, own) })
		t.Run("crash", func(t *testing.T) {
			said.crashes(t, crash{NameServer: c.NameServer(), Topic: topic, TLS: right})
		})
	})
}

// A client with TLS at servers without: nothing is sent, and the error says what to look at.
func TestTLSAtPlainServers(t *testing.T) {
	t.Parallel()
	eachCluster(t, func(t *testing.T, c *cluster) {
		refusedTLS(t, c, newTranscript(t, "TLS: "), topicFor(t, "t"), remoting.TLS{Enabled: true}, "does the server speak TLS?")
	})
}

// refusedTLS wants a send to be refused for these settings, at its first attempt, and the error to say that.
func refusedTLS(t *testing.T, c *cluster, said *transcript, topic string, settings remoting.TLS, want string) {
	t.Helper()
	x := newTLSClient(t, c, said, settings)
	_, err := x.p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x")})
	var failed *core.SendError
	if !errors.As(said.error(err), &failed) {
		t.Fatal(err)
	}
	class, attempts := core.ClassNetwork, 0 // the name server refuses, or is refused
	if strings.Contains(want, "TLS.CertFile") {
		class, attempts = core.ClassAuth, 1 // the broker refuses
	}
	if !strings.Contains(err.Error(), want) || failed.Certainty != core.NotSent || failed.Class != class {
		t.Errorf("%s, %s; want %q, not sent, in %v", failed.Class, failed.Certainty, want, err)
	}
	if len(failed.Attempts) != attempts || x.nameServer.connections() != 1 || x.broker.connections() != attempts {
		t.Errorf("%d attempts, %d connections to the name server and %d to the broker: %v", len(failed.Attempts),
			x.nameServer.connections(), x.broker.connections(), err)
	}
	if settings.Enabled {
		if !errors.As(err, new(*remoting.TLSError)) {
			t.Errorf("no TLSError is in %#v", err)
		}
		x.saysNothingPlain(t, topic)
	} else if !errors.As(err, new(*remoting.FirstReadError)) {
		t.Errorf("no FirstReadError is in %#v", err)
	}
}

// replacedCertificates renews all there is while messages are sent: the servers' certificate, the client's, and at last the
// authority of the servers. Connections are cut each time, because those that are open stay as they are.
func replacedCertificates(t *testing.T, c *cluster, said *transcript, own *authority) {
	topic := topicFor(t, "t")
	hour := time.Now().Add(time.Hour)
	caFile := filepath.Join(t.TempDir(), "ca")
	replaceFile(t, caFile, own.pem())
	brief := own.issue(t, time.Now().Add(8*time.Second))
	certFile, keyFile := brief.files(t)
	var mu sync.Mutex
	var met []string // serial numbers of servers, in order
	x := newTLSClient(t, c, said, remoting.TLS{
		Enabled: true, CAFile: caFile, CertFile: certFile, KeyFile: keyFile,
		Config: &tls.Config{VerifyConnection: func(s tls.ConnectionState) error {
			mu.Lock()
			defer mu.Unlock()
			met = append(met, s.PeerCertificates[0].SerialNumber.String())
			return nil
		}},
	})
	message := func() *core.Message {
		return &core.Message{Topic: topic, Body: []byte("under load"), Queue: &core.Queue{Broker: "broker-a"}}
	}
	if _, err := x.p.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	var sent, twice int64
	senders := newSenders(t)
	for range 4 {
		senders.Go(func() {
			for !senders.stopped() {
				r, err := x.p.Send(t.Context(), message(), core.SendTimeout(20*time.Second))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				sent++
				if r.MaybeDuplicate {
					twice++
				}
				mu.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	// meets cuts the connections and waits until those that followed have met that certificate.
	meets := func(s certificate) {
		t.Helper()
		x.nameServer.cut()
		x.broker.cut()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			mu.Lock()
			found := slices.Contains(met, s.leaf.SerialNumber.String())
			mu.Unlock()
			if found {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the new certificate is not met")
			}
		}
		// A connection that ends within a second is a bad sign, after which the client waits before it dials again.
		time.Sleep(1500 * time.Millisecond)
	}
	own.issue(t, hour).replace(t, certFile, keyFile)
	second := own.issue(t, hour)
	serve(t, c, second)
	meets(second)
	// The servers have a new authority, which the client has to know first.
	next := newAuthority(t)
	replaceFile(t, caFile, append(own.pem(), next.pem()...))
	third := next.issue(t, hour)
	serve(t, c, third)
	meets(third)
	// What the client had at first is worth nothing any more.
	time.Sleep(time.Until(brief.leaf.NotAfter.Add(time.Second)))
	fourth := next.issue(t, hour)
	serve(t, c, fourth)
	meets(fourth)
	senders.stop()
	if got := x.stored(t, topic); got < sent+1 || got > sent+1+twice*2 {
		t.Errorf("%d messages are stored, %d were acknowledged, %d of them may be stored twice", got, sent+1, twice)
	}
	x.saysNothingPlain(t, topic)
	t.Logf("%s: %d sends, %d of which may be stored twice, over %d connections", c.Version(), sent, twice, x.nameServer.connections()+x.broker.connections())
}

// serve gives name server and broker another certificate, and returns when they have it: they look at their files twice a
// second.
func serve(t *testing.T, c *cluster, s certificate) {
	t.Helper()
	s.replace(t, c.TLSFile("server.crt"), c.TLSFile("server.key"))
	waitServed(t, c, func(leaf *x509.Certificate) bool { return leaf.Equal(s.leaf) })
}

// serveTheirOwn lets the servers make a certificate by themselves, as they do by default. The change of the other files
// makes them read the settings; the next one will restore them.
func serveTheirOwn(t *testing.T, c *cluster, own *authority) {
	t.Helper()
	path := c.TLSFile("tls.properties")
	before, err := os.ReadFile(path)
	must(t, err)
	replaceFile(t, path, bytes.Replace(before, []byte("tls.test.mode.enable=false"), []byte("tls.test.mode.enable=true"), 1))
	own.issue(t, time.Now().Add(time.Hour)).replace(t, c.TLSFile("server.crt"), c.TLSFile("server.key"))
	waitServed(t, c, func(leaf *x509.Certificate) bool { return leaf.CheckSignatureFrom(own.cert) != nil })
	replaceFile(t, path, before)
}

func waitServed(t *testing.T, c *cluster, as func(leaf *x509.Certificate) bool) {
	t.Helper()
	client, err := tls.LoadX509KeyPair(c.TLSFile("client.crt"), c.TLSFile("client.key"))
	must(t, err)
	for _, addr := range []string{c.NameServer(), c.BrokerAddr("broker-a")} {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{client}})
			if err == nil {
				leaf := conn.ConnectionState().PeerCertificates[0]
				_ = conn.Close()
				if as(leaf) {
					break
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s does not serve the new certificate: %v", addr, err)
			}
		}
	}
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

// tlsClient is a producer whose connections are tapped.
type tlsClient struct {
	p                  *core.Producer
	nameServer, broker *tap
}

func newTLSClient(t *testing.T, c *cluster, said *transcript, settings remoting.TLS, options ...liftoff.Option) *tlsClient {
	t.Helper()
	x := &tlsClient{nameServer: newTap(t, c.NameServer()), broker: newTap(t, c.BrokerAddr("broker-a"))}
	if settings.KeyFile != "" {
		said.privateKey(t, settings.KeyFile)
	}
	x.p, _ = said.producer(t, x.nameServer.addr(), liftoff.Config{
		Client: remoting.Config{TLS: settings, MapAddr: func(addr string) string {
			if addr == c.BrokerAddr("broker-a") {
				return x.broker.addr()
			}
			return addr
		}},
	}, options...)
	return x
}

// stored is how many messages the first queue of a topic had: the offset of one more.
func (x *tlsClient) stored(t *testing.T, topic string) int64 {
	t.Helper()
	r, err := x.p.Send(t.Context(), &core.Message{Topic: topic, Body: []byte("x"), Queue: &core.Queue{Broker: "broker-a"}})
	must(t, err)
	return r.QueueOffset
}

// saysNothingPlain fails the test for anything but TLS on the wire.
func (x *tlsClient) saysNothingPlain(t *testing.T, topic string) {
	t.Helper()
	if x.nameServer.connections() == 0 {
		t.Error("nothing was said")
	}
	for _, p := range []*tap{x.nameServer, x.broker} {
		p.onlyTLS(t, topic, producerGroup, "extFields", `"code"`)
	}
}
