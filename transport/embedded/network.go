package embedded

import (
	"context"
	"errors"
	"net"
)

// Network is an in-memory network.
type Network struct{}

// Listen is not there yet.
func (n *Network) Listen(addr string) (net.Listener, error) { return nil, errors.ErrUnsupported }

// DialContext is not there yet.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}
