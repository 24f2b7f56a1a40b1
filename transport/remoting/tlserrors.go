package remoting

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"reflect"
	"syscall"

	"github.com/liftoff-mq/liftoff/internal/words"
	"github.com/liftoff-mq/liftoff/transport/remoting/internal/conn"
	"github.com/liftoff-mq/liftoff/transport/wire"
)

// Alerts of TLS by their numbers (RFC 8446, section 6).
const (
	alertHandshakeFailure    = 40
	alertBadCertificate      = 42
	alertCertificateUnknown  = 46
	alertUnknownCA           = 48
	alertAccessDenied        = 49
	alertDecryptError        = 51
	alertProtocolVersion     = 70
	alertUnrecognizedName    = 112
	alertCertificateRequired = 116
)

// ofHandshake reports whether a server says with an alert that it does not take the client's
// part of the handshake. It has then looked at nothing that came after it.
func ofHandshake(alert uint8) bool {
	switch alert {
	case alertHandshakeFailure, alertUnknownCA, alertAccessDenied, alertDecryptError, alertCertificateRequired:
		return true
	}
	return ofCertificate(alert)
}

// ofCertificate reports whether an alert says that something is wrong with a certificate.
func ofCertificate(alert uint8) bool {
	return alertBadCertificate <= alert && alert <= alertCertificateUnknown
}

// alertOf is the number of the alert that a server sent. Package tls has no name for the type
// of these errors.
func alertOf(err error) (number uint8, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	v := reflect.ValueOf(op.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return uint8(v.Uint()), true
}

const hintPlain = "does the server speak TLS? A RocketMQ server with tls.server.mode=disabled does not: enable it there, or set TLS.Enabled to false here"

// handshakeError says what a failed handshake means and what to set. Certified says that the
// client has a certificate.
func handshakeError(err error, certified bool) error {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		record.Conn = nil // it is closed, and the error may live long
		err = record
	}
	return &TLSError{Hint: hintOf(err, certified), Err: bounded(err)}
}

func hintOf(err error, certified bool) string {
	number, alert := alertOf(err)
	switch {
	case alert && number == alertProtocolVersion:
		return "the server takes no version of TLS from 1.2 on that this client offers"
	case alert && number == alertUnrecognizedName:
		return "the server does not know the name that it was asked for: set TLS.ServerName"
	case alert && ofHandshake(number) && certified:
		return "the server does not take this client's certificate: see TLS.CertFile"
	case alert && ofHandshake(number):
		return "the server wants a certificate of the client: set TLS.CertFile and TLS.KeyFile"
	case alert:
		return ""
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "if you trust the server, set TLS.CAFile to the certificate of the authority that has signed the server's"
	case errors.As(err, new(x509.HostnameError)):
		return "if you trust the server, set TLS.ServerName to a name that its certificate has"
	case errors.As(err, new(tls.RecordHeaderError)), hungUp(err):
		return hintPlain
	case errors.Is(err, context.DeadlineExceeded):
		return "the server did not end the handshake in time; " + hintPlain
	}
	return ""
}

// hungUp reports whether a connection ended by the other side's doing.
func hungUp(err error) bool {
	var op *net.OpError
	return errors.Is(err, conn.ErrPeerClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.As(err, &op) && !op.Timeout()
}

// spokeTLS reports whether a server answered a plain request with an alert of TLS, as one does
// that speaks nothing else.
func spokeTLS(err error) bool {
	var bad *wire.FrameError
	return errors.As(err, &bad) && bad.Looks == wire.LooksTLSAlert
}

// bounded is an error of a handshake without the server's certificates, which may be large.
// The errors of package x509 stay what they are.
func bounded(err error) error {
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		name    x509.HostnameError
	)
	switch {
	case errors.As(err, &unknown):
		return x509.UnknownAuthorityError{}
	case errors.As(err, &invalid):
		return x509.CertificateInvalidError{Reason: invalid.Reason, Detail: words.Line(invalid.Detail, wire.MaxAnswerText)}
	case errors.As(err, &name):
		short := &x509.Certificate{}
		if c := name.Certificate; c != nil {
			for _, n := range c.DNSNames[:min(len(c.DNSNames), 8)] {
				short.DNSNames = append(short.DNSNames, words.Line(n, 128))
			}
			short.IPAddresses = append(short.IPAddresses, c.IPAddresses[:min(len(c.IPAddresses), 8)]...)
		}
		return x509.HostnameError{Certificate: short, Host: name.Host}
	}
	return err
}
