package remoting_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Who fits is served, who does not is refused: not sent, by type, with what to set. No request
// leaves in plain text then.
func TestTLSMatrix(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	good := a.issue(t, "broker.example")
	settings := trusting(t, a)
	with := func(change func(s *remoting.TLS)) remoting.TLS {
		s := settings
		change(&s)
		return s
	}
	old := func(cfg *tls.Config, most uint16) *tls.Config {
		cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, most
		return cfg
	}
	for name, tt := range map[string]struct {
		server *tls.Config // nil for a plain one
		client remoting.TLS
		want   string // in the error; empty for none
		as     any    // a type in the error's chain
	}{
		"right":                {good.server(t), settings, "", nil},
		"TLS 1.2":              {old(good.server(t), tls.VersionTLS12), settings, "", nil},
		"TLS 1.1":              {old(good.server(t), tls.VersionTLS11), settings, "no version of TLS from 1.2 on", nil},
		"the program's own":    {good.server(t), remoting.TLS{Enabled: true, Config: &tls.Config{RootCAs: a.pool()}}, "", nil},
		"the system's":         {good.server(t), remoting.TLS{Enabled: true}, "set TLS.CAFile", new(x509.UnknownAuthorityError)},
		"wrong authority":      {good.server(t), trusting(t, other), "set TLS.CAFile", new(x509.UnknownAuthorityError)},
		"not verified":         {good.server(t), remoting.TLS{Enabled: true, InsecureSkipVerify: true}, "", nil},
		"another name":         {good.server(t), with(func(s *remoting.TLS) { s.ServerName = "broker.example" }), "", nil},
		"wrong name":           {good.server(t), with(func(s *remoting.TLS) { s.ServerName = "other.example" }), "set TLS.ServerName", new(x509.HostnameError)},
		"expired":              {a.issueUntil(t, time.Now().Add(-time.Minute)).server(t), settings, "expired", new(x509.CertificateInvalidError)},
		"a plain server":       {nil, settings, "does the server speak TLS?", nil},
		"mutual":               {good.wanting(t, a), a.issue(t).with(t, settings), "", nil},
		"mutual, own function": {good.wanting(t, a), remoting.TLS{Enabled: true, Config: func() *tls.Config { c := a.issue(t).server(t); c.RootCAs = a.pool(); return c }()}, "", nil},
		"no certificate":       {good.wanting(t, a), settings, "set TLS.CertFile and TLS.KeyFile", nil},
		"no certificate, 1.2":  {old(good.wanting(t, a), tls.VersionTLS12), settings, "set TLS.CertFile and TLS.KeyFile", nil},
		"a strange one":        {good.wanting(t, a), other.issue(t).with(t, settings), "see TLS.CertFile", nil},
		"a strange one, 1.2":   {old(good.wanting(t, a), tls.VersionTLS12), other.issue(t).with(t, settings), "see TLS.CertFile", nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := embedded.NewNetwork()
			b := tlsBroker(t, n, tt.server)
			wires := &tap{n: n}
			p := producer(t, client(t, remoting.Config{Dial: wires.dial, TLS: tt.client}), b.addr())
			_, err := p.Send(bg, coretest.Message("a secret"))
			if plain := wires.bytes(); bytes.Contains(plain, []byte("a secret")) || len(plain) == 0 || plain[0] != 0x16 {
				t.Errorf("left in plain text: %q", plain)
			}
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			class := core.ClassNetwork
			if strings.Contains(tt.want, "TLS.CertFile") {
				class = core.ClassAuth
			}
			wantFailure(t, err, class, core.NotSent)
			if !errors.As(err, new(*remoting.TLSError)) || !errors.Is(err, core.ErrConnect) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("want %q and a TLSError in %v", tt.want, err)
			}
			if tt.as != nil && !errors.As(err, tt.as) {
				t.Errorf("no %T is in %v", tt.as, err)
			}
			if got := len(b.requests(wire.SendMessageV2)); got != 0 {
				t.Errorf("the broker got %d sends", got)
			}
		})
	}
}

// A plain client at a server that takes only TLS learns what to set, and that nothing was sent if
// the server says so in TLS.
func TestPlainClientAtTLSServer(t *testing.T) {
	n := embedded.NewNetwork()
	refuses := func(s *session, _ wire.Command) { s.write([]byte{0x15, 3, 3, 0, 2, 2, 70}) } // an alert: no version of TLS
	for name, ask := range map[string]func(p *core.Producer) error{
		"send": func(p *core.Producer) error { _, err := p.Send(bg, coretest.Message("x")); return err },
		"recall": func(p *core.Producer) error {
			_, err := p.Recall(bg, "T", handle("T", "broker-a"))
			return err
		},
	} {
		cfg := coretest.Config(client(t, remoting.Config{Dial: n.DialContext})) // with all that a client can
		cfg.Routes = fixed(t, 1, run(t, memListen(t, n), refuses).addr())
		err := ask(coretest.Start(t, cfg))
		if core.ClassOf(err) != core.ClassNetwork || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil || !strings.Contains(err.Error(), "set TLS.Enabled") || !errors.As(err, new(*remoting.TLSError)) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// RocketMQ's servers hang up without a word, and so do Go's. That may be anything.
	a := newAuthority(t)
	b := tlsBroker(t, n, a.issue(t).server(t))
	_, err := producer(t, client(t, remoting.Config{Dial: n.DialContext}), b.addr()).Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassNetwork, core.MaybeStored)
	var first *remoting.FirstReadError
	if !errors.As(err, &first) || !strings.Contains(first.Error(), "set TLS.Enabled") || errors.As(err, new(*remoting.TLSError)) {
		t.Error(err)
	}
	// A broker that has spoken the protocol takes no TLS.
	b = run(t, memListen(t, n), func(s *session, c wire.Command) {
		if s.sends.Add(1) == 1 {
			s.ok(c)
			return
		}
		s.nc.Close()
	})
	p := producer(t, client(t, remoting.Config{Dial: n.DialContext}), b.addr())
	if _, err := p.Send(bg, coretest.Message("x")); err != nil {
		t.Fatal(err)
	}
	_, err = p.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassNetwork, core.MaybeStored)
	if strings.Contains(err.Error(), "TLS") {
		t.Error(err)
	}
}

// A handshake ends with the dial's time and with the client.
func TestTLSHandshakeEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := embedded.NewNetwork()
		b := &fake{ln: memListen(t, n), silent: true}
		b.start()
		t.Cleanup(b.stop)
		c := client(t, remoting.Config{
			TLS: remoting.TLS{Enabled: true}, ConnectTimeout: 2 * time.Second,
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				time.Sleep(500 * time.Millisecond) // of the same time
				return n.DialContext(ctx, network, addr)
			},
		})
		p := producer(t, c, b.addr())
		start := time.Now()
		_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(minute))
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		if d := time.Since(start); d != 2*time.Second || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "did not end the handshake in time") {
			t.Errorf("after %v: %v", d, err)
		}
		time.Sleep(time.Second)
		done := make(chan error, 1)
		go func() {
			_, err := p.Send(bg, coretest.Message("x"), core.SendTimeout(minute))
			done <- err
		}()
		time.Sleep(time.Second)
		start = time.Now()
		if err := c.Shutdown(bg); err != nil || time.Since(start) != 0 {
			t.Errorf("shutdown after %v: %v", time.Since(start), err)
		}
		if err := <-done; !errors.Is(err, core.ErrClosed) {
			t.Error(err)
		}
	})
}

// A connection of the program's below TLS may panic when the handshake's time ends.
func TestTLSOverConnectionThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		b := &fake{ln: n.listen("b:1"), silent: true}
		b.start()
		t.Cleanup(b.stop)
		cfg := remoting.Config{TLS: remoting.TLS{Enabled: true}}
		cfg.Dial = wraps(n, "b:1", func(nc net.Conn) net.Conn { return hookedConn{Conn: nc, close: func() { nc.Close(); panic("boom") }} })
		_, err := producer(t, client(t, cfg), b.addr()).Send(bg, coretest.Message("x"))
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
	})
}

// What a client with TLS learns of a broker holds for itself: another one may be refused.
func TestTLSNetwork(t *testing.T) {
	a := newAuthority(t)
	routes := func(string) *wire.RouteData { return routeTo(1, "127.0.0.1:1") }
	ns := run(t, tls.NewListener(listen(t, "127.0.0.1:0"), a.issue(t).server(t)), func(s *session, c wire.Command) { answerRoute(s, c, routes) })
	route, err := client(t, remoting.Config{NameServers: []string{ns.addr()}, TLS: trusting(t, a)}).Route(bg, "T")
	if err != nil {
		t.Fatal(err)
	}
	if b := route.Brokers()[0]; b.Network == "" {
		t.Errorf("%+v is everybody's", b)
	}
}

// Functions in the program's configuration may panic or end their goroutine. Nothing is left of
// the connection.
func TestTLSFunctionsOfTheProgram(t *testing.T) {
	for name, tt := range map[string]struct {
		f  func()
		as error
	}{
		"panics":              {func() { panic("boom") }, nil},
		"ends its goroutine":  {func() { runtime.Goexit() }, core.ErrContract},
		"says that it is bad": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := embedded.NewNetwork()
			a := newAuthority(t)
			b := tlsBroker(t, n, a.issue(t).server(t))
			own := &tls.Config{RootCAs: a.pool(), VerifyConnection: func(tls.ConnectionState) error {
				if tt.f != nil {
					tt.f()
				}
				return errors.New("I do not like it")
			}}
			p := producer(t, client(t, remoting.Config{Dial: n.DialContext, TLS: remoting.TLS{Enabled: true, Config: own}}), b.addr())
			_, err := p.Send(bg, coretest.Message("x"))
			se := failure(t, err)
			var panicked *core.PanicError
			switch {
			case se.Certainty != core.NotSent:
				t.Error(err)
			case name == "panics" && (!errors.As(err, &panicked) || panicked.Step != "remoting.Config.TLS"):
				t.Error(err)
			case tt.as != nil && (!errors.Is(err, tt.as) || !strings.Contains(err.Error(), "remoting.Config.TLS")):
				t.Error(err)
			case tt.f == nil && !strings.Contains(err.Error(), "I do not like it"):
				t.Error(err)
			}
			eventually(t, "the connection is closed", func() bool { return b.open.Load() == 0 })
		})
	}
}

// TLS in Dial and in the settings is once too often.
func TestTLSTwice(t *testing.T) {
	n := embedded.NewNetwork()
	a := newAuthority(t)
	b := tlsBroker(t, n, a.issue(t).server(t))
	p := producer(t, client(t, remoting.Config{TLS: trusting(t, a), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := n.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return tls.Client(nc, &tls.Config{InsecureSkipVerify: true}), nil
	}}), b.addr())
	_, err := p.Send(bg, coretest.Message("x"))
	wantFailure(t, err, core.ClassNetwork, core.NotSent)
	if !strings.Contains(err.Error(), "use one of them") {
		t.Error(err)
	}
}

// The host of the address that is dialed is what the client asks for; a name in the settings
// goes before it. IP addresses are not asked for (RFC 6066).
func TestTLSServerName(t *testing.T) {
	for _, tt := range []struct{ addr, name, want string }{
		{"broker.example:1", "", "broker.example"},
		{"broker.example:1", "other.example", "other.example"},
		{"127.0.0.1:1", "", ""},
		{"127.0.0.1:1", "other.example", "other.example"},
	} {
		n := embedded.NewNetwork()
		a := newAuthority(t)
		cfg := a.issue(t, "broker.example", "other.example").server(t)
		asked := make(chan string, 1)
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			asked <- hello.ServerName
			return nil, nil
		}
		b := tlsBroker(t, n, cfg)
		settings := trusting(t, a)
		settings.ServerName = tt.name
		p := producer(t, client(t, remoting.Config{TLS: settings, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return n.DialContext(ctx, network, b.addr())
		}}), tt.addr)
		if _, err := p.Send(bg, coretest.Message("x")); err != nil {
			t.Error(err)
		}
		if got := <-asked; got != tt.want {
			t.Errorf("%+v: the client asked for %q", tt, got)
		}
	}
}

// A whole cluster behind TLS, at other addresses than it says: look-ups, translated addresses,
// every kind of send, heartbeats.
func TestTLSInFrontOfACluster(t *testing.T) {
	n := embedded.NewNetwork()
	cluster, err := embedded.Start(bg, embedded.Config{Network: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	a := newAuthority(t)
	cfg := a.issue(t).server(t)
	fronts := map[string]string{}
	for _, addr := range []string{cluster.NameServers()[0], cluster.Broker("broker-a").Addr()} {
		fronts[addr] = front(t, tls.NewListener(memListen(t, n), cfg), cluster, addr)
	}
	wires := &tap{n: n}
	c := client(t, remoting.Config{
		NameServers: []string{fronts[cluster.NameServers()[0]]}, TLS: trusting(t, a), Dial: wires.dial,
		MapAddr: func(addr string) string { return fronts[addr] },
	})
	core0 := coretest.Config(c)
	core0.Routes = c
	p := coretest.Start(t, core0)
	body := strings.Repeat("secret ", 50_000)
	if _, err := p.Send(bg, coretest.Message(body)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.SendBatch(bg, []*core.Message{coretest.Message("secret 1"), coretest.Message("secret 2")}); err != nil {
		t.Fatal(err)
	}
	if err := p.SendOneway(bg, coretest.Message("secret 3")); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	p.SendAsync(bg, coretest.Message("secret 4"), func(_ core.Result, err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	eventually(t, "a heartbeat", func() bool { return len(cluster.Requests(wire.HeartBeat)) > 0 })
	if bytes.Contains(wires.bytes(), []byte("secret")) {
		t.Error("a message left in plain text")
	}
}

// front passes connections on to a server of a cluster. It ends with the test.
func front(t *testing.T, ln net.Listener, cluster *embedded.Cluster, to string) string {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := cluster.Dial(bg, "tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, near, far)
			mu.Unlock()
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				wg.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					pair[0].Close()
					pair[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, nc := range conns {
			nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// All mistakes in the settings are told at once, and before anything is dialed.
func TestTLSMistakes(t *testing.T) {
	a := newAuthority(t)
	i := a.issue(t)
	ca, cert, key := write(t, "", a.pem), write(t, "", i.cert), write(t, "", i.key)
	otherKey, empty, half := write(t, "", a.issue(t).key), write(t, "", nil), write(t, "", append(bytes.Clone(a.pem), a.pem[:100]...))
	pair := i.server(t).Certificates
	for name, tt := range map[string]struct {
		settings remoting.TLS
		want     []string
	}{
		"not enabled": {
			remoting.TLS{CAFile: ca, CertFile: cert, KeyFile: key, ServerName: "x", InsecureSkipVerify: true, Config: &tls.Config{}},
			[]string{"TLS.Enabled is false, but CAFile, CertFile, KeyFile, ServerName, InsecureSkipVerify, Config is set"},
		},
		"no key":            {remoting.TLS{Enabled: true, CertFile: cert}, []string{"TLS.CertFile and KeyFile: one of them is missing"}},
		"no certificate":    {remoting.TLS{Enabled: true, KeyFile: key}, []string{"TLS.CertFile and KeyFile: one of them is missing"}},
		"skipped, with CA":  {remoting.TLS{Enabled: true, CAFile: ca, InsecureSkipVerify: true}, []string{"TLS.InsecureSkipVerify"}},
		"old versions":      {remoting.TLS{Enabled: true, Config: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}, []string{"Config.MinVersion is TLS 1.0", "Config.MaxVersion is TLS 1.1"}},
		"everything twice":  {remoting.TLS{Enabled: true, CAFile: ca, CertFile: cert, KeyFile: key, ServerName: "x", Config: &tls.Config{RootCAs: a.pool(), Certificates: pair, ServerName: "y"}}, []string{"TLS.CertFile and TLS.Config", "TLS.CAFile and TLS.Config.RootCAs", "TLS.ServerName and TLS.Config.ServerName"}},
		"no files":          {remoting.TLS{Enabled: true, CAFile: "no-ca", CertFile: "no-cert", KeyFile: "no-key"}, []string{"TLS.CAFile: stat no-ca", "TLS.CertFile: stat no-cert", "TLS.KeyFile: stat no-key"}},
		"a folder":          {remoting.TLS{Enabled: true, CAFile: t.TempDir()}, []string{"TLS.CAFile: ", "not a regular file"}},
		"another one's key": {remoting.TLS{Enabled: true, CertFile: cert, KeyFile: otherKey}, []string{"TLS.CertFile " + cert + ", TLS.KeyFile " + otherKey + ": ", "private key does not match"}},
		"nothing in them":   {remoting.TLS{Enabled: true, CAFile: empty, CertFile: empty, KeyFile: key}, []string{"no certificate of an authority", "failed to find any PEM"}},
		"half a file":       {remoting.TLS{Enabled: true, CAFile: half, CertFile: half, KeyFile: key}, []string{"TLS.CAFile " + half + ": it ends within", "the certificate's file ends within"}},
		"too long":          {remoting.TLS{Enabled: true, CAFile: write(t, "", make([]byte, 4<<20+1))}, []string{"TLS.CAFile: ", "more than 4194304 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remoting.NewClient(remoting.Config{NameServers: []string{"a:1"}, TLS: tt.settings, MaxTopics: -1})
			for _, want := range append(tt.want, "MaxTopics") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in %v", want, err)
				}
			}
		})
	}
}

// A description says how servers are verified, and a client that does not warns.
func TestTLSDescribed(t *testing.T) {
	a := newAuthority(t)
	settings := a.issue(t).with(t, trusting(t, a))
	settings.ServerName = "broker.example"
	for want, s := range map[string]remoting.TLS{
		"servers are verified by " + settings.CAFile + ", server name broker.example, client certificate " + settings.CertFile: settings,
		"servers are verified by the system's authorities":                                                                     {Enabled: true},
		"servers are verified by the program's authorities":                                                                    {Enabled: true, Config: &tls.Config{RootCAs: a.pool()}},
		"servers are NOT verified":                                                                                             {Enabled: true, InsecureSkipVerify: true},
	} {
		var log lines
		c := client(t, remoting.Config{TLS: s, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if got := core.Describe(c).String(); !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
		if err := c.Shutdown(bg); err != nil {
			t.Fatal(err)
		}
		if warned := strings.Contains(log.String(), "not verified"); warned != s.InsecureSkipVerify {
			t.Errorf("%s: the log is %q", want, log.String())
		}
	}
	if got := core.Describe(client(t, remoting.Config{})).String(); strings.Contains(got, "TLS") {
		t.Error(got)
	}
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func ExampleTLS() {
	_, err := remoting.NewClient(remoting.Config{
		NameServers: []string{"rocketmq.example:9876"},
		TLS:         remoting.TLS{Enabled: true, CAFile: "/etc/rocketmq/ca.crt", CertFile: "client.crt"},
	})
	fmt.Println(err)
	// Output: remoting client: TLS.CertFile and KeyFile: one of them is missing
}
