package conn

import (
	"net"
	"syscall"
	"time"
)

// NewDialer returns a dialer of TCP sockets with keep-alive, whose connections end when what
// was sent stays unacknowledged for userTimeout, on systems that can do that. A time that is not
// above 0 leaves the system its own.
func NewDialer(keepAlive, userTimeout time.Duration) *net.Dialer {
	d := &net.Dialer{KeepAlive: keepAlive}
	if userTimeout > 0 {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var err error
			if bad := raw.Control(func(fd uintptr) { err = setUserTimeout(fd, userTimeout) }); bad != nil {
				return bad
			}
			return err
		}
	}
	return d
}
