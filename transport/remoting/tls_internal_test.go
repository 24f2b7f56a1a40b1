package remoting

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// madeUpAlert is like the type of package tls that has no name.
type madeUpAlert uint8

func (a madeUpAlert) Error() string { return "tls: " + strconv.Itoa(int(a)) }

// Only an alert about the handshake, only before anything else, and only in TLS 1.3 says that the
// server took no request: later it may have. In TLS 1.2 the handshake is over for both when the first
// request is sent, so that the server may have stored a message before any alert.
func TestAlertsThatRefuse(t *testing.T) {
	alert := func(number uint8) error { return &net.OpError{Op: "remote error", Err: madeUpAlert(number)} }
	for _, tt := range []struct {
		name    string
		version uint16
		heard   bool
		n       int
		err     error
		refused bool
	}{
		{"handshake_failure", tls.VersionTLS13, false, 0, alert(40), true},
		{"bad_certificate", tls.VersionTLS13, false, 0, alert(42), true},
		{"certificate_expired", tls.VersionTLS13, false, 0, alert(45), true},
		{"certificate_unknown", tls.VersionTLS13, false, 0, alert(46), true},
		{"unknown_ca", tls.VersionTLS13, false, 0, alert(48), true},
		{"access_denied", tls.VersionTLS13, false, 0, alert(49), true},
		{"decrypt_error", tls.VersionTLS13, false, 0, alert(51), true},
		{"certificate_required", tls.VersionTLS13, false, 0, alert(116), true},
		{"handshake_failure, 1.2", tls.VersionTLS12, false, 0, alert(40), false},
		{"bad_certificate, 1.2", tls.VersionTLS12, false, 0, alert(42), false},
		{"certificate_required, 1.2", tls.VersionTLS12, false, 0, alert(116), false},
		{"after an answer", tls.VersionTLS13, true, 0, alert(42), false},
		{"with an answer", tls.VersionTLS13, false, 1, alert(42), false},
		{"no_certificate, of SSL 3", tls.VersionTLS13, false, 0, alert(41), false},
		{"illegal_parameter", tls.VersionTLS13, false, 0, alert(47), false},
		{"internal_error", tls.VersionTLS13, false, 0, alert(80), false},
		{"of this side", tls.VersionTLS13, false, 0, &net.OpError{Op: "local error", Err: madeUpAlert(42)}, false},
		{"of another type", tls.VersionTLS13, false, 0, &net.OpError{Op: "remote error", Err: errors.New("42")}, false},
		{"the end", tls.VersionTLS13, false, 0, io.EOF, false},
		{"no error", tls.VersionTLS13, false, 1, nil, false},
	} {
		s := &securedConn{version: tt.version, ended: make(chan struct{})}
		s.heard.Store(tt.heard)
		got := s.read(tt.n, tt.err)
		if refused := errors.As(got, new(*TLSError)); refused != tt.refused || !refused && got != tt.err {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// A write that fails because the server has hung up waits for what the server said before, and no
// longer than a second.
func TestFailedWriteTellsWhy(t *testing.T) {
	refusal := &net.OpError{Op: "remote error", Err: madeUpAlert(42)}
	for _, tt := range []struct {
		name  string
		read  error // half a second later; nil for nothing
		heard bool
		after time.Duration
		tells bool
	}{
		{"a refusal", refusal, false, time.Second / 2, true},
		{"the end", io.EOF, false, time.Second / 2, false},
		{"nothing", nil, false, refusalWait, false},
		{"after an answer", refusal, true, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				near.Close()
				far.Close()
				s := newSecuredConn(near, &tls.Config{InsecureSkipVerify: true})
				s.version = tls.VersionTLS13
				s.heard.Store(tt.heard)
				go func() {
					time.Sleep(time.Second / 2)
					if tt.read != nil {
						_ = s.read(0, tt.read)
					}
				}()
				start := time.Now()
				_, err := s.Write([]byte("x"))
				if d := time.Since(start); d != tt.after {
					t.Errorf("it took %v, want %v", d, tt.after)
				}
				if tells := errors.As(err, new(*TLSError)); err == nil || tells != tt.tells {
					t.Error(err)
				}
				time.Sleep(time.Second)
			})
		})
	}
}

// The name that a certificate must have is the host that is dialed.
func TestNameOfAddress(t *testing.T) {
	s, err := newTLSState(&TLS{Enabled: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"broker.example:1": "broker.example", "10.0.0.1:1": "10.0.0.1", "[::1]:1": "::1", "[fe80::1%eth0]:1": "fe80::1", "no-port": "no-port",
	} {
		if got := s.config(addr).ServerName; got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

// A look at the files that was overtaken by a later one changes nothing.
func TestOvertakenLook(t *testing.T) {
	content := "old"
	s := &tlsState{
		log: slog.New(slog.DiscardHandler), current: &tls.Config{}, seen: make([]tlsSum, 1), newest: 2,
		groups: []tlsFiles{{use: func(cfg *tls.Config, _ [][]byte) error { cfg.ServerName = content; return nil }}},
	}
	for look := uint64(1); look <= 3; look++ {
		if got := s.fresh().ServerName != ""; got != (look > 2) {
			t.Errorf("look %d counted: %v", look, got)
		}
	}
}

// An error may live as long as its address is dialed: it keeps neither the connection nor the
// certificates that a server sent.
func TestErrorsAreSmall(t *testing.T) {
	cert := &x509.Certificate{Raw: make([]byte, 1<<16), IPAddresses: make([]net.IP, 100)}
	for range 100 {
		cert.DNSNames = append(cert.DNSNames, strings.Repeat("x", 1000)+".example")
	}
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	chain := []*x509.Certificate{cert}
	for _, tt := range []struct {
		err   error
		small func(err error) bool
	}{
		{x509.UnknownAuthorityError{Cert: cert}, func(err error) bool {
			var e x509.UnknownAuthorityError
			return errors.As(err, &e) && e.Cert == nil
		}},
		{x509.HostnameError{Certificate: cert, Host: "a.example"}, func(err error) bool {
			var e x509.HostnameError
			return errors.As(err, &e) && e.Certificate.Raw == nil && len(e.Certificate.IPAddresses) < 10 && e.Host == "a.example"
		}},
		{x509.CertificateInvalidError{Cert: cert, Reason: x509.Expired, Detail: strings.Repeat("x", 1<<16)}, func(err error) bool {
			var e x509.CertificateInvalidError
			return errors.As(err, &e) && e.Cert == nil && e.Reason == x509.Expired
		}},
	} {
		err := handshakeError(&tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: tt.err}, false)
		if text := err.Error(); !tt.small(err) || errors.As(err, new(*tls.CertificateVerificationError)) || len(text) > 4096 {
			t.Errorf("%d bytes: %.100s", len(text), text)
		}
	}
	var record tls.RecordHeaderError
	if !errors.As(handshakeError(tls.RecordHeaderError{Msg: "x", Conn: near}, false), &record) || record.Conn != nil {
		t.Errorf("the connection is in %v", fmt.Sprint(record))
	}
}
