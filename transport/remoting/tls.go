package remoting

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftoff-mq/liftoff/core"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
)

// TLS says how the connections to name servers and brokers are encrypted. Its zero value
// means plain connections. A client with TLS never falls back to a plain one.
//
// The server's certificate is verified, and so is its name. The least version is TLS 1.2.
// The handshake has what the dial left of [Config].ConnectTimeout.
//
// The files are read when the client is made, and again before each handshake: what has
// changed holds from the next connection on, and those that are open stay as they are. Files
// that cannot be used, such as a certificate beside the key of another one, change nothing: the
// client goes on with what it has and logs a warning. So certificates may be renewed while
// the program runs.
type TLS struct {
	// Enabled turns TLS on. Without it the other fields must be empty.
	Enabled bool `json:"enabled" yaml:"enabled" env:"ENABLED"`
	// CAFile has the certificates, in PEM, of the authorities that servers are verified by.
	// They take the place of the system's, which serve where no file is given.
	CAFile string `json:"caFile" yaml:"caFile" env:"CA_FILE"`
	// CertFile and KeyFile have the client's certificate, with the chain behind it, and its
	// private key, in PEM without a password. Servers that ask for a certificate get it.
	CertFile string `json:"certFile" yaml:"certFile" env:"CERT_FILE"`
	KeyFile  string `json:"keyFile" yaml:"keyFile" env:"KEY_FILE"`
	// ServerName is the name that all servers' certificates must have, and that the
	// client asks for (SNI). By default it is the host of the address that is dialed, which for
	// an IP address has to be among the certificate's IP addresses.
	ServerName string `json:"serverName" yaml:"serverName" env:"SERVER_NAME"`
	// InsecureSkipVerify takes any certificate of anybody. Then TLS protects from those who
	// listen and from nobody else. It is for tests, and for the certificates that a
	// RocketMQ server without any of its own makes by itself.
	InsecureSkipVerify bool `json:"insecureSkipVerify" yaml:"insecureSkipVerify" env:"INSECURE_SKIP_VERIFY"`
	// Config is the program's own configuration, which the fields above add to. It is copied.
	// Its functions run on a goroutine of the client's, as [Config].Dial does. What is both
	// here and above is a mistake, and so is a version below TLS 1.2. Nil means the defaults.
	Config *tls.Config `json:"-" yaml:"-"`
}

// TLSError is a connection that came to nothing because of TLS: the handshake failed, the
// server refused the client's certificate, or one of the two does not speak TLS. The request was
// not sent, or not to anybody who understood it.
type TLSError struct {
	// Hint says what may be wrong and what to set. Empty means that nothing is known.
	Hint string
	Err  error
}

// Error gives the cause and the hint.
func (e *TLSError) Error() string {
	s := "TLS: " + e.Err.Error()
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap gives the cause, such as an x509.HostnameError.
func (e *TLSError) Unwrap() error { return e.Err }

// ErrorClass is [core.ClassAuth] where the server did not accept the client's certificate, or
// wants one: another attempt would not change that. Everything else may be the fault of one
// server, and is [core.ClassNetwork].
func (e *TLSError) ErrorClass() core.Class {
	if number, ok := alertOf(e.Err); ok && ofHandshake(number) {
		return core.ClassAuth
	}
	return core.ClassNetwork
}

// FirstReadError is a connection of a client without TLS that the server ended before it had
// said anything. A RocketMQ server that takes only TLS (tls.server.mode=enforcing) does that to
// plain requests, which it throws away. So may one that stops, or something between. The client
// cannot tell them apart, so the error is no [TLSError], its class is [core.ClassNetwork] and a
// request that was written may have arrived.
type FirstReadError struct {
	Err error // how the connection ended
}

// Error gives the cause and what to set if TLS is behind it.
func (e *FirstReadError) Error() string {
	return e.Err.Error() + "; it said nothing before: if the server takes only TLS, set TLS.Enabled"
}

// Unwrap gives the cause.
func (e *FirstReadError) Unwrap() error { return e.Err }

// secure makes a TLS connection of the one that was dialed. Both are given by pointers, as in
// dialUser: functions of the program's may run. A connection is closed if it stays none.
func (c *Client) secure(ctx context.Context, addr string, nc *net.Conn, err *error) {
	below := conn.Guard(*nc)
	returned := false
	defer func() {
		if *err != nil {
			*nc = nil
			below.Close()
		}
	}()
	defer containUser("remoting.Config.TLS", &returned, err)
	if _, twice := (*nc).(*tls.Conn); twice {
		*err = errors.New("Config.Dial gave a TLS connection, and Config.TLS is enabled: use one of them")
		returned = true
		return
	}
	cfg := c.tls.config(addr)
	secured := newSecuredConn(below, cfg)
	*nc = secured
	if *err = secured.HandshakeContext(ctx); *err != nil {
		*err = handshakeError(*err, secured.certified)
	}
	secured.version = secured.ConnectionState().Version
	returned = true
}

// securedConn is a TLS connection after the client's part of the handshake. In TLS 1.3 a server
// looks at the client's certificate only then: it may refuse it with the first thing that it says.
// In TLS 1.2 the server has ended its part before, and any request may come to it before its alert.
type securedConn struct {
	*tls.Conn
	certified bool   // the client has a certificate
	version   uint16 // of TLS, after the handshake
	heard     atomic.Bool

	once  sync.Once
	ended chan struct{} // closed when reading ended before anything was heard
	why   error         // set before that
}

// refusalWait bounds how long a failed write waits for the reader to find out why.
const refusalWait = time.Second

func newSecuredConn(nc net.Conn, cfg *tls.Config) *securedConn {
	return &securedConn{Conn: tls.Client(nc, cfg), certified: hasCertificate(cfg), ended: make(chan struct{})}
}

// Read reads, and says what an alert means that comes first.
func (s *securedConn) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	return n, s.read(n, err)
}

// read notes the outcome of a read, and gives its error.
func (s *securedConn) read(n int, err error) error {
	if n > 0 {
		s.heard.Store(true)
	}
	if err == nil || s.heard.Load() {
		return err
	}
	if number, ok := alertOf(err); ok && ofHandshake(number) && s.version >= tls.VersionTLS13 {
		err = handshakeError(err, s.certified)
	}
	s.once.Do(func() {
		s.why = err
		close(s.ended)
	})
	return err
}

// Write writes. A server that refuses the client hangs up after it has said so. Then a write may
// fail before the reader has seen why.
func (s *securedConn) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	if err == nil || s.heard.Load() {
		return n, err
	}
	limit := time.NewTimer(refusalWait)
	defer limit.Stop()
	select {
	case <-s.ended:
		if errors.As(s.why, new(*TLSError)) {
			return n, s.why
		}
	case <-limit.C:
	}
	return n, err
}

// explained is why a connection ended, with what to set if TLS is or may be why. A *[TLSError]
// in it means that the server took no request of this connection.
func (p *peer) explained(cn *conn.Conn, why error) error {
	if cn.Proven() || p.c.tls != nil {
		return why
	}
	if spokeTLS(why) {
		return &TLSError{Hint: "the server speaks TLS and this client does not: set TLS.Enabled", Err: why}
	}
	if hungUp(why) {
		return &FirstReadError{Err: why}
	}
	return why
}

// refusedByTLS is the error of a request whose connection came to nothing because of TLS,
// nil if that is not why. The server has then thrown away what it got.
func (p *peer) refusedByTLS(why error) error {
	if errors.As(why, new(*TLSError)) {
		return &ConnectError{Addr: p.addr, Err: why}
	}
	return nil
}

// check reports everything that is wrong with the settings but what is in their files.
func (t *TLS) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("TLS."+format, args...)) }
	if !t.Enabled {
		var set []string
		for _, f := range []struct {
			name  string
			given bool
		}{
			{"CAFile", t.CAFile != ""},
			{"CertFile", t.CertFile != ""},
			{"KeyFile", t.KeyFile != ""},
			{"ServerName", t.ServerName != ""},
			{"InsecureSkipVerify", t.InsecureSkipVerify},
			{"Config", t.Config != nil},
		} {
			if f.given {
				set = append(set, f.name)
			}
		}
		if len(set) > 0 {
			wrong("Enabled is false, but %s is set: without Enabled connections are plain", strings.Join(set, ", "))
		}
		return errors.Join(errs...)
	}
	own := t.Config
	if own == nil {
		own = &tls.Config{}
	}
	switch {
	case (t.CertFile == "") != (t.KeyFile == ""):
		wrong("CertFile and KeyFile: one of them is missing")
	case t.CertFile != "" && hasCertificate(own):
		wrong("CertFile and TLS.Config both have the client's certificate: give it once")
	}
	if t.CAFile != "" && own.RootCAs != nil {
		wrong("CAFile and TLS.Config.RootCAs are both set: give the authorities once")
	}
	if t.ServerName != "" && own.ServerName != "" {
		wrong("ServerName and TLS.Config.ServerName are both set: give the name once")
	}
	if t.InsecureSkipVerify && t.CAFile != "" {
		wrong("InsecureSkipVerify takes any certificate, so CAFile has no meaning: set one of them")
	}
	for _, v := range []struct {
		name    string
		version uint16
	}{{"MinVersion", own.MinVersion}, {"MaxVersion", own.MaxVersion}} {
		if v.version != 0 && v.version < tls.VersionTLS12 {
			wrong("Config.%s is %s: the least is TLS 1.2", v.name, tls.VersionName(v.version))
		}
	}
	return errors.Join(errs...)
}

// summary tells of the settings what a person wants to know.
func (t *TLS) summary() string {
	s := "servers are verified by "
	own := t.Config
	switch {
	case t.insecure():
		s = "servers are NOT verified"
	case t.CAFile != "":
		s += t.CAFile
	case own != nil && own.RootCAs != nil:
		s += "the program's authorities"
	default:
		s += "the system's authorities"
	}
	if t.ServerName != "" {
		s += ", server name " + t.ServerName
	}
	if t.CertFile != "" {
		s += ", client certificate " + t.CertFile
	}
	return s
}

func (t *TLS) insecure() bool {
	return t.InsecureSkipVerify || t.Config != nil && t.Config.InsecureSkipVerify
}

func hasCertificate(c *tls.Config) bool {
	return len(c.Certificates) > 0 || c.GetClientCertificate != nil
}
