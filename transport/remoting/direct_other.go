//go:build !unix

package remoting

import "net"

// directWriter exists on Unix systems only; elsewhere the writer does it all.
type directWriter struct{}

func newDirectWriter(net.Conn) *directWriter { return nil }

func (*directWriter) write([]byte) (int, error) { return 0, nil }
