package remoting_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/internal/middlebox"
	"github.com/liftoff-mq/liftoff/strategies/retry"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

func socksBox(t testing.TB, p middlebox.Proxy) *middlebox.Box {
	t.Helper()
	b, err := p.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// A proxy that does not take the credentials is an error with one attempt, which names the proxy and not
// the password, wherever the client meets it. No breaker counts it, because no broker is to blame.
func TestSOCKSPasswordIsRefused(t *testing.T) {
	b := broker(t, nil)
	ns := nameServer(t, func(string) *wire.RouteData { return routeTo(1, b.addr()) })
	box := socksBox(t, middlebox.Proxy{Username: "me", Password: proxyPassword})
	for name, proxy := range map[string]remoting.SOCKSProxy{
		"wrong password": {Addr: box.Addr(), Username: "me", Password: remoting.NewSecret("another-" + proxyPassword)},
		"wrong name":     {Addr: box.Addr(), Username: "you", Password: remoting.NewSecret(proxyPassword)},
		"no password":    {Addr: box.Addr()},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c := client(t, remoting.Config{
				NameServers: []string{ns.addr()}, SOCKS: remoting.SOCKS{"0.0.0.0/0": proxy},
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			cfg := coretest.Config(c)
			cfg.Retry, cfg.Routes = retry.AtLeastOnce(), fixed(t, 1, b.addr(), "127.0.0.1:1")
			p := coretest.Start(t, cfg)
			_, err := p.Send(bg, coretest.Message("x"))
			wantFailure(t, err, core.ClassAuth, core.NotSent)
			if se := failure(t, err); len(se.Attempts) != 1 {
				t.Errorf("%d attempts", len(se.Attempts))
			}
			var refused *remoting.SOCKSError
			if !errors.As(err, &refused) || !refused.Refused || refused.Proxy != box.Addr() || !errors.Is(err, core.ErrConnect) {
				t.Errorf("%#v", err)
			}
			if want := "authentication"; !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "see Username and Password") {
				t.Error(err)
			}
			_, byRoute := c.Route(bg, "T")
			if core.ClassOf(byRoute) != core.ClassAuth {
				t.Errorf("a look-up: %v, %v", core.ClassOf(byRoute), byRoute)
			}
			if err := p.Shutdown(bg); err != nil {
				t.Fatal(err)
			}
			if err := c.Shutdown(bg); err != nil { // the log is complete then
				t.Fatal(err)
			}
			shown := fmt.Sprintf("%s%+v%#v%+v%s%+v", log.String(), err, err, p.Snapshot(), core.Describe(c), remoting.Config{SOCKS: remoting.SOCKS{"0.0.0.0/0": proxy}})
			if strings.Contains(shown, proxyPassword) {
				t.Errorf("the password is shown:\n%s", shown)
			}
			if !strings.Contains(log.String(), "cannot connect") {
				t.Errorf("the log has %q", log.String())
			}
		})
	}
	if n := b.accepted.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// What else goes wrong at a proxy is class network, as without one.
func TestSOCKSFailures(t *testing.T) {
	hung := listen(t, "127.0.0.1:0")
	defer hung.Close()
	stranger := &fake{ln: listen(t, "127.0.0.1:0"), greet: func(s *session) {
		_, _ = s.nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	}}
	stranger.start()
	t.Cleanup(stranger.stop)
	for _, tt := range []struct{ name, proxy, want string }{
		{"nobody is there", "127.0.0.1:1", "SOCKS proxy 127.0.0.1:1: dial tcp 127.0.0.1:1"},
		{"the broker is not", socksBox(t, middlebox.Proxy{Route: func(string) string { return "127.0.0.1:1" }}).Addr(), ": host unreachable"},
		{"it is no proxy", stranger.addr(), "unexpected protocol version 72"},
		{"it hangs", hung.Addr().String(), "i/o timeout"},
	} {
		c := client(t, remoting.Config{ConnectTimeout: 200 * time.Millisecond, SOCKS: remoting.SOCKS{"192.0.2.0/24": {Addr: tt.proxy}}})
		_, err := producer(t, c, "192.0.2.1:10911").Send(bg, coretest.Message("x"))
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		if !strings.Contains(err.Error(), tt.want) || !errors.As(err, new(*remoting.SOCKSError)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A dial through a proxy that hangs ends with the client.
func TestShutdownEndsADialAtAProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newPipes()
		silent := &fake{ln: n.listen("proxy:1"), silent: true}
		silent.start()
		t.Cleanup(silent.stop)
		c := client(t, remoting.Config{Dial: n.dial, ConnectTimeout: time.Hour, SOCKS: remoting.SOCKS{"0.0.0.0/0": {Addr: "proxy:1"}}})
		p := producer(t, c, "b:1")
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, err := p.Send(ctx, coretest.Message("x"))
		wantFailure(t, err, core.ClassTimeout, core.NotSent)
		start := time.Now()
		if err := c.Shutdown(bg); err != nil || time.Since(start) > 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// The longest network counts, a network without a proxy is dialed directly, and names are in
// none but that of everything.
func TestSOCKSNetworks(t *testing.T) {
	n := newPipes()
	asked := map[string]string{} // by what is dialed
	c := client(t, remoting.Config{
		SOCKS: remoting.SOCKS{
			"0.0.0.0/0": {Addr: "all:1"}, "10.0.0.0/8": {Addr: "ten:1"}, "10.1.0.0/16": {Addr: "long:1"}, "10.1.2.0/24": {},
			"fd00::/8": {Addr: "six:1"}, "::/0": {Addr: "other-six:1"},
		},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			asked[addr] = addr
			return n.dial(ctx, network, addr)
		},
	})
	for addr, want := range map[string]string{
		"10.2.0.1:1": "ten:1", "10.1.0.1:1": "long:1", "10.1.2.3:1": "10.1.2.3:1", "11.0.0.1:1": "all:1", "[::ffff:10.2.0.1]:1": "ten:1",
		"[fd00::1]:1": "six:1", "[2001:db8::1]:1": "other-six:1", "[fe80::1%eth0]:1": "other-six:1", "broker.example:1": "all:1",
	} {
		clear(asked)
		_, err := producer(t, c, addr).Send(bg, coretest.Message("x"))
		wantFailure(t, err, core.ClassNetwork, core.NotSent)
		if len(asked) != 1 || asked[want] == "" {
			t.Errorf("%s: dialed %v, want %s", addr, asked, want)
		}
	}
	if got := core.Describe(c).String(); !strings.Contains(got, "SOCKS 10.1.2.0/24 by directly") {
		t.Error(got)
	}
}

// TLS goes through the proxy, to the server: the proxy sees none of it.
func TestTLSThroughSOCKS(t *testing.T) {
	ca := newAuthority(t)
	secured := run(t, tls.NewListener(listen(t, "127.0.0.1:0"), ca.issue(t).server(t)), nil)
	box := socksBox(t, middlebox.Proxy{Username: "me", Password: proxyPassword})
	c := client(t, remoting.Config{
		TLS: trusting(t, ca), SOCKS: remoting.SOCKS{"127.0.0.0/8": {Addr: box.Addr(), Username: "me", Password: remoting.NewSecret(proxyPassword)}},
	})
	for range 10 {
		if _, err := producer(t, c, secured.addr()).Send(bg, coretest.Message("x")); err != nil {
			t.Fatal(err)
		}
	}
	if asked := box.Asked(); len(asked) != 1 || asked[0] != secured.addr() {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

// A connection that panics in the hands of the SOCKS library is an error.
func TestSOCKSContainsTheProgramsConnection(t *testing.T) {
	for name, nc := range map[string]net.Conn{"panics": panicking{}, "nil": nil} {
		c := client(t, remoting.Config{
			SOCKS: remoting.SOCKS{"0.0.0.0/0": {Addr: "proxy:1"}},
			Dial:  func(context.Context, string, string) (net.Conn, error) { return nc, nil },
		})
		_, err := producer(t, c, "b:1").Send(bg, coretest.Message("x"))
		if err == nil || core.CertaintyOf(err) != core.NotSent {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type panicking struct{ net.Conn }

func (panicking) SetDeadline(time.Time) error      { panic("SetDeadline") }
func (panicking) SetReadDeadline(time.Time) error  { panic("SetReadDeadline") }
func (panicking) SetWriteDeadline(time.Time) error { panic("SetWriteDeadline") }
func (panicking) Read([]byte) (int, error)         { panic("Read") }
func (panicking) Write([]byte) (int, error)        { return 0, io.ErrShortWrite }
func (panicking) Close() error                     { panic("Close") }

func TestSOCKSAsText(t *testing.T) {
	all := remoting.SOCKS{"0.0.0.0/0": {Addr: "proxy.example:1080", Username: "me", Password: remoting.NewSecret(proxyPassword)}, "10.0.0.0/8": {}}
	const text = `{"0.0.0.0/0":{"addr":"proxy.example:1080","username":"me","password":"` + proxyPassword + `"},"10.0.0.0/8":{}}`
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var byText remoting.SOCKS
	if err := byText.UnmarshalText([]byte("\n" + text)); err != nil || !reflect.DeepEqual(byText, all) {
		t.Errorf("%v, %v", byText, err)
	}
	for _, form := range []string{text, string(quoted)} {
		var c remoting.Config
		if err := json.Unmarshal([]byte(`{"socks":`+form+`}`), &c); err != nil || !reflect.DeepEqual(c.SOCKS, all) {
			t.Errorf("%s: %v, %v", form, c.SOCKS, err)
		}
		back, err := json.Marshal(c)
		if want := `{"socks":{"0.0.0.0/0":{"addr":"proxy.example:1080","username":"me","password":"[hidden]"},"10.0.0.0/8":{}}}`; string(back) != want || err != nil {
			t.Errorf("%s, %v", back, err)
		}
	}
	for text, want := range map[string]remoting.SOCKS{
		"": nil, " ": nil, "{}": {}, " proxy:1080\n": {"0.0.0.0/0": {Addr: "proxy:1080"}},
	} {
		got := remoting.SOCKS{"x": {}}
		if err := got.UnmarshalText([]byte(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		`{"0.0.0.0/0":{"address":"x"}}`:                     "address: it is not known; there are addr, username, password",
		`{"0.0.0.0/0":"proxy:1080"}`:                        "want an object",
		`{"0.0.0.0/0":`:                                     "unexpected end",
		`{"0.0.0.0/0":{"password":"[hidden]"}}`:             "a secret that was hidden",
		`"0.0.0.0/0":{"password":"` + proxyPassword + `"}}`: "the text is neither host:port nor JSON",
	} {
		if err := new(remoting.SOCKS).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), proxyPassword) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestWrongSOCKS(t *testing.T) {
	secret := remoting.NewSecret(proxyPassword)
	for _, tt := range []struct {
		network string
		proxy   remoting.SOCKSProxy
		want    string // empty if it is right
	}{
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "proxy:1080", Username: "me", Password: secret}, ""},
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "[::1]:1080", Username: "me"}, ""},
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "proxy:1080", Username: strings.Repeat("x", 255), Password: remoting.NewSecret(strings.Repeat("x", 255))}, ""},
		{"10.0.0.1", remoting.SOCKSProxy{Addr: "proxy:1080"}, "it is no network"},
		{"", remoting.SOCKSProxy{Addr: "proxy:1080"}, "it is no network"},
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "proxy"}, `Addr "proxy" is not host:port`},
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "me:" + proxyPassword + "@proxy:1080"}, `Addr "...@proxy:1080" is not host:port`},
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "socks5://proxy:1080"}, "is not host:port"},
		{"10.0.0.0/8", remoting.SOCKSProxy{Username: "me"}, "Addr is missing"},
		{"10.0.0.0/8", remoting.SOCKSProxy{Password: secret}, "Addr is missing"},
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "proxy:1080", Password: secret}, "Password is given without a Username"},
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "proxy:1080", Username: strings.Repeat("x", 256)}, "longer than 255 bytes"},
		{"10.0.0.0/8", remoting.SOCKSProxy{Addr: "proxy:1080", Username: "me", Password: remoting.NewSecret(strings.Repeat("x", 256))}, "longer than 255 bytes"},
		{"11.1.0.0/8", remoting.SOCKSProxy{Addr: "proxy:1080"}, "the network is there already"},
	} {
		_, err := remoting.NewClient(remoting.Config{NameServers: []string{"a"}, SOCKS: remoting.SOCKS{tt.network: tt.proxy, "11.0.0.0/8": {Addr: "proxy:1"}}})
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), proxyPassword)) {
			t.Errorf("%s %v: %v, want %q", tt.network, tt.proxy, err, tt.want)
		}
	}
}
