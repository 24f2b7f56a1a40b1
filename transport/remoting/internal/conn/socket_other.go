//go:build !unix

package conn

import (
	"net"
	"time"
)

// socket exists where descriptors are Unix's.
type socket struct{}

func newSocket(net.Conn) *socket { return nil }

func (*socket) writeNow([]byte) (int, error)                     { panic("no socket") }
func (*socket) readWithin([]byte, time.Duration) (int, error)    { panic("no socket") }
func (*socket) readSoon([]byte, time.Duration, int) (int, error) { panic("no socket") }
