package remoting_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/liftoff-mq/liftoff/core/coretest"
	"github.com/liftoff-mq/liftoff/transport/embedded"
	"github.com/liftoff-mq/liftoff/transport/remoting"
	"pgregory.net/rapid"
)

// What changes in the files holds from the next connection on. Open ones go on, and files that
// cannot be used change nothing and are told once.
func TestTLSFilesChange(t *testing.T) {
	n := embedded.NewNetwork()
	first, second := newAuthority(t), newAuthority(t)
	one, two := first.issue(t), second.issue(t)
	var server atomic.Pointer[tls.Config]
	var seen atomic.Value // the client's certificate
	serve := func(i issued, a *authority) {
		cfg := i.wanting(t, a)
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			seen.Store(s.PeerCertificates[0].SerialNumber.String())
			return nil
		}
		server.Store(cfg)
	}
	serve(one, first)
	b := tlsBroker(t, n, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return server.Load(), nil }})
	mine, next := first.issue(t), second.issue(t)
	settings := mine.with(t, trusting(t, first))
	wires := &tap{n: n}
	var log lines
	c := client(t, remoting.Config{Dial: wires.dial, TLS: settings, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	p := producer(t, c, b.addr())
	send := func() error {
		t.Helper()
		_, err := p.Send(bg, coretest.Message("x"))
		return err
	}
	reconnect := func() {
		t.Helper()
		wires.cut()
		eventually(t, "the connection is gone", func() bool { return c.Stats().Connections == 0 })
	}
	sends := func(what, certificate string) {
		t.Helper()
		eventually(t, "a send", func() bool { return send() == nil })
		if got := seen.Load(); got != certificate {
			t.Errorf("%s: the server saw certificate %v, want %s", what, got, certificate)
		}
	}
	mustSay := func(what string, times int) {
		t.Helper()
		eventually(t, what, func() bool { return strings.Count(log.String(), what) >= times })
		if got := strings.Count(log.String(), what); got != times {
			t.Errorf("%q is told %d times, want %d", what, got, times)
		}
	}
	sends("at first", serialOf(t, mine))

	// Half of a change, at each of the files: what was there goes on.
	write(t, settings.CAFile, first.pem[:len(first.pem)/2])
	write(t, settings.CertFile, next.cert)
	for range 2 {
		reconnect()
		sends("after half of a change", serialOf(t, mine))
	}
	mustSay("cannot be used", 2)
	if err := os.Remove(settings.KeyFile); err != nil {
		t.Fatal(err)
	}
	reconnect()
	sends("without a key's file", serialOf(t, mine))
	mustSay("cannot be used", 3)

	// The other half. The open connection stays.
	serve(two, second)
	write(t, settings.CAFile, second.pem)
	write(t, settings.KeyFile, next.key)
	sends("on the open connection", serialOf(t, mine))
	reconnect()
	sends("after the change", serialOf(t, next))
	mustSay("are in use", 2)
	reconnect()
	sends("without a change", serialOf(t, next))
	mustSay("are in use", 2)

	// The old server is not trusted any longer.
	serve(one, second)
	reconnect()
	if err := send(); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Error(err)
	}
	if secret := text(next.key); strings.Contains(log.String(), secret[:20]) {
		t.Error("the key is in the log")
	}
}

func serialOf(t *testing.T, i issued) string {
	block, _ := pem.Decode(i.cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert.SerialNumber.String()
}

// text is the middle of a PEM block, in one line.
func text(pem []byte) string {
	lines := strings.Split(strings.TrimSpace(string(pem)), "\n")
	return strings.Join(lines[1:len(lines)-1], "")
}

// No part of a key is in what is said of files that are spoilt in any way, or of settings.
func TestNoKeyIsTold(t *testing.T) {
	a := newAuthority(t)
	i := a.issue(t)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		key, cert := bytes.Clone(i.key), bytes.Clone(i.cert)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			at := rapid.IntRange(0, len(key)-2).Draw(t, "at")
			switch rapid.IntRange(0, 4).Draw(t, "change") {
			case 0:
				key = key[:at+1]
			case 1:
				key[at] = rapid.Byte().Draw(t, "byte")
			case 2:
				key = append(key[:at], key[at+1:]...)
			case 3:
				key, cert = cert, key
			case 4:
				key = append([]byte("-----BEGIN X-----\n"), key...)
			}
			if len(key) < 2 {
				break
			}
		}
		certFile, keyFile := dir+"/cert", dir+"/key"
		if os.WriteFile(certFile, cert, 0o600) != nil || os.WriteFile(keyFile, key, 0o600) != nil {
			t.Fatal("cannot write")
		}
		cfg := remoting.Config{NameServers: []string{"a:1"}, TLS: remoting.TLS{Enabled: true, CertFile: certFile, KeyFile: keyFile}}
		c, err := remoting.NewClient(cfg)
		told := fmt.Sprintf("%v %+v %#v %+v %#v", err, err, err, cfg, c)
		secret := text(i.key)
		for at := 0; at+12 <= len(secret); at++ {
			if strings.Contains(told, secret[at:at+12]) {
				t.Fatalf("a part of the key is in %s", told)
			}
		}
	})
}
